"""Dokploy itself: its version and its health."""

from __future__ import annotations

from integrations.dokploy.client.instance_models import InfrastructureHealth
from integrations.dokploy.client.transport import DokployTransport


class InstanceEndpoints:
    """Calls about Dokploy itself; those that prune volumes, restart or update it are left out."""

    def __init__(self, transport: DokployTransport) -> None:
        self._transport = transport

    async def version(self) -> str:
        """Return the version, such as `v0.30.2`."""
        return await self._transport.get("settings.getDokployVersion", str)

    async def is_healthy(self) -> bool:
        """Return whether Dokploy reaches its own database."""
        return (await self._transport.get("settings.health", dict[str, str])).get("status") == "ok"

    async def infrastructure_health(self) -> InfrastructureHealth:
        """Return the health of Dokploy's database and proxy; needs an admin's key."""
        return await self._transport.get("settings.checkInfrastructureHealth", InfrastructureHealth)

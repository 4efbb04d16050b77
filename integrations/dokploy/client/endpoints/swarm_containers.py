"""Containers as Dokploy sees them."""

from __future__ import annotations

from typing import Literal

from integrations.dokploy.client.docker_models import ContainerRow, Inspection
from integrations.dokploy.client.transport import DokployTransport, RetryLimits


class ContainerEndpoints:
    """Calls about containers; `server_id` None: Dokploy's own machine. `restart` takes any container of the host."""

    def __init__(self, transport: DokployTransport) -> None:
        self._transport = transport

    async def of_app(
        self,
        app_name: str,
        app_type: Literal["docker-compose", "stack"] | None = None,
        *,
        server_id: str | None = None,
    ) -> list[ContainerRow]:
        """Return the containers of one compose, stopped ones too. Without a type, `app_name` matches as a prefix.

        Dokploy returns an empty list on errors too, so it does not prove that there are none.
        """
        params = {"appName": app_name, "appType": app_type, "serverId": server_id}
        return await self._transport.get("docker.getContainersByAppNameMatch", list[ContainerRow], params)

    async def running_of_app(
        self, app_name: str, kind: Literal["standalone", "swarm"], *, server_id: str | None = None
    ) -> list[ContainerRow]:
        """Return the running containers."""
        params = {"appName": app_name, "type": kind, "serverId": server_id}
        return await self._transport.get("docker.getContainersByAppLabel", list[ContainerRow], params)

    async def inspect(self, container_id: str, *, server_id: str | None = None) -> Inspection | None:
        """Return `docker inspect`; None if there is no such container."""
        params = {"containerId": container_id, "serverId": server_id}
        return await self._transport.get_or_none("docker.getConfig", Inspection, params)

    async def restart(self, container_id: str, *, server_id: str | None = None) -> None:
        """Restart by id or name; returns when done (10 s if SIGTERM is ignored)."""
        body = {"containerId": container_id} | ({"serverId": server_id} if server_id is not None else {})
        await self._transport.order("docker.restartContainer", body, patience=RetryLimits.SLOW)

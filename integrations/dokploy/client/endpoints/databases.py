"""Databases that Dokploy runs. `rebuild` is left out: it removes the data."""

from __future__ import annotations

from integrations.dokploy.client.transport import DokployTransport, RetryLimits
from integrations.dokploy.models import DatabaseKind, DatabaseRow


class DatabaseEndpoints:
    """Calls about databases, each a Swarm service; none creates a deployment."""

    def __init__(self, transport: DokployTransport) -> None:
        self._transport = transport

    async def one(self, kind: DatabaseKind, database_id: str) -> DatabaseRow:
        """Return all of it, passwords included."""
        return await self._transport.get(f"{kind}.one", DatabaseRow, {f"{kind}Id": database_id})

    async def start(self, kind: DatabaseKind, database_id: str) -> None:
        """Scale to one; returns when done."""
        await self._transport.order(f"{kind}.start", {f"{kind}Id": database_id}, patience=RetryLimits.SLOW)

    async def stop(self, kind: DatabaseKind, database_id: str) -> None:
        """Scale to zero. Dokploy hides failures: check the containers afterwards."""
        await self._transport.order(f"{kind}.stop", {f"{kind}Id": database_id}, patience=RetryLimits.SLOW)

    async def reload(self, kind: DatabaseKind, database_id: str, app_name: str) -> None:
        """Restart: scale to zero and back to one."""
        body = {f"{kind}Id": database_id, "appName": app_name}
        await self._transport.order(f"{kind}.reload", body, patience=RetryLimits.SLOW)

"""Databases that Dokploy runs. `rebuild` is left out: it removes the data."""

from __future__ import annotations

from integrations.dokploy.client.transport import Patience, Transport
from integrations.dokploy.models import DatabaseKind, DatabaseRow


class Databases:
    """Each is a Swarm service; none of these orders leaves a deployment behind."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def one(self, kind: DatabaseKind, database_id: str) -> DatabaseRow:
        """All of it, passwords included."""
        return await self._transport.get(f"{kind}.one", DatabaseRow, {f"{kind}Id": database_id})

    async def start(self, kind: DatabaseKind, database_id: str) -> None:
        """Scale to one; answers when done."""
        await self._transport.order(f"{kind}.start", {f"{kind}Id": database_id}, patience=Patience.SLOW)

    async def stop(self, kind: DatabaseKind, database_id: str) -> None:
        """Scale to none. Dokploy hides failures: look at the containers afterwards."""
        await self._transport.order(f"{kind}.stop", {f"{kind}Id": database_id}, patience=Patience.SLOW)

    async def reload(self, kind: DatabaseKind, database_id: str, app_name: str) -> None:
        """Restart: scale to none and to one."""
        body = {f"{kind}Id": database_id, "appName": app_name}
        await self._transport.order(f"{kind}.reload", body, patience=Patience.SLOW)

"""Who our key is and what it may do, and the image registries."""

from __future__ import annotations

from integrations.dokploy.client.instance_models import Member, Registry, Session
from integrations.dokploy.client.transport import Patience, Transport

Permissions = dict[str, dict[str, bool]]
"""For each resource (`docker`, `service` …) what the key may do with it (`read`, `create` …)."""


class UserCalls:
    """A key has no rights of its own: it may what its user may in its organization."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def me(self) -> Member:
        """The key's user as a member of its organization."""
        return await self._transport.get("user.get", Member)

    async def session(self) -> Session:
        """The key's user and organization."""
        return await self._transport.get("user.session", Session)

    async def permissions(self) -> Permissions:
        """What the key may do."""
        return await self._transport.get("user.getPermissions", Permissions)


class RegistryCalls:
    """Image registries that Dokploy logs in to."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def all(self) -> list[Registry]:
        """Every registry."""
        return await self._transport.get("registry.all", list[Registry])

    async def one(self, registry_id: str) -> Registry:
        """One registry."""
        return await self._transport.get("registry.one", Registry, {"registryId": registry_id})

    async def test(self, registry_id: str, *, server_id: str | None = None) -> bool:
        """Whether Dokploy can log in there with what it has stored."""
        body = {"registryId": registry_id} | ({"serverId": server_id} if server_id is not None else {})
        return await self._transport.post("registry.testRegistryById", bool, body, patience=Patience.SLOW)

"""Who our key is and what it may do."""

from __future__ import annotations

from integrations.dokploy.client.instance_models import Member
from integrations.dokploy.client.transport import Transport

Permissions = dict[str, dict[str, bool]]
"""For each resource (`docker`, `service` …) what the key may do with it (`read`, `create` …)."""


class UserCalls:
    """A key has no rights of its own: it may what its user may in its organization."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def me(self) -> Member:
        """The key's user as a member of its organization."""
        return await self._transport.get("user.get", Member)

    async def permissions(self) -> Permissions:
        """What the key may do."""
        return await self._transport.get("user.getPermissions", Permissions)

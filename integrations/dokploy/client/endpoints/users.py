"""Owner of the key, and its rights."""

from __future__ import annotations

from integrations.dokploy.client.instance_models import OrganizationMember
from integrations.dokploy.client.transport import DokployTransport

KeyPermissions = dict[str, dict[str, bool]]
"""Rights of the key: for each resource (`docker`, `service` …) the operations (`read`, `create` …)."""


class UserEndpoints:
    """Calls about the key's user; a key has the rights of its user in its organization."""

    def __init__(self, transport: DokployTransport) -> None:
        self._transport = transport

    async def me(self) -> OrganizationMember:
        """Return the key's user as a member of its organization."""
        return await self._transport.get("user.get", OrganizationMember)

    async def permissions(self) -> KeyPermissions:
        """Return the rights of the key."""
        return await self._transport.get("user.getPermissions", KeyPermissions)

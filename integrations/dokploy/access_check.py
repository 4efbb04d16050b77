"""Check of the access to a Dokploy: its version, the owner of the key, and the needed rights that the key lacks."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from core.errors import Refused
from core.text import text
from integrations.dokploy.client.dokploy_client import Dokploy

NEEDED_RIGHTS = (("docker", "read"), ("service", "read"), ("service", "create"), ("deployment", "read"))
"""Rights to see and restart containers, to see services, to change their files (rollback), and to deploy."""
TESTED_VERSION = "v0.30."
"""Version this client was tested against."""


@dataclass(frozen=True, kw_only=True)
class AccessCheck:
    """Version of a Dokploy, and the owner and rights of the key."""

    version: str
    organization_id: str | None
    role: str
    missing_rights: tuple[str, ...]
    """Missing rights such as `docker:read`; calls that need them will be refused."""

    @property
    def is_known_version(self) -> bool:
        """True if this client was tested against that version."""
        return self.version.startswith(TESTED_VERSION)


async def check_access(dokploy: Dokploy) -> AccessCheck:
    """Check version, key and rights in three calls; raises Refused for a key of an unexpected organization."""
    version, member, rights = await asyncio.gather(
        dokploy.instance.version(), dokploy.users.me(), dokploy.users.permissions()
    )
    expected = dokploy.settings.organization_id
    if expected is not None and member.organization_id != expected:
        raise Refused(
            f"the key for Dokploy at {dokploy.settings.url} belongs to the organization {member.organization_id!r}, "
            f"not to {expected!r}; correct `dokploy.organization_id`, or make a key in that organization",
            message=text("dokploy_error.other_organization", found=member.organization_id, expected=expected),
        )
    missing = missing_rights(rights)
    return AccessCheck(
        version=version, organization_id=member.organization_id, role=member.role, missing_rights=missing
    )


def missing_rights(rights: Mapping[str, Mapping[str, bool]]) -> tuple[str, ...]:
    """Return the rights of NEEDED (`docker:read` …) that `user.getPermissions` does not grant."""
    return tuple(f"{what}:{verb}" for what, verb in NEEDED_RIGHTS if not rights.get(what, {}).get(verb, False))

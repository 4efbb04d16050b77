"""The first look at a Dokploy: which version, whose key, and what the guardian needs and the key may not do."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from core.errors import Refused
from core.text import text
from integrations.dokploy.client.dokploy_client import Dokploy

NEEDED = (("docker", "read"), ("service", "read"), ("service", "create"), ("deployment", "read"))
"""Looking at containers and restarting them, looking at services, changing their files (a rollback), deployments."""
KNOWN_VERSION = "v0.30."
"""What this client was checked against."""


@dataclass(frozen=True, kw_only=True)
class AccessCheck:
    """How a Dokploy introduced itself."""

    version: str
    organization_id: str | None
    role: str
    missing_rights: tuple[str, ...]
    """`docker:read` …: what needs these will be refused."""

    @property
    def is_known_version(self) -> bool:
        """Whether this client was checked against that version."""
        return self.version.startswith(KNOWN_VERSION)


async def greet(dokploy: Dokploy) -> AccessCheck:
    """Three calls; raises Refused for a key of another organization than the settings expect."""
    version, member, rights = await asyncio.gather(
        dokploy.instance.version(), dokploy.users.me(), dokploy.users.permissions()
    )
    expected = dokploy.settings.organization_id
    if expected is not None and member.organization_id != expected:
        raise Refused(
            f"the key for Dokploy at {dokploy.settings.url} belongs to the organization {member.organization_id!r}, "
            f"not to {expected!r}; correct `dokploy.organization_id`, or make a key in that organization",
            says=text("dokploy_error.other_organization", found=member.organization_id, expected=expected),
        )
    missing = missing_rights(rights)
    return AccessCheck(
        version=version, organization_id=member.organization_id, role=member.role, missing_rights=missing
    )


def missing_rights(rights: Mapping[str, Mapping[str, bool]]) -> tuple[str, ...]:
    """`docker:read` …: those of NEEDED that `user.getPermissions` does not grant."""
    return tuple(f"{what}:{verb}" for what, verb in NEEDED if not rights.get(what, {}).get(verb, False))

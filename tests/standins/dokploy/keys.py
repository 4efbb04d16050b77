"""API keys, the members they speak for, and what those may do."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field

from tests.standins.dokploy.calls import Json, Refusal, no_right
from tests.standins.dokploy.rows import Row, new_id, now, recorded

VERIFICATIONS_PER_CALL = 2
DEFAULT_LIMIT = 10
DAY_S = 86_400.0
FLAGS = {"docker": "canAccessToDocker", "service": "canCreateServices", "api": "canAccessToAPI"}
"""Rights a member can be given, and the column of each."""


@dataclass(kw_only=True)
class Member:
    """A user in the organization."""

    role: str = "owner"
    user_id: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    organization_id: str = ""
    rights: set[str] = field(default_factory=set)
    projects: list[str] = field(default_factory=list)
    environments: list[str] = field(default_factory=list)
    services: list[str] = field(default_factory=list)

    @property
    def is_member(self) -> bool:
        """Neither owner nor admin."""
        return self.role == "member"

    def sees(self, service_id: str) -> bool:
        """Whether the service is among those given to it."""
        return not self.is_member or service_id in self.services

    def demand(self, right: str | None) -> None:
        """Refusal unless it has the right."""
        if right is None or not self.is_member:
            return
        if right not in self.rights:
            raise no_right(right.removesuffix("+server"))

    def demand_service(self, service_id: str) -> None:
        """Refusal unless it has access."""
        if not self.sees(service_id):
            raise Refusal("UNAUTHORIZED", "You don't have access to this service")

    def row(self, keys: list[Key]) -> Row:
        """As `user.get` gives it."""
        row: Row = recorded("user.get")
        user = {**row["user"], "id": self.user_id, "apiKeys": [key.row() for key in keys if key.member is self]}
        flags = {column: right in self.rights for right, column in FLAGS.items()}
        return {
            **row,
            **flags,
            "organizationId": self.organization_id,
            "userId": self.user_id,
            "role": self.role,
            "accessedProjects": self.projects,
            "accessedEnvironments": self.environments,
            "accessedServices": self.services,
            "user": user,
        }

    def permissions(self) -> Json:
        """As `user.getPermissions` gives it."""
        if not self.is_member:
            return dict(recorded("user.getPermissions"))
        allowed: Json = recorded("memberwith-user.getPermissions")
        allowed["docker"]["read"] = "docker" in self.rights
        allowed["service"]["create"] = "service" in self.rights
        allowed["api"]["read"] = "api" in self.rights
        return allowed


@dataclass(kw_only=True)
class Key:
    """One key. `limit` None: not limited."""

    name: str
    secret: str
    member: Member
    limit: int | None = None
    window_s: float = DAY_S
    has_organization: bool = True
    is_enabled: bool = True
    used: int = 0
    last_used: float | None = None
    id: str = field(default_factory=new_id)
    made_at: str = field(default_factory=now)

    def passes(self) -> bool:
        """Count a call; every call verifies the key twice. The counter starts anew only after a pause."""
        if not (self.has_organization and self.is_enabled):
            return False
        if self.limit is None:
            return True
        moment = time.monotonic()
        if self.last_used is not None and moment - self.last_used > self.window_s:
            self.used = 0
        if self.used + VERIFICATIONS_PER_CALL > self.limit:
            return False
        self.used += VERIFICATIONS_PER_CALL
        self.last_used = moment
        return True

    def row(self) -> Row:
        """Without the secret."""
        return {
            "id": self.id,
            "name": self.name,
            "prefix": None,
            "enabled": self.is_enabled,
            "expiresAt": None,
            "createdAt": self.made_at,
        }

"""Dokploy itself: its health, its volume backups, and whose key it is given."""

from __future__ import annotations

from pydantic import Field

from integrations.dokploy.client.row import Row
from integrations.dokploy.models import DeploymentRow


class PartHealth(Row):
    """One of Dokploy's own parts."""

    status: str = ""
    """healthy or unhealthy"""
    message: str | None = None


class InfrastructureHealth(Row):
    """Dokploy's database and proxy."""

    postgres: PartHealth = Field(default_factory=PartHealth)
    traefik: PartHealth = Field(default_factory=PartHealth)


class VolumeBackup(Row):
    """A planned backup of a volume."""

    volume_backup_id: str
    name: str = ""
    volume_name: str = ""
    service_name: str | None = None
    enabled: bool | None = None
    deployments: tuple[DeploymentRow, ...] = ()


class Member(Row):
    """Who the key belongs to, and what that role may do."""

    id: str
    organization_id: str | None = None
    role: str = ""

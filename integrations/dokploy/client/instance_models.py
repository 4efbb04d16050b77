"""Dokploy itself: its health, its volume backups, and the owner of the key."""

from __future__ import annotations

from pydantic import Field

from integrations.dokploy.client.row import Row
from integrations.dokploy.models import DeploymentRow


class PartHealth(Row):
    """Health of one of Dokploy's own parts."""

    status: str = ""
    """Health: `healthy` or `unhealthy`."""
    message: str | None = None


class InfrastructureHealth(Row):
    """Health of Dokploy's database and proxy."""

    postgres: PartHealth = Field(default_factory=PartHealth)
    traefik: PartHealth = Field(default_factory=PartHealth)


class VolumeBackup(Row):
    """Planned backup of a volume."""

    volume_backup_id: str
    name: str = ""
    volume_name: str = ""
    service_name: str | None = None
    enabled: bool | None = None
    deployments: tuple[DeploymentRow, ...] = ()


class Member(Row):
    """Owner of the key, with role and organization."""

    id: str
    organization_id: str | None = None
    role: str = ""

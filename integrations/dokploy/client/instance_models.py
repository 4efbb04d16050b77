"""Dokploy itself: its health, its volume backups, and the owner of the key."""

from __future__ import annotations

from pydantic import Field

from integrations.dokploy.client.row import DokployRow
from integrations.dokploy.models import DeploymentRow


class ComponentHealth(DokployRow):
    """Health of one of Dokploy's own parts."""

    status: str = ""
    """Health: `healthy` or `unhealthy`."""
    message: str | None = None


class InfrastructureHealth(DokployRow):
    """Health of Dokploy's database and proxy."""

    postgres: ComponentHealth = Field(default_factory=ComponentHealth)
    traefik: ComponentHealth = Field(default_factory=ComponentHealth)


class VolumeBackup(DokployRow):
    """Planned backup of a volume."""

    volume_backup_id: str
    name: str = ""
    volume_name: str = ""
    service_name: str | None = None
    enabled: bool | None = None
    deployments: tuple[DeploymentRow, ...] = ()


class OrganizationMember(DokployRow):
    """Owner of the key, with role and organization."""

    id: str
    organization_id: str | None = None
    role: str = ""

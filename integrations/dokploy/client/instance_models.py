"""Dokploy itself: its servers, settings, notifications, schedules, volume backups, registries and users."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from integrations.dokploy.client.row import Row
from integrations.dokploy.client.secret_values import Secret
from integrations.dokploy.models import DeploymentRow

HOST_SCHEDULES = ("server", "dokploy-server")
"""Schedules that run any shell command on the host."""


class Server(Row):
    """A remote machine; the one Dokploy runs on is none."""

    server_id: str
    name: str = ""
    description: str | None = None
    ip_address: str = ""
    port: int | None = None
    username: str | None = None
    server_status: str | None = None
    server_type: str | None = None
    builds_concurrency: int | None = None
    enable_docker_cleanup: bool | None = None
    metrics_config: Secret[Any] | None = None
    ssh_key: Secret[Any] | None = None
    command: Secret[str] | None = None
    created_at: datetime | None = None


class ServerTime(Row):
    """Dokploy's clock."""

    time: datetime
    timezone: str = ""


class UpdateData(Row):
    """Whether there is a newer Dokploy."""

    latest_version: str | None = None
    update_available: bool = False


class PartHealth(Row):
    """One of Dokploy's own parts."""

    status: str = ""
    """healthy or unhealthy"""
    message: str | None = None


class InfrastructureHealth(Row):
    """Dokploy's database and proxy."""

    postgres: PartHealth = Field(default_factory=PartHealth)
    traefik: PartHealth = Field(default_factory=PartHealth)


class WebServerSettings(Row):
    """How Dokploy's own machine is set up."""

    server_ip: str | None = None
    host: str | None = None
    https: bool = False
    certificate_type: str | None = None
    enable_docker_cleanup: bool | None = None
    """Every night: stopped containers and unused images go."""
    builds_concurrency: int | None = None
    metrics_config: Secret[Any] | None = None
    ssh_private_key: Secret[str] | None = None


class CustomChannel(Row):
    """Where the custom notification posts to."""

    custom_id: str
    endpoint: Secret[str] | None = None
    """May hold a token."""
    headers: Secret[Any] | None = None
    """May hold the shared secret."""


class Notification(Row):
    """A notification channel with its eight switches."""

    notification_id: str
    name: str = ""
    notification_type: str = ""
    app_deploy: bool = False
    app_build_error: bool = False
    database_backup: bool = False
    volume_backup: bool = False
    dokploy_backup: bool = False
    dokploy_restart: bool = False
    docker_cleanup: bool = False
    server_threshold: bool = False
    custom: CustomChannel | None = None
    slack: Secret[Any] | None = None
    telegram: Secret[Any] | None = None
    discord: Secret[Any] | None = None
    email: Secret[Any] | None = None
    resend: Secret[Any] | None = None
    gotify: Secret[Any] | None = None
    ntfy: Secret[Any] | None = None
    mattermost: Secret[Any] | None = None
    lark: Secret[Any] | None = None
    pushover: Secret[Any] | None = None
    teams: Secret[Any] | None = None


class Schedule(Row):
    """A command that runs at planned times."""

    schedule_id: str
    name: str = ""
    cron_expression: str = ""
    schedule_type: str = ""
    """application, compose, server or dokploy-server"""
    service_name: str | None = None
    command: Secret[str] | None = None
    script: Secret[str] | None = None
    enabled: bool = True
    compose_id: str | None = None
    application_id: str | None = None
    server_id: str | None = None
    deployments: tuple[DeploymentRow, ...] = ()

    @property
    def is_of_host(self) -> bool:
        """Whether its command runs on the host instead of in a container."""
        return self.schedule_type in HOST_SCHEDULES or not self.schedule_type


class ScheduleRun(Row):
    """How a schedule that was run by hand ended."""

    status: str = ""
    deployment_id: str | None = None
    log_path: str | None = None


class VolumeBackup(Row):
    """A planned backup of a volume."""

    volume_backup_id: str
    name: str = ""
    volume_name: str = ""
    service_name: str | None = None
    cron_expression: str | None = None
    enabled: bool | None = None
    turn_off: bool = False
    """The service is stopped meanwhile."""
    destination_id: str | None = None
    deployments: tuple[DeploymentRow, ...] = ()


class Destination(Row):
    """Where backups go."""

    destination_id: str
    name: str = ""
    provider: str | None = None
    bucket: str | None = None
    endpoint: str | None = None
    access_key: Secret[str] | None = None
    secret_access_key: Secret[str] | None = None


class BackupFile(Row):
    """A file in a destination."""

    path: str = Field(default="", alias="Path")
    name: str = Field(default="", alias="Name")
    size: int | None = Field(default=None, alias="Size")
    is_dir: bool = Field(default=False, alias="IsDir")


class Registry(Row):
    """An image registry."""

    registry_id: str
    registry_name: str = ""
    registry_url: str | None = None
    registry_type: str | None = None
    username: str | None = None
    password: Secret[str] | None = None
    image_prefix: str | None = None


class Member(Row):
    """Who the key belongs to, and what that role may do."""

    id: str
    organization_id: str | None = None
    user_id: str | None = None
    role: str = ""
    can_access_to_docker: bool = Field(default=False, alias="canAccessToDocker")
    can_create_services: bool = False
    can_access_to_api: bool = Field(default=False, alias="canAccessToAPI")
    accessed_projects: tuple[str, ...] = ()
    accessed_environments: tuple[str, ...] = ()
    accessed_services: tuple[str, ...] = ()
    accessed_servers: tuple[str, ...] = ()


class SessionUser(Row):
    """A user's id."""

    id: str


class SessionInfo(Row):
    """The organization that the key is tied to."""

    active_organization_id: str | None = None


class Session(Row):
    """Whose key it is, and of which organization."""

    user: SessionUser
    session: SessionInfo

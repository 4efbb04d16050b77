"""Rows of Dokploy's API: projects, environments, composes, applications, databases, deployments, domains."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar

from integrations.dokploy.client.row import DokployRow, LenientStrEnum
from integrations.dokploy.client.secret_values import Secret

T = TypeVar("T")


class DokployStatus(LenientStrEnum):
    """Status of Dokploy's last operation on a service; not the state of its containers."""

    IDLE = "idle"
    RUNNING = "running"
    """A deployment is under way."""
    DONE = "done"
    """The last deploy command ended with 0; its containers may have crashed since."""
    ERROR = "error"
    UNKNOWN = "unknown"


class DeploymentStatus(LenientStrEnum):
    """Progress of a deployment. One that waits in the queue has no row yet."""

    RUNNING = "running"
    DONE = "done"
    ERROR = "error"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"

    @property
    def is_final(self) -> bool:
        """True if it will not change any more."""
        return self in (DeploymentStatus.DONE, DeploymentStatus.ERROR, DeploymentStatus.CANCELLED)


class ComposeType(LenientStrEnum):
    """Way a compose is run."""

    DOCKER_COMPOSE = "docker-compose"
    STACK = "stack"
    """Swarm stack; `compose.start` runs nothing for these."""
    UNKNOWN = "unknown"


class SourceType(LenientStrEnum):
    """Source of the definition."""

    RAW = "raw"
    GIT = "git"
    GITHUB = "github"
    GITLAB = "gitlab"
    BITBUCKET = "bitbucket"
    GITEA = "gitea"
    DOCKER = "docker"
    DROP = "drop"
    UNKNOWN = "unknown"


class DatabaseKind(StrEnum):
    """Databases that Dokploy runs."""

    POSTGRES = "postgres"
    MYSQL = "mysql"
    MARIADB = "mariadb"
    MONGO = "mongo"
    REDIS = "redis"
    LIBSQL = "libsql"


class DeploymentRow(DokployRow):
    """Run of a deploy, redeploy, schedule or backup."""

    deployment_id: str
    title: str = ""
    """Title; for git sources overwritten at the end with the commit's message: find a deployment by its id."""
    description: str | None = None
    """Description; for git sources `Commit: <full hash>` at the end."""
    status: DeploymentStatus | None = None
    compose_id: str | None = None
    application_id: str | None = None
    server_id: str | None = None
    schedule_id: str | None = None
    backup_id: str | None = None
    volume_backup_id: str | None = None
    rollback_id: str | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    rollback: RollbackRow | None = None
    """Rollback target; only from `by_type`, and only if the application's rollback is set up."""
    compose: ComposeRow | None = None
    """Compose with its environment and project; only from `all`."""
    application: ApplicationRow | None = None


class RollbackRow(DokployRow):
    """Image an application can go back to."""

    rollback_id: str
    deployment_id: str | None = None
    version: int | None = None
    image: str | None = None
    created_at: datetime | None = None


class QueuedJobData(DokployRow):
    """Subject of a job in the queue."""

    compose_id: str | None = None
    application_id: str | None = None
    server_id: str | None = None
    title_log: str = ""
    type: str = ""
    """Type of the job: deploy or redeploy."""


class QueuedJob(DokployRow):
    """Deployment that waits or runs. The queue is in Dokploy's memory: a restart of Dokploy loses it."""

    id: str
    data: QueuedJobData
    state: str = ""
    """State of the job: waiting or active."""
    timestamp: int | None = None
    """Time it was queued, in milliseconds since 1970."""

    @property
    def is_active(self) -> bool:
        """True if it runs, False if it waits."""
        return self.state == "active"


class DeployAccepted(DokployRow):
    """Answer to a deploy: it is queued. The id of the coming deployment is not in it."""

    success: bool
    message: str = ""
    compose_id: str | None = None


class DomainRow(DokployRow):
    """Host name that is routed to a service; for a compose, from its next deploy on."""

    domain_id: str
    host: str
    https: bool = False
    port: int | None = None
    path: str | None = None
    service_name: str | None = None
    certificate_type: str | None = None
    enabled: bool = True
    compose_id: str | None = None
    application_id: str | None = None
    created_at: datetime | None = None


class DomainCheck(DokployRow):
    """Result of resolving a name (IPv4 only; neither HTTP nor the certificate is checked)."""

    is_valid: bool
    error: str | None = None


class ServiceRow(DokployRow):
    """Fields that composes, applications and databases share."""

    name: str = ""
    app_name: str | None = None
    """Name of its Compose project, stack or Swarm service; None from some lists."""
    description: str | None = None
    environment_id: str | None = None
    server_id: str | None = None
    """Server it runs on; None is the machine Dokploy runs on."""
    created_at: datetime | None = None
    env: Secret[str] | None = None
    command: Secret[str] | None = None
    environment: EnvironmentRow | None = None
    backups: tuple[BackupRow, ...] = ()


class ComposeRow(ServiceRow):
    """Stack as Dokploy stores it."""

    compose_id: str
    compose_status: DokployStatus | None = None
    compose_type: ComposeType | None = None
    source_type: SourceType | None = None
    compose_file: Secret[str] | None = None
    """Compose file; empty for git sources."""
    compose_path: str | None = None
    auto_deploy: bool | None = None
    custom_git_branch: str | None = None
    owner: str | None = None
    branch: str | None = None
    gitlab_branch: str | None = None
    bitbucket_branch: str | None = None
    gitea_branch: str | None = None
    deployments: tuple[DeploymentRow, ...] = ()
    """Deployments, not sorted."""
    domains: tuple[DomainRow, ...] = ()

    @property
    def branch_field(self) -> str | None:
        """Name of the field with its branch or tag (`custom_git_branch` …); None if it comes from no repository."""
        fields = {
            SourceType.GIT: "custom_git_branch",
            SourceType.GITHUB: "branch",
            SourceType.GITLAB: "gitlab_branch",
            SourceType.BITBUCKET: "bitbucket_branch",
            SourceType.GITEA: "gitea_branch",
        }
        return fields.get(self.source_type) if self.source_type else None


class ApplicationRow(ServiceRow):
    """Application: one Swarm service called `app_name`, built or pulled by Dokploy."""

    application_id: str
    application_status: DokployStatus | None = None
    source_type: SourceType | None = None
    custom_git_branch: str | None = None
    branch: str | None = None
    deployments: tuple[DeploymentRow, ...] = ()
    domains: tuple[DomainRow, ...] = ()


class DatabaseRow(ServiceRow):
    """Database; the one id that is set tells its kind."""

    postgres_id: str | None = None
    mysql_id: str | None = None
    mariadb_id: str | None = None
    mongo_id: str | None = None
    redis_id: str | None = None
    libsql_id: str | None = None
    application_status: DokployStatus | None = None

    @property
    def kind(self) -> DatabaseKind | None:
        """Kind of the database; None if no id is set."""
        return next((kind for kind in DatabaseKind if getattr(self, f"{kind}_id") is not None), None)

    @property
    def id(self) -> str:
        """Id of the database, whatever its kind; empty if Dokploy sent none."""
        return str(getattr(self, f"{self.kind}_id")) if self.kind else ""


class EnvironmentRow(DokployRow):
    """Part of a project that holds services; every project has one called `production`."""

    environment_id: str | None = None
    name: str = ""
    description: str | None = None
    project_id: str | None = None
    created_at: datetime | None = None
    env: Secret[str] | None = None
    project: ProjectRow | None = None
    applications: tuple[ApplicationRow, ...] = ()
    compose: tuple[ComposeRow, ...] = ()
    postgres: tuple[DatabaseRow, ...] = ()
    mysql: tuple[DatabaseRow, ...] = ()
    mariadb: tuple[DatabaseRow, ...] = ()
    mongo: tuple[DatabaseRow, ...] = ()
    redis: tuple[DatabaseRow, ...] = ()
    libsql: tuple[DatabaseRow, ...] = ()

    @property
    def databases(self) -> tuple[DatabaseRow, ...]:
        """Databases of every kind."""
        return (*self.postgres, *self.mysql, *self.mariadb, *self.mongo, *self.redis, *self.libsql)


class ProjectRow(DokployRow):
    """Project with its environments, if the call returns them."""

    project_id: str
    name: str = ""
    description: str | None = None
    organization_id: str | None = None
    created_at: datetime | None = None
    env: Secret[str] | None = None
    environments: tuple[EnvironmentRow, ...] = ()


class BackupRow(DokployRow):
    """Planned backup of a database, a compose's database or Dokploy itself."""

    backup_id: str
    database: str | None = None
    database_type: str | None = None
    backup_type: str | None = None
    schedule: str | None = None
    enabled: bool | None = None
    prefix: str | None = None
    service_name: str | None = None
    compose_id: str | None = None
    metadata: Secret[Any] | None = None
    """Metadata; for a compose's database its user and password."""
    deployments: tuple[DeploymentRow, ...] = ()

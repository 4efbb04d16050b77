"""What Dokploy manages: projects, environments, composes, applications, databases, deployments, domains."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar

from integrations.dokploy.client.row import Row, Word
from integrations.dokploy.client.secret_values import Secret

T = TypeVar("T")


class DokployStatus(Word):
    """What Dokploy last did with a service; not the state of its containers."""

    IDLE = "idle"
    RUNNING = "running"
    """A deployment is under way."""
    DONE = "done"
    """The last deploy command ended with 0; its containers may have crashed since."""
    ERROR = "error"
    UNKNOWN = "unknown"


class DeploymentStatus(Word):
    """How far a deployment is. One that waits in the queue has no row yet."""

    RUNNING = "running"
    DONE = "done"
    ERROR = "error"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"

    @property
    def is_final(self) -> bool:
        """Whether it will not change any more."""
        return self in (DeploymentStatus.DONE, DeploymentStatus.ERROR, DeploymentStatus.CANCELLED)


class ComposeType(Word):
    """How a compose is run."""

    DOCKER_COMPOSE = "docker-compose"
    STACK = "stack"
    """Swarm; `compose.start` runs nothing for these."""
    UNKNOWN = "unknown"


class SourceType(Word):
    """Where the definition comes from."""

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


class DeploymentRow(Row):
    """One run of a deploy, redeploy, schedule or backup."""

    deployment_id: str
    title: str = ""
    """For git sources overwritten at the end with the commit's message: find a deployment by its id."""
    description: str | None = None
    """For git sources `Commit: <full hash>` at the end."""
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
    rollback: Rollback | None = None
    """Only from `by_type`, and only where the application's rollback is set up."""
    compose: ComposeRow | None = None
    """Only from `all`; then with its environment and project."""
    application: ApplicationRow | None = None


class Rollback(Row):
    """An image an application can go back to."""

    rollback_id: str
    deployment_id: str | None = None
    version: int | None = None
    image: str | None = None
    created_at: datetime | None = None


class QueuedData(Row):
    """What a job of the queue is about."""

    compose_id: str | None = None
    application_id: str | None = None
    server_id: str | None = None
    title_log: str = ""
    type: str = ""
    """deploy or redeploy"""


class QueuedJob(Row):
    """A deployment that waits or runs. The queue lives in Dokploy's memory: a restart of Dokploy loses it."""

    id: str
    data: QueuedData
    state: str = ""
    """waiting or active"""
    timestamp: int | None = None
    """Milliseconds since 1970, when it was queued."""

    @property
    def is_active(self) -> bool:
        """Whether it runs; else it waits."""
        return self.state == "active"


class DeployAccepted(Row):
    """The answer to a deploy: it waits. There is no id of the deployment to come."""

    success: bool
    message: str = ""
    compose_id: str | None = None


class DomainRow(Row):
    """A host name that is routed to a service; for a compose, from its next deploy on."""

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


class DomainCheck(Row):
    """Whether a name resolves (IPv4 only; neither HTTP nor the certificate is looked at)."""

    is_valid: bool
    error: str | None = None


class ServiceRow(Row):
    """What composes, applications and databases share."""

    name: str = ""
    app_name: str | None = None
    """Compose project, stack or Swarm service of that name; some lists leave it out."""
    description: str | None = None
    environment_id: str | None = None
    server_id: str | None = None
    """None: the machine Dokploy runs on."""
    created_at: datetime | None = None
    env: Secret[str] | None = None
    command: Secret[str] | None = None
    environment: EnvironmentRow | None = None
    backups: tuple[BackupRow, ...] = ()


class ComposeRow(ServiceRow):
    """A stack."""

    compose_id: str
    compose_status: DokployStatus | None = None
    compose_type: ComposeType | None = None
    source_type: SourceType | None = None
    compose_file: Secret[str] | None = None
    """Empty for git sources."""
    compose_path: str | None = None
    auto_deploy: bool | None = None
    custom_git_branch: str | None = None
    owner: str | None = None
    branch: str | None = None
    gitlab_branch: str | None = None
    bitbucket_branch: str | None = None
    gitea_branch: str | None = None
    deployments: tuple[DeploymentRow, ...] = ()
    """Not sorted."""
    domains: tuple[DomainRow, ...] = ()

    @property
    def branch_field(self) -> str | None:
        """The field that names its branch or tag (`custom_git_branch` …); None for what comes from no repository."""
        fields = {
            SourceType.GIT: "custom_git_branch",
            SourceType.GITHUB: "branch",
            SourceType.GITLAB: "gitlab_branch",
            SourceType.BITBUCKET: "bitbucket_branch",
            SourceType.GITEA: "gitea_branch",
        }
        return fields.get(self.source_type) if self.source_type else None


class ApplicationRow(ServiceRow):
    """One Swarm service called `app_name`, built or pulled by Dokploy."""

    application_id: str
    application_status: DokployStatus | None = None
    source_type: SourceType | None = None
    custom_git_branch: str | None = None
    branch: str | None = None
    deployments: tuple[DeploymentRow, ...] = ()
    domains: tuple[DomainRow, ...] = ()


class DatabaseRow(ServiceRow):
    """A database; one of its ids is set and tells its kind."""

    postgres_id: str | None = None
    mysql_id: str | None = None
    mariadb_id: str | None = None
    mongo_id: str | None = None
    redis_id: str | None = None
    libsql_id: str | None = None
    application_status: DokployStatus | None = None

    @property
    def kind(self) -> DatabaseKind | None:
        """Which database it is."""
        return next((kind for kind in DatabaseKind if getattr(self, f"{kind}_id") is not None), None)

    @property
    def id(self) -> str:
        """Its id, whatever its kind; empty when Dokploy sent none."""
        return str(getattr(self, f"{self.kind}_id")) if self.kind else ""


class EnvironmentRow(Row):
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
        """Of every kind."""
        return (*self.postgres, *self.mysql, *self.mariadb, *self.mongo, *self.redis, *self.libsql)


class ProjectRow(Row):
    """A project with its environments, where the call gives them."""

    project_id: str
    name: str = ""
    description: str | None = None
    organization_id: str | None = None
    created_at: datetime | None = None
    env: Secret[str] | None = None
    environments: tuple[EnvironmentRow, ...] = ()


class BackupRow(Row):
    """A planned backup of a database, a compose's database or Dokploy itself."""

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
    """Holds the database's user and password for a compose's database."""
    deployments: tuple[DeploymentRow, ...] = ()

"""Parameters of the actions on Dokploy."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from core.actions.catalog import Params, Unfit
from core.text import text
from integrations.compose_file.edits.limit_edits import MIN_MEMORY_MB

_GIT_REF = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./+@-]{0,199}")
"""Allowed form of a tag or branch, because Dokploy puts it into a shell command."""
_HASH = re.compile(r"[0-9a-f]{7,40}")

StackNameField = Annotated[str, Field(min_length=1, max_length=200, description="the stack's name in Dokploy")]
ServiceNameField = Annotated[str, Field(min_length=1, max_length=200, description="a service of the Compose file")]
DeployReason = Annotated[
    str, Field(max_length=300, description="in a few words, shown in Dokploy as the deployment's title")
]


class NoParams(Params):
    """No parameters."""


class StackParams(Params):
    """One stack that Dokploy manages."""

    stack: StackNameField

    def target(self) -> str:
        """Return `stack:<name>`."""
        return f"stack:{self.stack}"


class ServiceParams(StackParams):
    """One service of a stack."""

    service: ServiceNameField


class DeploymentsParams(StackParams):
    """Number of deployments to list."""

    limit: Annotated[int, Field(ge=1, le=20)] = 5


class DeploymentLogParams(StackParams):
    """Deployment to read the log of."""

    deployment_id: Annotated[str | None, Field(description="none: the newest one")] = None
    tail: Annotated[int, Field(ge=1, le=1000, description="how many of the last lines")] = 100


class VersionsParams(StackParams):
    """Number of versions to list."""

    limit: Annotated[int, Field(ge=1, le=50)] = 10


class VersionDiffParams(StackParams):
    """Version to compare with the current state in Dokploy."""

    version: Annotated[int | None, Field(description="number of a saved version; none: the last good one")] = None


class DeployParams(StackParams):
    """A deploy and its reason."""

    why: DeployReason = ""


class RollbackParams(DeployParams):
    """Version, tag or branch to go back to; with neither, the last good version before the running one."""

    version: Annotated[int | None, Field(description="number of a saved version (dokploy.compose.versions)")] = None
    ref: Annotated[str | None, Field(description="tag or branch, for stacks from git; never a commit's hash")] = None

    @field_validator("ref")
    @classmethod
    def _is_a_name(cls, value: str | None) -> str | None:
        if value is None:
            return None
        name = re.sub(r"^refs/(?:heads|tags)/", "", value.strip())
        if not _GIT_REF.fullmatch(name) or ".." in name or name.endswith(("/", ".lock")):
            raise Unfit("that is no name of a tag or branch", text("dokploy_error.bad_ref"))
        return name

    @model_validator(mode="after")
    def _one_at_most(self) -> Self:
        if self.version is not None and self.ref is not None:
            raise Unfit("give either version or ref", text("dokploy_error.version_or_ref"))
        return self


def is_commit_hash(ref: str) -> bool:
    """Return whether a tag or branch has the form of a commit hash; a date (`20260314`) has not."""
    if len(ref) == 8 and ref.isdigit():
        try:
            date(int(ref[:4]), int(ref[4:6]), int(ref[6:]))
        except ValueError:
            return True
        return False
    return _HASH.fullmatch(ref) is not None


class ImageTagParams(ServiceParams):
    """Service and the new tag of its image."""

    tag: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$")]


class UpdateImagesParams(StackParams):
    """Images to pull again."""

    service: Annotated[str | None, Field(description="only this service; none: all of them")] = None


class MemoryLimitParams(ServiceParams):
    """New memory limit: in MB, or as a multiple of the one in the file."""

    limit_mb: Annotated[int | None, Field(ge=MIN_MEMORY_MB)] = None
    factor: Annotated[float | None, Field(gt=0, le=16)] = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.limit_mb is None) == (self.factor is None):
            raise Unfit("give either limit_mb or factor", text("dokploy_error.limit_or_factor"))
        return self


class CpuLimitParams(ServiceParams):
    """New CPU limit."""

    cpus: Annotated[float, Field(ge=0.01, le=1024, description="1.5 is one and a half CPUs")]


class EnvironmentParams(StackParams):
    """Key and value in the stack's environment in Dokploy."""

    key: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]*$", max_length=200)]
    value: SecretStr


class HealthcheckParams(ServiceParams):
    """Health check; fields left out stay as they are."""

    test: Annotated[str | list[str], Field(description='a shell command, or a list ["CMD", "curl", …]')]
    interval_s: Annotated[float | None, Field(gt=0, le=86_400)] = None
    timeout_s: Annotated[float | None, Field(gt=0, le=86_400)] = None
    retries: Annotated[int | None, Field(ge=1, le=1000)] = None
    start_period_s: Annotated[float | None, Field(gt=0, le=86_400)] = None


class RestartPolicyParams(ServiceParams):
    """A restart policy."""

    policy: Annotated[str, Field(pattern=r"^(no|always|unless-stopped|on-failure(:[0-9]{1,6})?)$")]


class VolumeParams(ServiceParams):
    """Volume or folder to mount, and the path in the container."""

    source: Annotated[str, Field(min_length=1, max_length=500, description="a volume's name or a folder")]
    target_path: Annotated[
        str, Field(alias="target", min_length=1, max_length=500, description="path in the container")
    ]
    read_only: bool = False


class DomainPortParams(StackParams):
    """Domain and the container port it should route to."""

    domain_id: Annotated[str, Field(min_length=1, max_length=100)]
    port: Annotated[int, Field(ge=1, le=65_535)]


class ResourceParams(Params):
    """One application or database."""

    name: Annotated[str, Field(min_length=1, max_length=200, description="its name in Dokploy")]

    def target(self) -> str:
        """Return the same target, and so the same lock, as a stack of that name."""
        return f"stack:{self.name}"


class ResourceDeployParams(ResourceParams):
    """A deploy and its reason."""

    why: DeployReason = ""


class BackupParams(Params):
    """Planned backup to run."""

    backup_id: Annotated[str, Field(min_length=1, max_length=100)]

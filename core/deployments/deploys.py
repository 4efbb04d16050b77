"""Deploys and their verdicts: each is followed from the order until its containers have proved stable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from core.actions.catalog import JsonObject
from core.deployments.platform import DeployStatus, ManagedKind
from core.monitoring.inventory import Container
from core.text import Text

FOLLOW_KIND = "deploy"
"""Kind of the runs that follow deploys."""


class DeployKind(StrEnum):
    """Kind of an ordered deploy."""

    DEPLOY = "deploy"
    """Fetch the source, then start it."""
    REDEPLOY = "redeploy"
    """Start the source that is there already."""
    ROLLBACK = "rollback"
    """Bring back an earlier version."""
    UPDATE = "update"
    """Fetch newer images for the same file."""


class DeployPhase(StrEnum):
    """Progress of a deploy: waiting → running → settling → one of the ends."""

    WAITING = "waiting"
    """In the platform's queue, or not seen there yet."""
    RUNNING = "running"
    SETTLING = "settling"
    """The platform reports it done; its containers must stay up over the window."""
    GOOD = "good"
    FAILED = "failed"
    """The platform could not run it, or nothing started."""
    CRASHED = "crashed"
    """It started, or was reported done, and then its containers crashed or never became healthy."""
    CANCELLED = "cancelled"
    """Removed from the queue, or ended by the platform, before it took effect."""
    NEVER = "never"
    """The platform never received it."""
    UNKNOWN = "unknown"
    """The outcome could not be found out."""

    @property
    def is_over(self) -> bool:
        """True once there is a verdict."""
        return self not in (DeployPhase.WAITING, DeployPhase.RUNNING, DeployPhase.SETTLING)

    @property
    def is_bad(self) -> bool:
        """True for a verdict that needs a person's attention."""
        return self in (DeployPhase.FAILED, DeployPhase.CRASHED, DeployPhase.UNKNOWN)


@dataclass(frozen=True, kw_only=True)
class Deploy:
    """One deploy ordered here. Its key is that of the call that ordered it. Holds no secret."""

    key: str
    what: DeployKind = DeployKind.DEPLOY
    system: str = "dokploy"
    managed_id: str
    managed_kind: ManagedKind = ManagedKind.COMPOSE
    stack: str
    """Name of the stack (`ManagedResource.name`)."""
    app_name: str
    type: str = ""
    server: str | None = None
    host: str | None = None
    title: str
    """Unique title, as sent to the platform."""
    why: str = ""
    """Reason, in a person's words or a plan's, redacted."""
    requested_by: str
    """Actor id; for automation the runbook's or model's name."""
    requested_name: str
    approved_by: str | None = None
    incident_id: int | None = None
    ordered_at: datetime
    known_ids: tuple[str, ...] = ()
    """Ids of the deployments that existed before."""
    version_id: int | None = None
    """The version that it deploys."""
    version_before: int | None = None
    """The good version that ran before it, to roll back to."""
    containers_before: Mapping[str, int] = field(default_factory=dict)
    """Restart counts by container id before it: an untouched container must not gain any."""
    phase: DeployPhase = DeployPhase.WAITING
    job_seen_at: datetime | None = None
    """First time it was seen in the queue."""
    ahead: int | None = None
    """Number of deployments before it in the queue, running ones included; None: not known or not waiting."""
    deployment_id: str | None = None
    commit: str | None = None
    commit_message: str = ""
    """The commit's message, redacted."""
    started_at: datetime | None = None
    platform_ended_at: datetime | None = None
    """Time at which the platform reported it done or failed."""
    platform_status: DeployStatus = DeployStatus.UNKNOWN
    """Last status reported by the platform."""
    log_tail: tuple[str, ...] = ()
    """Last lines of its log, redacted, at most 8."""
    error_line: str = ""
    """The line of the log that names the error, redacted."""
    error_class: str = ""
    """Class of the error, a value of the evidence `deploy_error`; only once it has failed."""
    good_since: datetime | None = None
    restarts: Mapping[str, int] = field(default_factory=dict)
    """Restart counts by container id at the first look after the platform's end."""
    starts: Mapping[str, datetime] = field(default_factory=dict)
    """Start times of those containers at that look."""
    window_s: float = 0.0
    crashed: tuple[str, ...] = ()
    """Services that did not stay up."""
    message: Text | None = None
    """The verdict in one sentence, or the reason for waiting."""
    over_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class DeployChanged:
    """A deploy has changed: for its card and for whoever waits for its verdict."""

    deploy: Deploy
    before: Deploy | None


@dataclass(frozen=True, kw_only=True)
class DeployObservation:
    """Current answer of the platform about one deploy."""

    at: datetime
    job_seen: bool = False
    """True while it is in the queue, waiting or active."""
    ahead: int | None = None
    """Number of deployments before it, while it waits."""
    ahead_ids: tuple[str, ...] = ()
    """Targets of those deployments (`ManagedResource.id`), in their order."""
    is_superseded: bool = False
    """Another deployment of the same target has begun after it."""
    deployment_id: str | None = None
    status: DeployStatus = DeployStatus.UNKNOWN
    """Status of its deployment, once there is one."""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    commit: str | None = None
    commit_message: str = ""
    log_tail: tuple[str, ...] = ()
    """Last lines, redacted, at most 8."""
    error_line: str = ""
    """The root error from the log, redacted; only once it has failed."""
    error_class: str = ""
    """Class of the error, a value of the evidence `deploy_error`."""


class DeployPlatform(Protocol):
    """The platform, for following a deploy. Raises SystemUnavailable when it does not respond."""

    async def look(self, deploy: Deploy) -> DeployObservation:
        """Ask for its progress; finds its deployment by the ids known before and the title, never another one's."""
        ...

    async def containers(self, deploy: Deploy) -> Sequence[Container]:
        """Return its containers as the platform sees them, stopped ones too, for hosts that are not watched here."""
        ...


class Images(Protocol):
    """Images on the watched engines, by the host's name. Raises SystemUnavailable, NotFound and ActionFailed."""

    async def tag(self, host: str, image_id: str, reference: str) -> None:
        """Tag an existing image with a reference (`shop/api:1.2`); NotFound: there is no such image."""
        ...

    async def has(self, host: str, image_id: str) -> bool:
        """Return whether the image exists there."""
        ...

    async def id_of(self, host: str, reference: str) -> str | None:
        """Return the id (sha256:…) of the image that a reference names there; None: there is none."""
        ...

    async def pull(self, host: str, reference: str) -> str:
        """Pull the registry's current image of a reference and return its id (sha256:…)."""
        ...


class Deploys(Protocol):
    """Records of deploys."""

    async def put(self, deploy: Deploy) -> None:
        """Write a deploy, new or known."""
        ...

    async def get(self, key: str) -> Deploy | None:
        """Return the deploy, or None."""
        ...

    async def unfinished(self) -> list[Deploy]:
        """Return those without a verdict, oldest first."""
        ...

    async def recent(
        self, limit: int = 10, *, managed_id: str | None = None, since: datetime | None = None
    ) -> list[Deploy]:
        """Return the newest first."""
        ...


class VersionVerdict(StrEnum):
    """Verdict on a version: its containers stayed up, or did not."""

    UNKNOWN = "unknown"
    GOOD = "good"
    BAD = "bad"


@dataclass(frozen=True, kw_only=True)
class StackVersion:
    """One version of a stack, as deployed. Its secret part is encrypted, and returned by `Versions.content` alone."""

    id: int = 0
    managed_id: str
    stack: str
    app_name: str
    source: str
    """raw, git, github …"""
    at: datetime
    by: str
    """Actor id, or `found` for a version that ran before the first deploy from here."""
    deploy_key: str | None = None
    verdict: VersionVerdict = VersionVerdict.UNKNOWN
    digest: str
    """SHA-256 over file and environment; equal for equal versions."""
    branch: str | None = None
    commit: str | None = None
    commit_message: str = ""
    env_keys: tuple[str, ...] = ()
    images: Mapping[str, str] = field(default_factory=dict)
    """Service → image as written in the file."""
    image_ids: Mapping[str, str] = field(default_factory=dict)
    """Service → id (sha256:…) of the image that ran, or its registry digest `name@sha256:…` if it has one."""


@dataclass(frozen=True, kw_only=True)
class VersionContent:
    """The secret part of a version."""

    compose_file: str = ""
    """Empty for git sources."""
    env: str = ""
    settings: JsonObject = field(default_factory=dict)
    """Further fields of the platform's record that a rollback must restore (branch field, command …)."""


class Versions(Protocol):
    """The version history of stacks, which the platform does not keep."""

    async def add(self, version: StackVersion, content: VersionContent) -> StackVersion:
        """Save a version and return it with its id; if the stack's newest one has the same digest, return that."""
        ...

    async def judge(
        self,
        version_id: int,
        verdict: VersionVerdict,
        *,
        commit: str | None = None,
        commit_message: str = "",
        image_ids: Mapping[str, str] | None = None,
    ) -> None:
        """Record the verdict on a version, with facts that are known only afterwards.

        A good version stays good. If the same file now ran from another commit or with other images, that is saved as a
        new version.
        """
        ...

    async def get(self, version_id: int) -> StackVersion | None:
        """Return the version, or None."""
        ...

    async def content(self, version_id: int) -> VersionContent | None:
        """Return its secret part; the caller must keep it secret."""
        ...

    async def of(self, managed_id: str, limit: int = 20) -> list[StackVersion]:
        """Return a stack's versions, newest first."""
        ...

    async def last_good(self, managed_id: str, *, before: int | None = None) -> StackVersion | None:
        """Return the newest good version, older than `before` if given."""
        ...

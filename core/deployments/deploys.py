"""A deploy with a verdict: what is followed from the wish to the moment when its containers have held."""

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
    """What was ordered."""

    DEPLOY = "deploy"
    """Fetch the source, then bring it up."""
    REDEPLOY = "redeploy"
    """Bring up what is there already."""
    ROLLBACK = "rollback"
    """An earlier version."""
    UPDATE = "update"
    """Newer images of the same file."""


class DeployPhase(StrEnum):
    """waiting → running → settling → one of the ends."""

    WAITING = "waiting"
    """In the platform's queue, or not seen there yet."""
    RUNNING = "running"
    SETTLING = "settling"
    """The platform says done; the containers must hold over the window."""
    GOOD = "good"
    FAILED = "failed"
    """The platform could not carry it out, or nothing came up."""
    CRASHED = "crashed"
    """It came up, or was said to be done, and then its containers crashed or never became well."""
    CANCELLED = "cancelled"
    """Taken out of the queue, or ended by the platform, before it took effect."""
    NEVER = "never"
    """The platform never had it."""
    UNKNOWN = "unknown"
    """Nobody can say."""

    @property
    def is_over(self) -> bool:
        """Whether there is a verdict."""
        return self not in (DeployPhase.WAITING, DeployPhase.RUNNING, DeployPhase.SETTLING)

    @property
    def is_bad(self) -> bool:
        """Whether somebody must look."""
        return self in (DeployPhase.FAILED, DeployPhase.CRASHED, DeployPhase.UNKNOWN)


@dataclass(frozen=True, kw_only=True)
class Deploy:
    """One deploy of ours. Its key is that of the call which ordered it. Holds no secret."""

    key: str
    what: DeployKind = DeployKind.DEPLOY
    system: str = "dokploy"
    managed_id: str
    managed_kind: ManagedKind = ManagedKind.COMPOSE
    stack: str
    """Its name here (`ManagedResource.name`)."""
    app_name: str
    type: str = ""
    server: str | None = None
    host: str | None = None
    title: str
    """Unique, as sent to the platform."""
    why: str = ""
    """In a person's words or a plan's, redacted."""
    requested_by: str
    """Actor id; of a machine the runbook's or model's name."""
    requested_name: str
    approved_by: str | None = None
    incident_id: int | None = None
    ordered_at: datetime
    known_ids: tuple[str, ...] = ()
    """Deployments that were there before."""
    version_id: int | None = None
    """The version that it brings up."""
    version_before: int | None = None
    """The good version that ran before it, to go back to."""
    containers_before: Mapping[str, int] = field(default_factory=dict)
    """Restart counts by container id before it: an untouched container must not gain any."""
    phase: DeployPhase = DeployPhase.WAITING
    job_seen_at: datetime | None = None
    """When it was first seen in the queue."""
    ahead: int | None = None
    """How many run or wait before it in the queue; None: not known or not waiting."""
    deployment_id: str | None = None
    commit: str | None = None
    commit_says: str = ""
    """The commit's message, redacted."""
    started_at: datetime | None = None
    platform_ended_at: datetime | None = None
    """When the platform called it done or failed."""
    platform_status: DeployStatus = DeployStatus.UNKNOWN
    """What the platform called it last."""
    log_tail: tuple[str, ...] = ()
    """Last lines of its log, redacted, at most 8."""
    error_line: str = ""
    """The line of the log that names the error, redacted."""
    error_class: str = ""
    """What kind of error, as the evidence `deploy_error` has it; only once it has failed."""
    good_since: datetime | None = None
    restarts: Mapping[str, int] = field(default_factory=dict)
    """Restart counts by container id when they were first looked at after the platform's end."""
    starts: Mapping[str, datetime] = field(default_factory=dict)
    """When each of those containers had last started then."""
    window_s: float = 0.0
    crashed: tuple[str, ...] = ()
    """Services that did not hold."""
    says: Text | None = None
    """The verdict in one sentence, or what it waits for."""
    over_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class DeployChanged:
    """A deploy is not what it was: for the card and for who waits for its verdict."""

    deploy: Deploy
    before: Deploy | None


@dataclass(frozen=True, kw_only=True)
class DeployObservation:
    """What the platform says of one deploy now."""

    at: datetime
    job_seen: bool = False
    """Whether it is in the queue, waiting or active."""
    ahead: int | None = None
    """How many are before it, while it waits."""
    ahead_ids: tuple[str, ...] = ()
    """What those deploy (`ManagedResource.id`), in their order."""
    is_superseded: bool = False
    """Another deployment of the same thing has begun after it."""
    deployment_id: str | None = None
    status: DeployStatus = DeployStatus.UNKNOWN
    """Of its deployment, once there is one."""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    commit: str | None = None
    commit_says: str = ""
    log_tail: tuple[str, ...] = ()
    """Last lines, redacted, at most 8."""
    error_line: str = ""
    """The true error, from the log, redacted; only once it has failed."""
    error_class: str = ""
    """What kind of error, as the evidence `deploy_error` has it."""


class DeployPlatform(Protocol):
    """The platform, as following a deploy needs it. Raises SystemUnavailable when it does not answer."""

    async def look(self, deploy: Deploy) -> DeployObservation:
        """How far it is; finds its deployment by the ids known before and the title, never another's."""
        ...

    async def containers(self, deploy: Deploy) -> Sequence[Container]:
        """Its containers as the platform sees them, for hosts that are not watched here; stopped ones too."""
        ...


class Images(Protocol):
    """Images on the watched engines, by the host's name. SystemUnavailable, NotFound and ActionFailed as everywhere."""

    async def tag(self, host: str, image_id: str, reference: str) -> None:
        """Let a reference (`shop/api:1.2`) mean an image that is there; NotFound: it is not."""
        ...

    async def has(self, host: str, image_id: str) -> bool:
        """Whether the image is there."""
        ...

    async def id_of(self, host: str, reference: str) -> str | None:
        """The id (sha256:…) of what a reference means there; None: nothing."""
        ...

    async def pull(self, host: str, reference: str) -> str:
        """Fetch what the registry has under that reference now; its id (sha256:…)."""
        ...


class Deploys(Protocol):
    """Records of deploys."""

    async def put(self, deploy: Deploy) -> None:
        """Write it as it is now, new or known."""
        ...

    async def get(self, key: str) -> Deploy | None:
        """The deploy, or None."""
        ...

    async def unfinished(self) -> list[Deploy]:
        """Those without a verdict, oldest first."""
        ...

    async def recent(
        self, limit: int = 10, *, managed_id: str | None = None, since: datetime | None = None
    ) -> list[Deploy]:
        """Newest first."""
        ...


class VersionVerdict(StrEnum):
    """Whether a version has held."""

    UNKNOWN = "unknown"
    GOOD = "good"
    BAD = "bad"


@dataclass(frozen=True, kw_only=True)
class StackVersion:
    """What a stack was deployed from. Its secret part is kept encrypted, and given by `Versions.content` alone."""

    id: int = 0
    managed_id: str
    stack: str
    app_name: str
    source: str
    """raw, git, github …"""
    at: datetime
    by: str
    """Actor id, or `found` for what ran before we were asked anything."""
    deploy_key: str | None = None
    verdict: VersionVerdict = VersionVerdict.UNKNOWN
    digest: str
    """SHA-256 over file and environment: equal versions are told by it."""
    branch: str | None = None
    commit: str | None = None
    commit_says: str = ""
    env_keys: tuple[str, ...] = ()
    images: Mapping[str, str] = field(default_factory=dict)
    """Service → image as written in the file."""
    image_ids: Mapping[str, str] = field(default_factory=dict)
    """Service → id (sha256:…) of the image that ran, or its registry digest `name@sha256:…` where it has one."""


@dataclass(frozen=True, kw_only=True)
class VersionContent:
    """The secret part of a version."""

    compose_file: str = ""
    """Empty for git sources."""
    env: str = ""
    settings: JsonObject = field(default_factory=dict)
    """Further fields of the platform's row that a rollback must put back (branch field, command …)."""


class Versions(Protocol):
    """The version history of stacks, which the platform does not keep."""

    async def add(self, version: StackVersion, content: VersionContent) -> StackVersion:
        """Keep one; returns it with its id. The same digest as the newest of that stack: that one is returned."""
        ...

    async def judge(
        self,
        version_id: int,
        verdict: VersionVerdict,
        *,
        commit: str | None = None,
        commit_says: str = "",
        image_ids: Mapping[str, str] | None = None,
    ) -> None:
        """It has held, or has not; with what is known only afterwards.

        What held once has held. Where the same file now ran from another commit or other images, that is kept as a
        version of its own, the newest one.
        """
        ...

    async def get(self, version_id: int) -> StackVersion | None:
        """The version, or None."""
        ...

    async def content(self, version_id: int) -> VersionContent | None:
        """Its secret part; whoever asks answers for where it goes."""
        ...

    async def of(self, managed_id: str, limit: int = 20) -> list[StackVersion]:
        """Newest first."""
        ...

    async def last_good(self, managed_id: str, *, before: int | None = None) -> StackVersion | None:
        """The newest that held, older than `before` where given."""
        ...

"""What the core needs from below, as protocols; `knowledge/` implements them over a database.

Longer than other files: it is one list of contracts, nearly all of it docstrings, and is read as one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Protocol

from core.actions import JsonObject, Outcome, Result, Risk
from core.alerts import Silence
from core.approvals import Approval, ApprovalState
from core.detection import EngineEvent, OwnAct, Sample, Snapshot
from core.incidents import Incident
from core.policy import Actor, Facts
from core.wording import Text


class Clock(Protocol):
    """Time, injected."""

    def now(self) -> datetime:
        """The moment, UTC-aware."""
        ...


# -- calls ---------------------------------------------------------------------------------------------------------


class CallState(StrEnum):
    """asked → approved → started → ok | failed | unknown; or it ends before it starts, by the other four."""

    ASKED = "asked"
    APPROVED = "approved"
    STARTED = "started"
    OK = "ok"
    FAILED = "failed"
    UNKNOWN = "unknown"
    DENIED = "denied"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    SKIPPED = "skipped"
    """What it needed did not work."""

    @property
    def is_final(self) -> bool:
        """Whether it will not change any more."""
        return self not in (CallState.ASKED, CallState.APPROVED, CallState.STARTED)


@dataclass(frozen=True, kw_only=True)
class Call:
    """A wish to act. The key names the wish: the same key is the same wish, however often it is submitted."""

    key: str
    action: str
    params: JsonObject
    actor: Actor
    incident_id: int | None = None
    plan_hash: str | None = None
    cause: str | None = None
    """The cause a runbook's plan is for; with the runbook's name and the stack it decides what is proven."""
    attempt: int = 1
    """Which plan of the incident this belongs to, from 1."""
    needs: tuple[str, ...] = ()
    """Keys of calls that must have worked before."""
    undo_of: str | None = None
    """Key of the finished call that this one takes back, from its snapshot."""
    retries: int = 0
    retry_wait_s: float = 0.0
    says: Text | None = None
    """What it will do, in one line; None: from the action's text `action.<name>`."""
    secret_params: tuple[str, ...] = ()
    """Parameters that are sealed at rest and never shown; the door fills it in."""
    basis: str = ""
    """What the shown preview rested on (`Preview.basis`); empty: none was shown."""
    origin: JsonObject = field(default_factory=dict)
    """Whom to tell about the end: chat id, message id, language; empty for incidents (the card tells)."""

    def shown_params(self) -> dict[str, str | int | float]:
        """Its parameters as far as they may be shown, for sentences."""
        return {
            name: value
            for name, value in self.params.items()
            if isinstance(value, str | int | float) and name not in self.secret_params
        }


@dataclass(frozen=True, kw_only=True)
class CallRecord:
    """A call as the ledger holds it."""

    call: Call
    risk: Risk
    """Its action's, for the budgets."""
    state: CallState
    target: str | None
    """Inventory reference, for the lock, the budget and attribution."""
    stack: str | None
    service: str | None
    approval_id: str | None = None
    tries: int = 0
    result: Result | None = None
    approved_by: str | None = None
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None


class CallLedger(Protocol):
    """Every wish to act and how it ended. Each method is one transaction."""

    async def get(self, key: str) -> CallRecord | None:
        """The record, or None."""
        ...

    async def of_incident(self, incident_id: int) -> list[CallRecord]:
        """All calls of an incident, oldest first."""
        ...

    async def insert(self, records: Sequence[CallRecord], approvals: Sequence[Approval] = ()) -> bool:
        """Write new calls and the approvals they wait for, all or nothing; False: one of the keys is known."""
        ...

    async def start(self, key: str, at: datetime, budget: Budget | None) -> StartOutcome:
        """approved → started, only once, and only while the budget allows (counted in the same transaction)."""
        ...

    async def put_back(self, key: str) -> None:
        """started → approved, adding one to `tries`: for a retry after a failure that is certain."""
        ...

    async def finish(self, key: str, state: CallState, result: Result | None, at: datetime) -> bool:
        """The end of a call; False: it had ended already (the first end stays)."""
        ...

    async def save_snapshot(self, key: str, snapshot: JsonObject) -> None:
        """Undo data, encrypted at rest; written before the action runs."""
        ...

    async def snapshot(self, key: str) -> JsonObject | None:
        """The undo data of a call, or None."""
        ...

    async def unfinished(self) -> list[CallRecord]:
        """Calls that are approved or started."""
        ...

    async def dependants(self, key: str) -> list[CallRecord]:
        """Calls that need this one."""
        ...

    async def acts_since(self, at: datetime) -> list[OwnAct]:
        """What was really started since then, for attribution."""
        ...


@dataclass(frozen=True, kw_only=True)
class Budget:
    """At most `limit` machine-made calls of `risks` on `scope` since `since`; reserved when the call starts."""

    risks: tuple[str, ...]
    stack: str | None
    service: str | None
    """None: the whole stack."""
    since: datetime
    limit: int


class StartOutcome(StrEnum):
    """What `CallLedger.start` found."""

    STARTED = "started"
    ALREADY = "already"
    """Somebody started it before."""
    OVER_BUDGET = "over_budget"
    NOT_APPROVED = "not_approved"


class Approvals(Protocol):
    """The questions to people."""

    async def get(self, approval_id: str) -> Approval | None:
        """The approval, or None."""
        ...

    async def pending(self) -> list[Approval]:
        """All open ones, oldest first."""
        ...

    async def decide(
        self, approval_id: str, state: ApprovalState, *, by: str, at: datetime, why: str = ""
    ) -> Approval | None:
        """Move pending → state in one conditional update, its calls with it; None: it was decided before.

        APPROVED when more confirmations are needed only adds one and returns it still pending. An approval whose
        time is over becomes EXPIRED instead, and is returned so.
        """
        ...

    async def expire(self, now: datetime) -> list[Approval]:
        """Expire all whose time is over; returns them."""
        ...


class Locks(Protocol):
    """One call at a time per target, across every worker."""

    def hold(self, target: str, *, wait_s: float) -> AbstractAsyncContextManager[None]:
        """Hold the target's lock; raises TimeLimitExceeded when it is not free within `wait_s`."""
        ...


class PolicyFacts(Protocol):
    """The facts of the moment, for the policy."""

    async def load(self, call: Call, target: str | None) -> tuple[Facts, str | None, str | None]:
        """Facts, and the stack and the service that the target belongs to."""
        ...


# -- runs ----------------------------------------------------------------------------------------------------------


class Priority(IntEnum):
    """Higher goes first."""

    LOW = 0
    NORMAL = 10
    HIGH = 20


class RunState(StrEnum):
    """queued → running → waiting (until woken or due) → … → done | dead | cancelled."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    DONE = "done"
    DEAD = "dead"
    """Failed more often than its limit: a person must look."""
    CANCELLED = "cancelled"


@dataclass(frozen=True, kw_only=True)
class Run:
    """A durable unit of work."""

    kind: str
    key: str
    payload: JsonObject
    priority: Priority = Priority.NORMAL
    state: RunState = RunState.QUEUED
    due_at: datetime | None = None
    tries: int = 0
    result: JsonObject | None = None
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class Done:
    """A handler's answer: the run is over."""

    result: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A handler's answer: look again when woken, or at `until`."""

    until: datetime | None = None


RunHandler = Callable[[Run], Awaitable[Done | Waiting]]


class Runs(Protocol):
    """Durable work: a run is carried on after a crash until its handler says Done.

    A handler may be called more often than once for the same moment of a run (double delivery): it must be harmless.
    A wake that falls while the handler is running makes it run once more: no wake is lost.
    One handler at a time per key.
    """

    def register(self, kind: str, handler: RunHandler, *, tries: int = 3) -> None:
        """Name the handler of a kind; to be done before `start`."""
        ...

    async def start(self) -> None:
        """Begin to work, first of all on what the records say is unfinished."""
        ...

    async def stop(self) -> None:
        """Stop taking work; what runs is cancelled after a short grace and taken up at the next start."""
        ...

    async def submit(
        self,
        kind: str,
        key: str,
        payload: JsonObject,
        *,
        priority: Priority = Priority.NORMAL,
        due: datetime | None = None,
    ) -> bool:
        """Queue a run; False: a run of that key exists already (nothing is changed)."""
        ...

    async def wake(self, key: str) -> None:
        """Make a run look again now; no effect on one that is over or unknown."""
        ...

    async def cancel(self, key: str) -> bool:
        """End a run before its time; False: it was over."""
        ...

    async def get(self, key: str) -> Run | None:
        """The run, or None."""
        ...

    async def list(self, *, state: RunState | None = None, kind: str | None = None, limit: int = 50) -> Sequence[Run]:
        """Runs, newest first."""
        ...

    async def revive(self, key: str) -> bool:
        """Queue a dead run once more, its tries at zero; False: it is not dead."""
        ...


# -- watching ------------------------------------------------------------------------------------------------------


class SnapshotSource(Protocol):
    """A watched host."""

    @property
    def name(self) -> str:
        """The host's name."""
        ...

    async def look(self, *, only: Sequence[str] = ()) -> Snapshot:
        """The host now, without events and samples; `only`: just these container names (the others are left out).

        Raises SystemUnavailable when the engine does not answer.
        """
        ...

    def events(self, since: datetime | None) -> AsyncIterator[EngineEvent]:
        """Events as they come, from `since` on where given; ends or raises SystemUnavailable when the stream breaks."""
        ...

    async def sample(self) -> dict[str, Sample]:
        """One round of resources of all running containers, by name."""
        ...

    async def oom_kills(self) -> dict[str, int]:
        """The cgroup's count of kernel kills by container name; empty where it cannot be read."""
        ...


@dataclass(frozen=True, kw_only=True)
class SeriesPoint:
    """An aggregated moment of a container's resources."""

    at: datetime
    cpu_pct: float
    memory_bytes: float
    memory_limit_bytes: float
    memory_max_bytes: float
    network_rx_bytes: float
    network_tx_bytes: float
    disk_read_bytes: float
    disk_write_bytes: float


class Series(Protocol):
    """Measured resources over time: 10 s for an hour, 1 min for a day, 10 min for 30 days."""

    async def add(self, host: str, samples: dict[str, Sample]) -> None:
        """One round."""
        ...

    async def read(self, ref: str, since: datetime, until: datetime) -> list[SeriesPoint]:
        """Points of a container (`host/name`), oldest first, in the finest grain that covers the span."""
        ...


# -- incidents -----------------------------------------------------------------------------------------------------


class IncidentStore(Protocol):
    """Incidents as records."""

    async def open(self, incident: Incident) -> Incident:
        """Write a new one; returns it with its id."""
        ...

    async def save(self, incident: Incident) -> None:
        """Write it as it is now."""
        ...

    async def get(self, incident_id: int) -> Incident | None:
        """The incident, or None."""
        ...

    async def open_ones(self) -> list[Incident]:
        """All that are not closed, oldest first."""
        ...

    async def recent(
        self, limit: int = 10, *, stack: str | None = None, since: datetime | None = None
    ) -> list[Incident]:
        """Newest first, closed ones too."""
        ...

    async def openings(self, fingerprint: str, since: datetime) -> int:
        """How often an alert of that fingerprint opened an incident since then (for flapping)."""
        ...


class Silences(Protocol):
    """Who wants quiet."""

    async def add(self, silence: Silence) -> Silence:
        """Write it; returns it with its id."""
        ...

    async def active(self, now: datetime) -> list[Silence]:
        """Those that hold at `now`."""
        ...

    async def end(self, silence_id: int, at: datetime) -> bool:
        """End one early; False: it was over."""
        ...


__all__ = [
    "Approvals",
    "Budget",
    "Call",
    "CallLedger",
    "CallRecord",
    "CallState",
    "Clock",
    "Done",
    "IncidentStore",
    "Locks",
    "Outcome",
    "PolicyFacts",
    "Priority",
    "Run",
    "RunHandler",
    "RunState",
    "Runs",
    "Series",
    "SeriesPoint",
    "Silences",
    "SnapshotSource",
    "StartOutcome",
    "Waiting",
]

"""Snapshots of a watched host at one moment, and the detectors that compare two of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property

from core.deployments.platform import BackupState, DomainState, ManagedResource, QueuedDeployment
from core.incidents.alert_kinds import AlertKind
from core.incidents.alerts import Alert
from core.monitoring.inventory import Container, Host, Inventory
from core.settings import WatchSettings


class EventKind(StrEnum):
    """Kind of an engine event about a container (`exec_*` events of probes are dropped at the source)."""

    CREATE = "create"
    START = "start"
    RESTART = "restart"
    KILL = "kill"
    OOM = "oom"
    DIE = "die"
    STOP = "stop"
    PAUSE = "pause"
    UNPAUSE = "unpause"
    HEALTH = "health_status"
    UPDATE = "update"
    DESTROY = "destroy"
    RENAME = "rename"


@dataclass(frozen=True, kw_only=True)
class EngineEvent:
    """One event of the engine about a container."""

    at: datetime
    kind: EventKind
    container_id: str
    name: str
    signal: int | None = None
    """For `kill`."""
    exit_code: int | None = None
    """For `die`."""
    health: str | None = None
    """For `health_status`."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Resources of one container over the interval since the previous sample."""

    at: datetime
    cpu_pct: float
    """100 = one core."""
    throttled_pct: float = 0.0
    """Share of quota periods in which it was throttled, 0–100."""
    memory_bytes: int
    """Working set, without page cache."""
    memory_limit_bytes: int
    """The container's limit, or the host's memory if it has none."""
    network_rx_bytes: int = 0
    """Sum since the container started; 0 if it cannot be read."""
    network_tx_bytes: int = 0
    disk_read_bytes: int = 0
    disk_write_bytes: int = 0
    pids: int = 0

    @property
    def memory_pct(self) -> float:
        """Working set as a share of the limit, 0–100."""
        return 100.0 * self.memory_bytes / self.memory_limit_bytes if self.memory_limit_bytes else 0.0


@dataclass(frozen=True, kw_only=True)
class OwnAct:
    """An action of the guardian on a container, so that its effect raises no alert and is attributed."""

    at: datetime
    ref: str
    action: str
    by: str


@dataclass(frozen=True, kw_only=True)
class PlatformView:
    """View of a deployment platform at one moment."""

    managed: tuple[ManagedResource, ...] = ()
    queue: tuple[QueuedDeployment, ...] = ()
    """In its order."""
    queue_at: datetime | None = None
    """Time at which the queue was read; None: not yet."""
    domains: Mapping[str, DomainState] = field(default_factory=dict)
    """By the domain's id, as far as checked."""
    backups: tuple[BackupState, ...] = ()
    status_at: datetime | None = None
    """Time at which the statuses of its resources were read."""
    stuck_after_s: float = 1200.0
    """A deployment running longer than this counts as stuck, unless the stack's deployments usually take as long."""
    since: datetime | None = None
    """Time since which this program watches it: an earlier end raises no alert."""
    clock_ahead: timedelta = timedelta()
    """Time by which the platform's clock is ahead of ours; its own times are by its clock."""


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """One host at one moment."""

    at: datetime
    host: Host
    containers: Mapping[str, Container] = field(default_factory=dict)
    """By name."""
    events: tuple[EngineEvent, ...] = ()
    """All events of the last few minutes, oldest first, those before the last snapshot included (for context)."""
    samples: Mapping[str, Sequence[Sample]] = field(default_factory=dict)
    """By container name, oldest first, over the last `sustained_s` and a little more."""
    oom_kills: Mapping[str, int] = field(default_factory=dict)
    """The cgroup's own count by container name, if the engine is local; else empty."""
    restarts: Mapping[str, int] = field(default_factory=dict)
    """Growth of RestartCount within `crash_loop_within_s`, by container name, as far as it was watched."""
    own_acts: tuple[OwnAct, ...] = ()
    """Own actions of the last few minutes."""
    unreachable_since: datetime | None = None
    has_gap: bool = False
    """Events may be missing since the previous snapshot (the stream was cut)."""
    platform: PlatformView | None = None
    """View of the platform, if the watched system is one."""

    def inventory(self) -> Inventory:
        """Return its part of the inventory."""
        managed = self.platform.managed if self.platform else ()
        return Inventory(hosts=(self.host,), containers=tuple(self.containers.values()), managed=managed)

    def events_of(self, container: str) -> list[EngineEvent]:
        """Return the events of one container, given by name or full id, oldest first."""
        return self._events_by_container.get(container, [])

    @cached_property
    def memo(self) -> dict[str, object]:
        """Cache for results that several detectors derive from this snapshot, under names of their own."""
        return {}

    @cached_property
    def _events_by_container(self) -> dict[str, list[EngineEvent]]:
        grouped: dict[str, list[EngineEvent]] = {}
        for event in self.events:
            grouped.setdefault(event.container_id, []).append(event)
            if event.name != event.container_id:
                grouped.setdefault(event.name, []).append(event)
        return grouped


@dataclass(frozen=True, kw_only=True)
class View:
    """Input of a detector."""

    now: Snapshot
    before: Snapshot | None
    inventory: Inventory
    settings: WatchSettings


Detect = Callable[[View], Iterable[Alert]]


@dataclass(frozen=True, kw_only=True)
class Detector:
    """A pure function over a View.

    A detector of an `event` kind yields an alert as long as its event is in the snapshot's window, always with the same
    `at`: by that time the watcher distinguishes a repeat from the same event seen again.
    """

    raises: AlertKind
    detect: Detect

    @property
    def name(self) -> str:
        """The function's name."""
        return str(getattr(self.detect, "__name__", self.raises))

    def __call__(self, view: View) -> Iterator[Alert]:
        """Yield the alerts that are firing in this view."""
        yield from self.detect(view)


def detector(raises: AlertKind) -> Callable[[Detect], Detector]:
    """Declare a detector: `@detector(AlertKind.PAUSED)` over `def paused(view: View) -> Iterator[Alert]`."""

    def declare(function: Detect) -> Detector:
        return Detector(raises=raises, detect=function)

    return declare

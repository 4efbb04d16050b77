"""What a watched host looked like at one moment, and the detectors that compare two such moments."""

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
    """What the engine tells of containers (probe `exec_*` events are dropped at the source)."""

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
    """One thing that the engine said happened to a container."""

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
    """Resources of one container over the interval since the sample before."""

    at: datetime
    cpu_pct: float
    """100 = one core."""
    throttled_pct: float = 0.0
    """Share of quota periods in which it was held back, 0–100."""
    memory_bytes: int
    """Working set, page cache left out."""
    memory_limit_bytes: int
    """The container's limit, or the host's memory where it has none."""
    network_rx_bytes: int = 0
    """Since the container started; 0 where it cannot be read."""
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
    """Something the guardian itself did to a container, so that its effect is no alarm and is attributed."""

    at: datetime
    ref: str
    action: str
    by: str


@dataclass(frozen=True, kw_only=True)
class PlatformView:
    """What a platform that manages stacks says at one moment."""

    managed: tuple[ManagedResource, ...] = ()
    queue: tuple[QueuedDeployment, ...] = ()
    """In its order."""
    queue_at: datetime | None = None
    """When the queue was read; None: not yet."""
    domains: Mapping[str, DomainState] = field(default_factory=dict)
    """By the domain's id; those that were asked."""
    backups: tuple[BackupState, ...] = ()
    status_at: datetime | None = None
    """When the statuses of what it manages were read."""
    stuck_after_s: float = 1200.0
    """A deployment that runs longer is taken for stuck, unless those of its stack usually last as long."""
    since: datetime | None = None
    """Since when this program watches it: what ended before is history, not news."""
    clock_ahead: timedelta = timedelta()
    """How far its clock is ahead of the one here; what it says of moments is by its clock."""


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """One host at one moment."""

    at: datetime
    host: Host
    containers: Mapping[str, Container] = field(default_factory=dict)
    """By name."""
    events: tuple[EngineEvent, ...] = ()
    """All events since a few minutes ago, oldest first, those before the last snapshot included (for context)."""
    samples: Mapping[str, Sequence[Sample]] = field(default_factory=dict)
    """By container name, oldest first, over the last `sustained_s` and a little more."""
    oom_kills: Mapping[str, int] = field(default_factory=dict)
    """The cgroup's own count by container name, where the engine is local; empty elsewhere."""
    restarts: Mapping[str, int] = field(default_factory=dict)
    """By how much RestartCount grew within `crash_loop_within_s`, by container name, as far as it was watched."""
    own_acts: tuple[OwnAct, ...] = ()
    """Of the last few minutes."""
    unreachable_since: datetime | None = None
    has_gap: bool = False
    """Events may be missing since the snapshot before (the stream was cut)."""
    platform: PlatformView | None = None
    """What a platform says, where the watched system is one."""

    def inventory(self) -> Inventory:
        """Its part of the inventory."""
        managed = self.platform.managed if self.platform else ()
        return Inventory(hosts=(self.host,), containers=tuple(self.containers.values()), managed=managed)

    def events_of(self, container: str) -> list[EngineEvent]:
        """The events of one container, given by name or full id, oldest first."""
        return self._events_by_container.get(container, [])

    @cached_property
    def memo(self) -> dict[str, object]:
        """Room for what several detectors work out of this snapshot, by a name of theirs."""
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
    """What a detector is given."""

    now: Snapshot
    before: Snapshot | None
    inventory: Inventory
    settings: WatchSettings


Detect = Callable[[View], Iterable[Alert]]


@dataclass(frozen=True, kw_only=True)
class Detector:
    """A pure function over a View.

    One whose kind is an `event` yields what happened as long as the event is in the snapshot's window, always with
    the same `at`: the watcher tells a repeat from the same thing seen again by that moment.
    """

    raises: AlertKind
    detect: Detect

    @property
    def name(self) -> str:
        """Its function's name."""
        return str(getattr(self.detect, "__name__", self.raises))

    def __call__(self, view: View) -> Iterator[Alert]:
        """The alerts that are on in this view."""
        yield from self.detect(view)


def detector(raises: AlertKind) -> Callable[[Detect], Detector]:
    """Declare a detector: `@detector(AlertKind.PAUSED)` over `def paused(view: View) -> Iterator[Alert]`."""

    def declare(function: Detect) -> Detector:
        return Detector(raises=raises, detect=function)

    return declare

"""Memory of a watcher between two looks: recent events and samples, restart counts, the last snapshot."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from core.monitoring.inventory import Container, Host
from core.monitoring.snapshot import EngineEvent, OwnAct, PlatformView, Sample, Snapshot
from core.settings import WatchSettings
from core.text import Text

EVENTS_KEPT = timedelta(minutes=5)
EVENTS_PER_CONTAINER = 200
"""Limits a noisy container, so that it does not push out the others' events."""
EVENTS_LIMIT = 10_000
SAMPLES_KEPT = 1.25
"""Samples are kept for this many times `sustained_s`."""
COUNTS_KEPT = timedelta(minutes=30)


class EventWindow:
    """The engine's events of the last minutes, bounded and each once: a restarted stream repeats some."""

    def __init__(self, *, limit: int = EVENTS_LIMIT, per_container: int = EVENTS_PER_CONTAINER) -> None:
        self._limit = limit
        self._per_container = per_container
        self._events: dict[str, deque[EngineEvent]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, event: EngineEvent) -> bool:
        """Add an event; False: it is known."""
        own = self._events.setdefault(event.container_id, deque(maxlen=self._per_container))
        if any(event == known for known in own if known.at == event.at):
            return False
        self._count += len(own) < self._per_container
        own.append(event)
        if self._count > self._limit:
            self._keep(self.all()[-(self._limit - self._limit // 10) :])
        return True

    def all(self) -> tuple[EngineEvent, ...]:
        """Return the events still in the window before the newest one, oldest first."""
        newest = max((own[-1].at for own in self._events.values()), default=None)
        if newest is not None and any(newest - own[0].at > EVENTS_KEPT for own in self._events.values()):
            self._keep([one for own in self._events.values() for one in own if newest - one.at <= EVENTS_KEPT])
        return tuple(sorted((event for own in self._events.values() for event in own), key=lambda event: event.at))

    def _keep(self, events: Collection[EngineEvent]) -> None:
        self._events = {}
        for event in events:
            self._events.setdefault(event.container_id, deque(maxlen=self._per_container)).append(event)
        self._count = len(events)


class WatchBuffer:
    """Builds whole snapshots: the last look, completed by events, samples and counts from before."""

    def __init__(self, host: str, now: datetime, settings: WatchSettings, *, is_platform: bool = False) -> None:
        self._settings = settings
        self._window = EventWindow()
        self._samples: dict[str, deque[Sample]] = {}
        self._counts: dict[str, deque[tuple[datetime, str, int]]] = {}
        self._seen: dict[str, float] = {}
        self._containers: Mapping[str, Container] = {}
        self._host = Host(name=host, is_reachable=False, is_platform=is_platform)
        self._oom_kills: Mapping[str, int] = {}
        self._platform: PlatformView | None = None
        self.has_gap = False
        """The event stream was cut since the last snapshot."""
        self.snapshot = Snapshot(at=now, host=self._host)

    def __len__(self) -> int:
        return len(self._window)

    def take_event(self, event: EngineEvent) -> bool:
        """Remember an event; False: it is known."""
        return self._window.add(event)

    def take_samples(self, samples: Mapping[str, Sample]) -> None:
        """Remember one round of samples; containers missing from it are forgotten after a while."""
        for name, sample in samples.items():
            self._samples.setdefault(name, deque()).append(sample)
        newest = max((sample.at for sample in samples.values()), default=None)
        if newest is None:
            return
        keep = timedelta(seconds=self._settings.sustained_s * SAMPLES_KEPT)
        for name, own in tuple(self._samples.items()):
            while own and newest - own[0].at > keep:
                own.popleft()
            if not own:
                del self._samples[name]

    def take_look(
        self, seen: Snapshot, *, only: Collection[str], began: float, oom_kills: Mapping[str, int] | None = None
    ) -> None:
        """Remember the result of a look at `only` (empty: at everything).

        Looks overlap: the result of one that began later is not undone. `began` is of any steady clock.
        """
        self._containers = self._merged(self._containers, seen.containers, only, began)
        self._host = seen.host
        self._platform = seen.platform or self._platform
        self._oom_kills = self._oom_kills if oom_kills is None else oom_kills

    def whole(self, *, at: datetime, own_acts: Sequence[OwnAct] = ()) -> Snapshot:
        """Make one snapshot of everything remembered; it becomes the last one."""
        containers = self._containers
        self._count(containers.values(), at)
        self.snapshot = Snapshot(
            at=at,
            host=self._host,
            containers=containers,
            events=self._window.all(),
            samples={name: tuple(own) for name, own in self._samples.items()},
            oom_kills=self._oom_kills,
            restarts=self._restarts(containers.values(), at),
            own_acts=tuple(own_acts),
            has_gap=self.has_gap,
            platform=self._platform,
        )
        self.has_gap = False
        return self.snapshot

    def _merged(
        self, before: Mapping[str, Container], seen: Mapping[str, Container], only: Collection[str], began: float
    ) -> dict[str, Container]:
        asked = set(only) if only else {*before, *seen}
        stale = {name for name in asked if self._seen.get(name, began) > began}
        for name in asked - stale:
            self._seen[name] = began
        kept = {name: one for name, one in before.items() if name not in asked or name in stale}
        merged = {**kept, **{name: one for name, one in seen.items() if name not in stale}}
        if not only:
            self._seen = {name: when for name, when in self._seen.items() if name in merged or name in stale}
        return merged

    def blind(self, *, at: datetime, since: datetime, problem: str, message: Text | None = None) -> Snapshot:
        """Mark the last snapshot as unreachable since a moment; the result becomes the last one."""
        host = replace(self.snapshot.host, is_reachable=False, problem=problem, message=message)
        self.snapshot = replace(self.snapshot, at=at, host=host, unreachable_since=since)
        return self.snapshot

    def restarted_since(self, since: datetime) -> list[str]:
        """Return the names of the containers whose RestartCount has grown since then (or since first seen after it)."""
        return [name for name, own in self._counts.items() if _growth(own, since) > 0]

    def _count(self, containers: Collection[Container], at: datetime) -> None:
        for container in containers:
            own = self._counts.setdefault(container.name, deque())
            if not own or own[-1][1:] != (container.id, container.restart_count):
                own.append((at, container.id, container.restart_count))
            while len(own) > 2 and at - own[1][0] > COUNTS_KEPT:
                own.popleft()
        present = {container.name for container in containers}
        for name in tuple(self._counts):
            if name not in present:
                del self._counts[name]

    def _restarts(self, containers: Collection[Container], at: datetime) -> dict[str, int]:
        since = at - timedelta(seconds=self._settings.crash_loop_within_s)
        grown = {container.name: _growth(self._counts[container.name], since) for container in containers}
        return {name: growth for name, growth in grown.items() if growth > 0}


def _growth(counts: Sequence[tuple[datetime, str, int]], since: datetime) -> int:
    """Return the growth after `since`; a manual start, which sets the count to 0, and a new container begin anew."""
    before = next((entry for entry in reversed(counts) if entry[0] <= since), None)
    after = [entry for entry in counts if entry[0] > since]
    grown = 0
    for earlier, later in zip([before, *after], after, strict=False):
        if earlier is None:
            continue
        if later[1] == earlier[1] and later[2] >= earlier[2]:
            grown += later[2] - earlier[2]
        else:
            grown = later[2]
    return grown

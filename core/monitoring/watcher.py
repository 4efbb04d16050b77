"""Watches one host: events wake it, looks show its state, detectors find the problems."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import Protocol, Self

import structlog

from core.clock import Clock
from core.errors import SystemUnavailable
from core.incidents.alert_kinds import AlertKind
from core.incidents.alerts import Alert, Firing
from core.monitoring.alert_state import AlertChange, AlertState
from core.monitoring.inventory import Inventory
from core.monitoring.poll_schedule import EVERYTHING, PollSchedule
from core.monitoring.snapshot import Detector, EngineEvent, EventKind, OwnAct, Snapshot, View
from core.monitoring.topology import Topology, topology
from core.monitoring.usage_series import Series, SnapshotSource
from core.monitoring.watch_buffer import EVENTS_KEPT, WatchBuffer
from core.settings import WatchSettings
from core.tasks import Tasks
from core.text import Text, text

log = structlog.get_logger(__name__)

URGENT = frozenset({EventKind.DIE, EventKind.DESTROY})
FORETELLING = frozenset({EventKind.KILL, EventKind.OOM})
"""Kept, but no reason to look: an exit that follows has its own event, and a look now would only delay that one."""
HISTORY_S = 0.3
"""Time for which the first look waits for the events of the last minutes."""
SOURCE_LIMIT_S = 30.0
"""A source has time limits of its own; this one is for a source that forgets them."""
FIRST_REST_S = 0.5
LONGEST_REST_S = 5.0
BREATH = 100
STEADY_S = 5.0
"""A stream that lived this long may be opened again at once."""
LATER_LOOKS_S = {EventKind.OOM: (1.1,), EventKind.PAUSE: (3.1,), EventKind.CREATE: (1.0, 3.0), EventKind.DIE: (1.0,)}
"""Events after which the engine needs a moment: their effect shows a little later."""


class AlertSink(Protocol):
    """Receiver of alerts (the tracker)."""

    async def raise_alert(self, alert: Alert, topology: Topology) -> object:
        """Raise an alert that is new, happened again, or is now known better (same moment, other words)."""
        ...

    async def clear_alert(self, fingerprint: str) -> object:
        """Clear an alert."""
        ...


OwnActs = Callable[[datetime], Awaitable[Sequence[OwnAct]]]


class Watcher:
    """Watches one host; an async context manager. `has_looked` is set once its first full look is done."""

    def __init__(
        self,
        source: SnapshotSource,
        detectors: Sequence[Detector],
        *,
        sink: AlertSink,
        clock: Clock,
        settings: WatchSettings,
        series: Series | None = None,
        own_acts: OwnActs | None = None,
        settle_s: float = 30.0,
        around: Callable[[], Inventory] | None = None,
    ) -> None:
        """Create it; `settle_s`: time for which an event's target must stay well before the alert clears by itself.

        `around`: returns everything that is watched, for a platform's detectors, which also look at the hosts.
        """
        self._source = source
        self._sink = sink
        self._clock = clock
        self._settings = settings
        self._series = series
        self._own_acts = own_acts
        self._around = around
        self._board = AlertState(detectors, settle_s=settle_s)
        self._buffer = WatchBuffer(source.name, clock.now(), settings, is_platform=around is not None)
        self._untold: deque[AlertChange] = deque()
        self._before: Snapshot | None = None
        self._lost_since: datetime | None = None
        self._wake = asyncio.Event()
        self._agenda = PollSchedule()
        self._rest_s = FIRST_REST_S
        self._judging = asyncio.Lock()
        self._has_news = False
        self._is_complete = False
        self._problem = ""
        self._says: Text | None = None
        self._tasks = Tasks()
        self.has_looked = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._tasks.start(f"events {self.name}", self._listen, restarts=True)
        self._tasks.start(f"watch {self.name}", self._watch, restarts=True)
        self._tasks.start(f"samples {self.name}", self._measure, restarts=True)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._tasks.stop()

    # -- queries ----------------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The host's name."""
        return self._source.name

    @property
    def is_blind(self) -> bool:
        """True while the engine does not respond, or has not been looked at yet."""
        return self._lost_since is not None or not self.has_looked.is_set()

    @property
    def broken_detectors(self) -> tuple[str, ...]:
        """Names of the failing detectors: the problems they look for are missed."""
        return self._board.broken_detectors

    def snapshot(self) -> Snapshot:
        """Return the host as last seen."""
        return self._buffer.snapshot

    def inventory(self) -> Inventory:
        """Return the host's part of the inventory, as last seen."""
        return self._buffer.snapshot.inventory()

    def topology(self) -> Topology:
        """Return the dependency graph, as last seen."""
        return topology(self.inventory(), self.name)

    def firing(self) -> tuple[Firing, ...]:
        """Return the firing alerts."""
        return self._board.firing()

    def is_firing(self, fingerprint: str) -> bool:
        """Return whether the alert is firing: raised, and not calm for long enough to be cleared."""
        return self._board.is_firing(fingerprint)

    def recurred(self, fingerprint: str, since: datetime) -> bool:
        """Return whether it occurred again after `since`."""
        return self._board.recurred(fingerprint, since)

    def is_quiet(self, fingerprint: str, since: datetime) -> bool:
        """Return whether, by a look made after `since`, the alert is over by its detector's kind."""
        return self.why_not_quiet(fingerprint, since) is None

    def why_not_quiet(self, fingerprint: str, since: datetime) -> Text | None:
        """Return the reason why the alert is not over; None: it is."""
        is_about_itself = AlertKind(fingerprint.partition(":")[0]).traits.is_unreachable
        if self.is_blind and not is_about_itself:
            return text(
                "watch.quiet.platform" if self.snapshot().host.is_platform else "watch.quiet.blind", host=self.name
            )
        if self.snapshot().at < since:
            return text("watch.quiet.unseen")
        return self._board.why_not_quiet(fingerprint, self._view(), since, self._buffer.restarted_since(since))

    def is_about(self, fingerprint: str) -> bool:
        """Return whether this watcher raises and clears that alert."""
        name, _, target = fingerprint.partition(":")
        kind = next((one for one in self._board.raises if one == name), None)
        is_own = target.partition("/")[0] == self.name
        return kind is not None and (is_own or (self._around is not None and not kind.traits.is_about_watch))

    def speaks_of(self, host: str) -> bool:
        """Return whether it watches that host, or has a firing alert about it."""
        return host == self.name or any(firing.alert.host == host for firing in self.firing())

    def last_seen(self, fingerprint: str) -> datetime | None:
        """Return the time of its last occurrence; None: it was never seen."""
        return self._board.last_seen(fingerprint)

    def adopt(self, alerts: Iterable[Alert]) -> None:
        """Adopt alerts that were firing when the last run ended; call it before entering the watcher."""
        for alert in alerts:
            if self.is_about(alert.fingerprint):
                self._board.adopt(alert)

    def poke(self, *names: str) -> None:
        """Request a look now, at these containers or at everything."""
        now = asyncio.get_running_loop().time()
        for name in names or (EVERYTHING,):
            self._agenda.want(name, now)
        self._wake.set()

    # -- events -----------------------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        since = self._clock.now() - EVENTS_KEPT
        rest_s, taken = 0.0, 0
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                async for event in self._source.events(since):
                    since = max(since, event.at)
                    self._take(event)
                    taken += 1
                    if taken % BREATH == 0:
                        await asyncio.sleep(0)  # a flood that has already arrived must not hold up everybody else
            except SystemUnavailable as error:
                log.debug("the event stream broke", host=self.name, problem=str(error))
            self._buffer.has_gap = True
            rest_s = 0.2 if loop.time() - began >= STEADY_S else min(max(rest_s * 2, 0.2), LONGEST_REST_S)
            await asyncio.sleep(rest_s)

    def _take(self, event: EngineEvent) -> None:
        if not self._buffer.take_event(event) or not self.has_looked.is_set():
            return
        now = asyncio.get_running_loop().time()
        if event.kind is EventKind.RENAME:
            self._agenda.want(EVERYTHING, now)
        if event.kind not in FORETELLING:
            self._agenda.want(event.name, now, is_urgent=event.kind in URGENT)
        for after_s in LATER_LOOKS_S.get(event.kind, ()):
            self._agenda.want_later(event.name, now, after_s)
        self._wake.set()

    # -- looks ------------------------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        """Begin the looks that are due, each in a task of its own, so that a slow one delays no other."""
        loop = asyncio.get_running_loop()
        await self._hear_history()
        self._agenda.want(EVERYTHING, loop.time())
        while True:
            for name in self._agenda.take(loop.time()):
                self._tasks.start(f"look {self.name} {name}", partial(self._due_look, name))
            if self._has_news:
                began = loop.time()
                await self._judge()
                await asyncio.sleep(loop.time() - began)  # under a flood, half of the time at most
            try:
                async with asyncio.timeout_at(min(self._agenda.next_due(), loop.time() + self._settings.poll_s)):
                    await self._wake.wait()
            except TimeoutError:
                continue
            self._wake.clear()

    async def _due_look(self, name: str) -> None:
        began = asyncio.get_running_loop().time()
        try:
            await self._see([name] if name else [])
        finally:
            self._agenda.done(name)
            if name == EVERYTHING:
                self._agenda.want_later(EVERYTHING, began, self._next_full_s())
            self._wake.set()

    def _next_full_s(self) -> float:
        """Return the pause before the next full look: `poll_s`, or a growing one while the engine does not respond."""
        self._rest_s = min(self._rest_s * 2, LONGEST_REST_S) if self._lost_since else FIRST_REST_S
        return self._rest_s if self._lost_since else self._settings.poll_s

    async def _hear_history(self) -> None:
        """Wait a moment for the events of the last minutes, which tell who stopped a container."""
        loop = asyncio.get_running_loop()
        end, heard = loop.time() + HISTORY_S, -1
        while heard != len(self._buffer) and loop.time() < end:
            heard = len(self._buffer)
            await asyncio.sleep(HISTORY_S / 4)

    async def look(self, *names: str) -> Snapshot:
        """Look now, at these containers or at everything; on return, the alerts found have been raised."""
        await self._see(names)
        await self._judge()
        return self.snapshot()

    async def _see(self, names: Sequence[str]) -> None:
        began = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(SOURCE_LIMIT_S):
                seen = await self._source.look(only=names)
                oom_kills = None if names else await self._source.oom_kills()
        except (SystemUnavailable, TimeoutError) as error:
            self._says = (
                error.message if isinstance(error, SystemUnavailable) else text("error.late", seconds=SOURCE_LIMIT_S)
            )
            self._be_blind(str(error) or f"no answer within {SOURCE_LIMIT_S:.0f} s")
            return
        if self._lost_since is not None:
            log.warning("the engine answers again", host=self.name)
            self._lost_since = None
            if names:
                self.poke()
        self._buffer.take_look(seen, only=names, began=began, oom_kills=oom_kills)
        self._has_news = True
        self._is_complete = self._is_complete or not names

    async def _judge(self) -> None:
        """Make one snapshot of everything known, run the detectors, and pass on the changes."""
        async with self._judging:
            self._has_news = False
            now = self._clock.now()
            own_acts = await self._own_acts(now - EVENTS_KEPT) if self._own_acts and self._lost_since is None else ()
            self._before = self.snapshot() if self.has_looked.is_set() else None
            if self._lost_since is not None:
                self._buffer.blind(at=now, since=self._lost_since, problem=self._problem, message=self._says)
            else:
                self._buffer.whole(at=now, own_acts=own_acts)
            if self._is_complete:
                self.has_looked.set()
            self._untold.extend(self._board.take(self._view()))
            await self._tell()

    def _be_blind(self, problem: str) -> None:
        self._problem = problem
        self._has_news = True
        if self._lost_since is None:
            log.warning("the engine does not answer", host=self.name, problem=problem)
            self._lost_since = self._clock.now()

    async def _tell(self) -> None:
        """Pass on the changes in order; those that the sink could not take stay first in line for the next time."""
        while self._untold:
            change = self._untold[0]
            if change.is_over:
                await self._sink.clear_alert(change.alert.fingerprint)
            else:
                await self._sink.raise_alert(change.alert, self._graph(change.alert.host))
            self._untold.popleft()

    def _view(self) -> View:
        now = self.snapshot()
        inventory = self._around() if self._around is not None else now.inventory()
        return View(now=now, before=self._before, inventory=inventory, settings=self._settings)

    def _graph(self, host: str) -> Topology:
        return topology(self._around(), host) if self._around is not None else self.topology()

    # -- samples ----------------------------------------------------------------------------------------------------

    async def _measure(self) -> None:
        """Measure the resources every `stats_s`; skipped while the engine does not respond."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                async with asyncio.timeout(SOURCE_LIMIT_S):
                    samples = await self._source.sample()
            except (SystemUnavailable, TimeoutError) as error:
                log.debug("no samples", host=self.name, problem=str(error))
            else:
                self._buffer.take_samples(samples)
                if self._series is not None and samples:
                    await self._series.add(self.name, samples)
            await asyncio.sleep(max(0.1, self._settings.stats_s - (loop.time() - began)))

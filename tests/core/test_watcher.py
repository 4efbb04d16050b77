"""The watcher with a source that can be cut, flooded and silenced."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.errors import SystemUnavailable
from core.incidents.alerts import Alert
from core.monitoring.hosts import WatcherGroup
from core.monitoring.inventory import Container, ContainerState, Health
from core.monitoring.snapshot import Detector, EngineEvent, EventKind, Sample, Snapshot, View
from core.monitoring.topology import Topology
from core.monitoring.watch_buffer import EventWindow
from core.monitoring.watcher import Watcher
from core.settings import WatchSettings
from core.tasks import Tasks
from integrations.docker_engine.detectors import DETECTORS, container_died, paused
from tests.core.scripted_watcher import HOST, Heard, WallClock, at, container, event
from tests.testbed.world import eventually

QUICK = WatchSettings(poll_s=0.1, stats_s=0.05, unreachable_after_s=0.3)
CUT = object()


def now() -> datetime:
    return datetime.now(UTC)


class Source:
    """A SnapshotSource that a test drives: what is there, what is told, whether it answers."""

    def __init__(self, *containers: Container) -> None:
        self.containers = {one.name: one for one in containers}
        self.is_up = True
        self.looks: list[tuple[str, ...]] = []
        self.since: list[datetime | None] = []
        self.stream: asyncio.Queue[Any] = asyncio.Queue()
        self.samples: dict[str, Sample] = {}

    @property
    def name(self) -> str:
        return "local"

    async def look(self, *, only: Sequence[str] = ()) -> Snapshot:
        self.looks.append(tuple(only))
        self._answer()
        seen = {name: one for name, one in self.containers.items() if not only or name in only}
        return Snapshot(at=now(), host=HOST, containers=seen)

    async def events(self, since: datetime | None) -> AsyncIterator[EngineEvent]:
        self.since.append(since)
        self._answer()
        while True:
            told = await self.stream.get()
            if told is CUT:
                raise SystemUnavailable("local", "the stream was cut")
            yield told

    async def sample(self) -> dict[str, Sample]:
        self._answer()
        return self.samples

    async def oom_kills(self) -> dict[str, int]:
        return {}

    def _answer(self) -> None:
        if not self.is_up:
            raise SystemUnavailable("local", "connection refused")

    def tell(self, kind: EventKind, name: str = "shop-api-1", **more: Any) -> None:
        self.stream.put_nowait(replace(event(kind, 0, name, **more), at=now()))

    def change(self, name: str = "shop-api-1", **more: Any) -> None:
        self.containers[name] = replace(self.containers[name], **more)

    def kill(self, name: str = "shop-api-1") -> None:
        """A container ends with code 1, by itself."""
        self.change(name, state=ContainerState.EXITED, exit_code=1, finished_at=now())
        self.tell(EventKind.DIE, name, exit_code=1)


def watching(source: Source, sink: Any, settings: WatchSettings = QUICK, **more: Any) -> Watcher:
    return Watcher(source, DETECTORS, sink=sink, clock=WallClock(), settings=settings, settle_s=0.2, **more)


async def test_an_event_is_followed_by_a_look_at_that_container_only() -> None:
    source, heard = Source(container(), container("shop-web-1")), Heard()
    async with watching(source, heard, replace_settings(poll_s=60)) as eyes:
        await eventually(eyes.has_looked.is_set, 5)
        source.kill()
        await eventually(lambda: heard.raised, 5)
        assert source.looks == [(), ("shop-api-1",)]
        assert set(eyes.snapshot().containers) == {"shop-api-1", "shop-web-1"}


def replace_settings(**more: Any) -> WatchSettings:
    return QUICK.model_copy(update=more)


async def test_an_engine_that_goes_and_comes_back(caplog: pytest.LogCaptureFixture) -> None:
    source, heard = Source(container()), Heard()
    async with watching(source, heard) as eyes:
        await eventually(eyes.has_looked.is_set, 5)
        source.is_up = False
        source.stream.put_nowait(CUT)
        await eventually(lambda: heard.raised, 10)
        [(_, gone)] = heard.raised
        assert gone.kind == "engine_unreachable"
        assert gone.facts()["host_problem"] == "local is unavailable: connection refused"
        assert not eyes.is_quiet(gone.fingerprint, gone.at)
        assert eyes.why_not_quiet("container_died:local/shop/api", gone.at) is not None, "nobody can tell"
        assert not eyes.inventory().hosts[0].is_reachable
        assert "shop-api-1" in eyes.snapshot().containers, "what was last seen stays"
        source.is_up = True
        await eventually(lambda: gone.fingerprint in heard.cleared, 10)
        await eventually(lambda: len(source.since) >= 2, 10, what="the stream is opened again")
        assert not eyes.is_blind
        assert eyes.is_quiet(gone.fingerprint, gone.at)
    said = [record.message for record in caplog.records if "engine" in record.message]
    assert said == ["the engine does not answer", "the engine answers again"], "once each"


async def test_an_engine_that_never_answered() -> None:
    source, heard = Source(), Heard()
    source.is_up = False
    async with watching(source, heard) as eyes:
        await eventually(lambda: heard.raised, 10)
        assert heard.raised[0][1].kind == "engine_unreachable"
        source.is_up = True
        source.containers = {"shop-api-1": container()}
        await eventually(eyes.has_looked.is_set, 10)
        await eventually(lambda: heard.cleared, 10)


async def test_a_cut_stream_goes_on_from_where_it_was() -> None:
    source, heard = Source(container()), Heard()
    async with watching(source, heard) as eyes:
        await eventually(eyes.has_looked.is_set, 5)
        source.tell(EventKind.UPDATE)
        await eventually(lambda: eyes.snapshot().events, 5)
        last = eyes.snapshot().events[-1]
        source.stream.put_nowait(CUT)
        await eventually(lambda: len(source.since) == 2, 5)
        assert source.since[1] == last.at
        source.stream.put_nowait(last)
        source.kill()
        await eventually(lambda: heard.raised, 5)
        assert len(eyes.snapshot().events) == 2, "what is told again is taken once"


async def test_a_flood_of_events_delays_nobody() -> None:
    crowd = [container(f"shop-s{number}-1") for number in range(40)]
    source, heard = Source(container(), *crowd), Heard()
    async with watching(source, heard, replace_settings(poll_s=60)) as eyes:
        await eventually(eyes.has_looked.is_set, 5)
        for number in range(6_000):
            source.tell(EventKind.HEALTH, f"shop-s{number % 40}-1", health=("healthy", "unhealthy")[number % 2])
        began = now()
        source.kill()
        await eventually(lambda: heard.of("shop-api-1"), 5)
        assert (now() - began).total_seconds() < 4, "on a busy machine"
        assert len(eyes.snapshot().events) <= 40 * 200 + 1
        assert len(source.looks) < 400, "looks are fewer than events"


async def test_alerts_that_could_not_be_delivered_are_delivered_later() -> None:
    class Failing(Heard):
        failures = 2

        async def raise_alert(self, alert: Alert, topology: Topology) -> None:
            if self.failures:
                self.failures -= 1
                raise RuntimeError("the database is away")
            await super().raise_alert(alert, topology)

    source, heard = Source(container()), Failing()
    async with watching(source, heard) as eyes:
        await eventually(eyes.has_looked.is_set, 5)
        source.kill()
        await eventually(lambda: heard.raised, 10)
    assert heard.kinds("shop-api-1") == ["container_died"]


class Breakable:
    """A detector as it is shipped, that a test breaks and mends."""

    def __init__(self, whole: Detector) -> None:
        self.is_broken = False
        self._whole = whole
        self.detector = replace(whole, detect=self)
        self.__name__ = whole.name

    def __call__(self, view: View) -> Iterator[Alert]:
        yield from self._whole(view)
        if self.is_broken:
            raise ZeroDivisionError


def guarded_by(*detectors: Detector, source: Source, sink: Heard) -> Watcher:
    return Watcher(source, detectors, sink=sink, clock=WallClock(), settings=QUICK, settle_s=0.2)


async def test_a_detector_that_fails_does_not_blind_the_others() -> None:
    def broken(view: object) -> list[Alert]:
        raise ZeroDivisionError

    bad = Detector(raises=container_died.raises, detect=broken)
    source, heard = Source(container()), Heard()
    async with guarded_by(bad, container_died, source=source, sink=heard) as eyes:
        await eventually(eyes.has_looked.is_set, 5)
        source.kill()
        await eventually(lambda: heard.kinds("shop-api-1"), 5)
        assert eyes.broken_detectors == ("broken",)


@pytest.mark.parametrize("whole", [container_died, paused], ids=["event", "state"])
async def test_a_detector_that_breaks_keeps_what_it_said(whole: Detector, caplog: pytest.LogCaptureFixture) -> None:
    source, heard, own = Source(container()), Heard(), Breakable(whole)
    async with guarded_by(own.detector, source=source, sink=heard) as eyes:
        await eventually(eyes.has_looked.is_set, 5)
        source.change(state=ContainerState.PAUSED, started_at=now())
        if whole is container_died:
            source.kill()
        else:
            source.tell(EventKind.PAUSE)
        await eventually(lambda: heard.kinds("shop-api-1"), 10)
        [(_, said)] = heard.raised
        own.is_broken = True
        mended_at = now()
        source.change(state=ContainerState.RUNNING, exit_code=None, started_at=mended_at)
        await eventually(lambda: len(heard.raised) > 1, 5, what="people are told that it is broken")
        broken = heard.raised[1][1]
        assert (broken.kind, broken.facts()) == ("detector_failed", {"broken_detectors": [whole.name]})
        await asyncio.sleep(1)
        assert heard.cleared == [], "nobody can say that it is over"
        assert eyes.is_firing(said.fingerprint)
        why = eyes.why_not_quiet(said.fingerprint, mended_at)
        assert why is not None
        assert why.key == "watch.quiet.detector_failed"
        assert eyes.broken_detectors == (whole.name,)

        own.is_broken = False
        await eventually(lambda: set(heard.cleared) == {said.fingerprint, broken.fingerprint}, 10)
        assert eyes.is_quiet(said.fingerprint, mended_at)
        assert list(eyes.broken_detectors) == []
    told = [record for record in caplog.records if "detector" in record.message]
    assert [record.message for record in told] == ["a detector failed", "a detector works again"], "once each"
    assert {getattr(record, "detector", "") for record in told} == {whole.name}


async def test_what_a_detector_finds_before_it_breaks_is_raised() -> None:
    source, heard, own = Source(container()), Heard(), Breakable(container_died)
    own.is_broken = True
    async with guarded_by(own.detector, source=source, sink=heard) as eyes:
        await eventually(eyes.has_looked.is_set, 5)
        source.kill()
        await eventually(lambda: heard.kinds("shop-api-1") == ["container_died"], 5)


async def test_a_target_is_quiet_when_it_runs_and_the_trouble_does_not_recur() -> None:
    source, heard = Source(container(restart_policy="always")), Heard()
    async with watching(source, heard) as eyes:
        await eventually(eyes.has_looked.is_set, 5)
        source.kill()
        await eventually(lambda: heard.raised, 5)
        [fingerprint] = [one.alert.fingerprint for one in eyes.firing()]
        acted_at = now()

        async def why() -> str | None:
            await eyes.look()
            found = eyes.why_not_quiet(fingerprint, acted_at)
            return found.key if found else None

        assert await why() == "watch.quiet.down"
        source.change(state=ContainerState.RESTARTING)
        assert await why() == "watch.quiet.restarting"
        source.change(state=ContainerState.RUNNING, exit_code=None, started_at=now(), health=Health.STARTING)
        assert await why() == "watch.quiet.starting"
        source.change(health=Health.UNHEALTHY)
        assert await why() == "watch.quiet.unhealthy"
        source.change(health=Health.HEALTHY)
        assert await why() is None
        assert eyes.why_not_quiet(fingerprint, now() + timedelta(seconds=5)) is not None, "not seen since"
        source.change(restart_count=1)
        assert await why() == "watch.quiet.restarted"
        again = replace(event(EventKind.DIE, 0, exit_code=1), at=now() + timedelta(seconds=1.5))
        source.change(started_at=again.at + timedelta(seconds=0.1))
        source.stream.put_nowait(again)
        await eventually(lambda: heard.raised[-1][1].at == again.at, 5)
        assert await why() == "watch.quiet.again"
        assert eyes.recurred(fingerprint, acted_at)
        del source.containers["shop-api-1"]
        assert eyes.is_firing(fingerprint)
        assert not eyes.is_quiet(fingerprint, acted_at)


async def test_several_hosts_are_asked_as_one() -> None:
    source, heard = Source(container()), Heard()
    watch = WatcherGroup([watching(source, heard)])
    async with watch:
        await eventually(lambda: watch.inventory().containers, 5)
        source.kill()
        await eventually(watch.firing, 5)
        [alert] = watch.firing()
        assert watch.is_firing(alert.fingerprint)
        assert not watch.is_quiet("container_died:far/shop/api", now()), "nobody watches that host"
        await watch.refresh("local")
        assert watch.topology("far") == Topology()


async def test_samples_are_kept_for_the_detectors_and_the_series() -> None:
    class Series:
        rounds = 0

        async def add(self, host: str, samples: dict[str, Sample]) -> None:
            self.rounds += 1

        async def read(self, ref: str, since: datetime, until: datetime) -> list[Any]:
            return []

    source, heard, series = Source(container()), Heard(), Series()
    source.samples = {"shop-api-1": Sample(at=now(), cpu_pct=1, memory_bytes=1, memory_limit_bytes=2)}
    async with watching(source, heard, series=series) as eyes:
        await eventually(lambda: series.rounds >= 2 and eyes.snapshot().samples, 5)


def test_the_window_is_bounded_in_time_and_number() -> None:
    window = EventWindow(limit=100, per_container=30)
    for number in range(1000):
        window.add(event(EventKind.UPDATE, number / 1000, f"shop-s{number % 50}-1"))
    assert len(window) <= 100
    assert window.all()[-1].at == at(0.999)
    for number in range(1000):
        window.add(event(EventKind.UPDATE, 1 + number / 1000, "shop-noisy-1"))
    assert sum(one.name != "shop-noisy-1" for one in window.all()) >= 60, "one noisy container does not push out others"
    window.add(event(EventKind.DIE, 400))
    assert [one.kind for one in window.all()] == [EventKind.DIE]


async def test_a_task_that_dies_is_reported_and_restarted() -> None:
    runs, deaths = 0, list[str]()

    async def work() -> None:
        nonlocal runs
        runs += 1
        if runs < 3:
            raise ValueError("no")
        await asyncio.Event().wait()

    async def hear(name: str, error: Exception) -> None:
        deaths.append(f"{name}: {error}")

    async with Tasks(on_death=hear) as tasks:
        tasks.start("clock", work, restarts=True)
        await eventually(lambda: runs == 3, 5)
        assert tasks.names == ["clock"]
    assert deaths == ["clock: no", "clock: no"]
    assert tasks.names == []

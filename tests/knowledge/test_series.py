"""Measured resources: grains, roll-ups, restarts, cost; and the `history` actions over them."""

import math
import time
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from core.actions.catalog import Catalog, Outcome
from core.errors import InvalidParams
from core.incidents.lessons import Lesson
from core.monitoring.inventory import Container, ContainerState, Host, Inventory
from core.monitoring.snapshot import Sample
from knowledge.config.text_files import load_texts
from knowledge.database import Database
from knowledge.history_actions import HistoryToolset
from knowledge.memory.incident_memory import IncidentMemory
from knowledge.records.incident_records import IncidentRecords
from knowledge.records.lesson_records import LessonRecords
from knowledge.series import SeriesRecords
from knowledge.tables import series as table
from tests.knowledge.tools import NOON, SetClock, an_incident

MB = 1024 * 1024


def a_sample(clock: SetClock, *, cpu: float = 10.0, memory_mb: float = 100.0, network: int = 0) -> Sample:
    return Sample(
        at=clock.now(),
        cpu_pct=cpu,
        memory_bytes=int(memory_mb * MB),
        memory_limit_bytes=512 * MB,
        network_rx_bytes=network,
    )


async def rows(database: Database, grain_s: int) -> int:
    async with database.read() as connection:
        query = select(func.count()).select_from(table).where(table.c.grain_s == grain_s)
        return int((await connection.execute(query)).scalar_one())


async def test_rounds_read_back_as_measured(database: Database) -> None:
    clock = SetClock()
    series = SeriesRecords(database, clock)
    for n in range(6):
        await series.add("local", {"api": a_sample(clock, cpu=n, network=n * 1000), "db": a_sample(clock)})
        clock.advance(seconds=10)
    points = await series.read("local/api", NOON - timedelta(seconds=1), clock.now())
    assert [point.cpu_pct for point in points] == [0, 1, 2, 3, 4, 5]
    assert points[-1].network_rx_bytes == 5000
    assert points[0].memory_bytes == points[0].memory_max_bytes == 100 * MB
    assert points[0].memory_limit_bytes == 512 * MB
    assert len(await series.read("local/api", NOON + timedelta(seconds=15), NOON + timedelta(seconds=35))) == 2
    assert await series.read("local/gone", NOON, clock.now()) == []
    assert await series.containers("local") == ["api", "db"]


async def test_minutes_and_tens_are_rolled_up(sqlite: Database) -> None:
    clock = SetClock(NOON.replace(microsecond=0))
    series = SeriesRecords(sqlite, clock)
    for n in range(6 * 130):  # 130 minutes
        memory = 400 if n % 6 == 3 else 100
        await series.add("local", {"api": a_sample(clock, cpu=n % 6, memory_mb=memory, network=n)})
        clock.advance(seconds=10)
    now = clock.now()
    minutes = await series.read("local/api", now - timedelta(minutes=125), now)
    assert len(minutes) == 125
    assert minutes[0].cpu_pct == pytest.approx(2.5)
    assert minutes[0].memory_bytes == pytest.approx(150 * MB)
    assert minutes[0].memory_max_bytes == 400 * MB
    assert minutes[0].network_rx_bytes == 6 * 5 + 5
    tens = await series.read("local/api", now - timedelta(days=2), now)
    assert len(tens) == 13
    assert tens[3].memory_max_bytes == 400 * MB
    assert await rows(sqlite, 0) <= 6 * 66


async def test_a_restart_continues_the_span_under_way(sqlite: Database) -> None:
    clock = SetClock(NOON.replace(microsecond=0))
    first = SeriesRecords(sqlite, clock)
    for n in range(3):
        await first.add("local", {"api": a_sample(clock, cpu=n)})
        clock.advance(seconds=10)
    second = SeriesRecords(sqlite, clock)
    for n in range(3, 7):
        await second.add("local", {"api": a_sample(clock, cpu=n)})
        clock.advance(seconds=10)
    points = await second.read("local/api", clock.now() - timedelta(hours=3), clock.now())
    assert [point.cpu_pct for point in points] == [pytest.approx(2.5), pytest.approx(6)]


async def test_old_rows_are_forgotten(sqlite: Database) -> None:
    clock = SetClock(NOON.replace(microsecond=0))
    series = SeriesRecords(sqlite, clock)
    await series.add("local", {"job-1": a_sample(clock)})
    for _ in range(6 * 40):
        await series.add("local", {"api": a_sample(clock)})
        clock.advance(hours=4)
    assert await series.containers("local") == ["api"]
    assert await rows(sqlite, 0) <= 2
    assert await rows(sqlite, 60) <= 8
    assert 6 * 29 <= await rows(sqlite, 600) <= 6 * 30 + 2


async def test_a_round_of_a_hundred_costs_the_loop_little(sqlite: Database) -> None:
    clock = SetClock()
    series = SeriesRecords(sqlite, clock)
    names = [f"shop-service-{n}" for n in range(100)]
    spent = []
    for _ in range(30):
        samples = {name: a_sample(clock, cpu=math.pi) for name in names}
        began = time.thread_time()
        await series.add("local", samples)
        spent.append(time.thread_time() - began)
        clock.advance(seconds=10)
    assert sorted(spent)[len(spent) // 2] < 0.015


@pytest.fixture
def clock() -> SetClock:
    return SetClock(NOON.replace(microsecond=0))


@pytest.fixture
def catalog(sqlite: Database, tmp_path: Path, clock: SetClock) -> Catalog:
    api = Container(
        host="local",
        id="a" * 64,
        name="shop-api-1",
        stack="shop",
        service="api",
        image="x",
        state=ContainerState.RUNNING,
    )
    inventory = Inventory(hosts=(Host(name="local"),), containers=(api,))
    memory = IncidentMemory(LessonRecords(sqlite), tmp_path / "memory")
    return Catalog(
        [HistoryToolset(SeriesRecords(sqlite, clock), IncidentRecords(sqlite), memory, clock, lambda: inventory)]
    )


async def ask(catalog: Catalog, name: str, **params: object) -> tuple[Outcome, dict[str, object], str, str]:
    action = catalog.get(name)
    result = await action.run(action.parse(params))
    texts = load_texts()
    said = texts.render(result.message, "en"), texts.render(result.message, "es")
    assert "{" not in "".join(said)
    assert not any(sentence.startswith("history.") for sentence in said)
    return result.outcome, dict(result.data), *said


async def test_stats_of_a_leak(sqlite: Database, catalog: Catalog, clock: SetClock) -> None:
    outcome, _, said, _ = await ask(catalog, "history.stats", container="shop-api-1")
    assert outcome is Outcome.NO_DATA
    assert "no measurements of" in said
    series = SeriesRecords(sqlite, clock)
    for n in range(60):
        await series.add("local", {"shop-api-1": a_sample(clock, memory_mb=100 + 5 * n)})
        clock.advance(seconds=10)
    outcome, data, said, dicho = await ask(catalog, "history.stats", container="shop-api-1", window="30m")
    assert outcome is Outcome.OK
    assert data["memory_shape"] == "ramp"
    assert (data["samples"], data["memory_peak_mb"], data["memory_last_mb"]) == (60, 395.0, 395.0)
    assert data["memory_slope_mb_per_hour"] == pytest.approx(1800, rel=0.01)
    assert "growing steadily" in said
    assert "creciendo" in dicho


async def test_a_little_growth_far_below_the_limit_is_no_leak_to_the_records_either(
    sqlite: Database, catalog: Catalog, clock: SetClock
) -> None:
    series = SeriesRecords(sqlite, clock)
    for n in range(31):
        await series.add("local", {"shop-gone-1": a_sample(clock, memory_mb=100 + n)})
        clock.advance(seconds=10)
    _, data, _, _ = await ask(catalog, "history.stats", container="local/shop-gone-1", window="30m")
    assert (data["memory_limit_mb"], data["memory_shape"]) == (512.0, "flat")


async def test_recent_incidents_and_similar_ones(sqlite: Database, catalog: Catalog, tmp_path: Path) -> None:
    assert (await ask(catalog, "history.incidents", stack="shop"))[0] is Outcome.NO_DATA
    assert (await ask(catalog, "history.similar", text="memory"))[0] is Outcome.NO_DATA
    await IncidentRecords(sqlite).open(an_incident(NOON - timedelta(hours=1)))
    outcome, data, _, _ = await ask(catalog, "history.incidents", stack="shop", service="api")
    assert outcome is Outcome.OK
    assert [row["cause"] for row in data["incidents"]] == ["memory_limit"]  # type: ignore[attr-defined]
    lesson = Lesson(incident_id=1, at=NOON, stack="shop", service="api", kind="k", cause="c", text="memory", held=True)
    await LessonRecords(sqlite).save(lesson)
    outcome, data, _, _ = await ask(catalog, "history.similar", text="memoria")
    assert [row["helped"] for row in data["lessons"]] == [True]  # type: ignore[attr-defined]


def test_an_invalid_time_window_is_refused(catalog: Catalog) -> None:
    with pytest.raises(InvalidParams, match="like 30m or 2h"):
        catalog.get("history.stats").parse({"container": "x", "window": "yesterday"})

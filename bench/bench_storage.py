"""Writes of one incident to the graph's file, and the query times of a history of 50,000."""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from sqlalchemy import insert

from bench.common import Report, spread
from bench.graph_writes import GraphWrites, count_from_now, read_counts
from core.incidents.incident import IncidentState
from core.settings import Settings, VerificationSettings
from knowledge.records.incident_records import IncidentRecords, _columns
from knowledge.records.lesson_records import LessonRecords, VectorCollection
from knowledge.stores import Knowledge
from knowledge.tables import incidents, lessons
from tests.agent.incident.world import API, IncidentWorld
from tests.knowledge.tools import NOON, SetClock, an_incident
from tests.testbed.world import eventually

HISTORY = 50_000
STACKS = 50
ROUNDS = 50
MODEL = "m@1#1024"
MOST_ROWS, MOST_KB, MOST_MS = 60, 64, 5.0


async def _an_incident(home: Path) -> tuple[GraphWrites, int]:
    """Run an incident with the default verification window; returns its writes and the file's final size."""
    usual = VerificationSettings()
    world = IncidentWorld(home=home, settings={"verification": usual.model_dump()})
    async with world.running():
        count_from_now(home / "graph.db")
        world.decide_when_asked(world.approve)
        world.engine.kill(API)
        await world.incident(IncidentState.RESOLVED, limit_s=2 * usual.window_s + 30)
        await eventually(lambda: _has_no_threads(world), 10, what="the thread dropped")
        return await asyncio.to_thread(lambda: (read_counts(home / "graph.db"), _bytes(home)))


async def _has_no_threads(world: IncidentWorld) -> bool:
    return not await world.knowledge.checkpoints.threads()


def _bytes(home: Path) -> int:
    return sum(path.stat().st_size for path in home.glob("graph.db*"))


async def _fill(knowledge: Knowledge) -> None:
    """Fill a history: every incident closed, every lesson in both indexes."""
    row = _columns(replace(an_incident(), state=IncidentState.RESOLVED, closed_at=NOON))
    lesson = {"at": NOON, "service": "api", "runbook": "r", "held": True, "body": "{}" * 500}
    known = {"embedding": bytes(4096), "embedding_model": MODEL, "in_builtin": True, "in_model": True}
    for first in range(0, HISTORY, 1000):
        numbers = range(first, first + 1000)
        stacks = [f"stack-{number % STACKS}" for number in numbers]
        async with knowledge.database.write() as connection:
            await connection.execute(insert(incidents), [{**row, "stack": stack} for stack in stacks])
            await connection.execute(
                insert(lessons), [{**lesson, **known, "stack": stack, "cause": f"c{stack}"} for stack in stacks]
            )


async def _ask(knowledge: Knowledge, report: Report) -> None:
    store, memory = IncidentRecords(knowledge.database), LessonRecords(knowledge.database)
    await _timed(report, "the last 10 incidents of a stack", lambda: store.recent(10, stack="stack-7"))
    await _timed(report, "… of a stack that never had one", lambda: store.recent(10, stack="new"))
    await _timed(report, "lessons the built-in index lacks", lambda: memory.unindexed(VectorCollection.BUILTIN, 100))
    await _timed(
        report,
        "lessons the model's index lacks",
        lambda: memory.unindexed(VectorCollection.MODEL, 100, model="m@1#1024"),
    )
    await _timed(report, "lessons the model has not embedded", lambda: memory.unembedded("m@1", 100))


async def _timed(report: Report, what: str, ask: Callable[[], Awaitable[object]]) -> None:
    took = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        await ask()
        took.append((time.perf_counter() - began) * 1000)
    report.add(f"{what}, of {HISTORY}", statistics.median(took), "ms", limit=MOST_MS, note=spread(took, "ms"))


async def _measure() -> int:
    report = Report("storage")
    with tempfile.TemporaryDirectory() as home:
        written, left = await _an_incident(Path(home))
    report.add("graph rows written by an incident, 30 s window", written.rows, "", limit=MOST_ROWS)
    report.add("… bytes of them", written.bytes / 1024, "KB", limit=MOST_KB)
    report.add("… the graph's file after it has closed", left / 1024, "KB", limit=MOST_KB)
    with tempfile.TemporaryDirectory() as home:
        clock = SetClock(NOON + timedelta(days=1))
        async with Knowledge(Settings(data_dir=Path(home)), clock) as knowledge:
            await _fill(knowledge)
            await _ask(knowledge, report)
    return report.finish()


def main() -> int:
    """Print the figures; the exit code says whether they kept their limit."""
    return asyncio.run(_measure())


if __name__ == "__main__":
    sys.exit(main())

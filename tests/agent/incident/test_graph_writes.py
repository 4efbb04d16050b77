"""What the graph costs: a long verification writes no more than a short one, and nothing of it stays."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from bench.graph_writes import count_from_now, read_counts
from core.incidents.incident import Incident, IncidentState
from core.incidents.incident_events import IncidentChanged
from tests.agent.incident.world import API, IncidentWorld
from tests.testbed.world import eventually

MOST_ROWS = 60
LOOKS = 15
"""As many as the settings out of the box make: 30 s, one every 2 s."""


@pytest.mark.parametrize("looks", [2, LOOKS])
async def test_an_incident_writes_at_most_sixty_rows_however_long_it_is_verified(tmp_path: Path, looks: int) -> None:
    world = IncidentWorld(home=tmp_path, settings={"verification": {"window_s": looks * 0.1, "poll_s": 0.1}})
    async with world.running():
        count_from_now(tmp_path / "graph.db")
        world.decide_when_asked(world.approve)
        world.engine.kill(API)
        await world.incident(IncidentState.RESOLVED)
        await eventually(lambda: not threads(tmp_path), 5, what="the thread dropped")
        written = read_counts(tmp_path / "graph.db")
        assert 20 < written.rows <= MOST_ROWS, written


async def test_a_look_costs_the_records_nothing(tmp_path: Path) -> None:
    """Between the first good look and the verdict neither the run nor the incident is written again."""
    world = IncidentWorld(home=tmp_path, settings={"verification": {"window_s": 1.5, "poll_s": 0.05}})
    async with world.running():
        world.decide_when_asked(world.approve)
        world.engine.kill(API)
        seen = await good(world)
        run = await world.knowledge.runs.get(seen.key)
        rows = writes_of(tmp_path)
        await eventually(lambda: world.clock.now() - since(seen) > timedelta(seconds=1.0), 5)
        assert writes_of(tmp_path) == rows
        assert await world.knowledge.runs.get(seen.key) == run
        await world.incident(IncidentState.RESOLVED)


async def test_a_restart_in_the_middle_of_a_verification_does_not_begin_it_anew(tmp_path: Path) -> None:
    window_s = 3.0
    world = IncidentWorld(home=tmp_path, settings={"verification": {"window_s": window_s, "poll_s": 0.1}})
    world.decide_when_asked(world.approve)
    async with world.running():
        world.engine.kill(API)
        before = await good(world)
        stopped_at = world.clock.now()
    assert (world.clock.now() - stopped_at).total_seconds() < 3.0, "a look that rests delays the stop"
    async with world.running():
        solved = await world.incident(IncidentState.RESOLVED)
    assert solved.verification == before.verification
    assert solved.closed_at is not None
    assert window_s <= (solved.closed_at - since(before)).total_seconds()
    assert world.starts() == 1


async def test_no_place_for_other_runs_is_taken_by_more_than_a_few_repairs(tmp_path: Path) -> None:
    """With no room to watch inside the run, it looks, leaves, and comes back: with the same end."""
    world = IncidentWorld(home=tmp_path, settings={"verification": {"window_s": 0.6, "poll_s": 0.1}})
    world.decide_when_asked(world.approve)
    async with world.running():
        world.runtime.leave()
        world.engine.kill(API)
        solved = await world.incident(IncidentState.RESOLVED)
        assert solved.attempt == 1


async def test_who_acknowledges_a_repair_that_is_being_verified_keeps_the_incident(tmp_path: Path) -> None:
    world = IncidentWorld(home=tmp_path, settings={"verification": {"window_s": 1.0, "poll_s": 0.1}})
    world.decide_when_asked(world.approve)
    seen: list[IncidentState] = []
    async with world.running():
        world.engine.kill(API)
        known = await good(world)

        async def changed(event: IncidentChanged) -> None:
            seen.append(event.incident.state)

        world.bus.subscribe(IncidentChanged, changed)
        await world.tracker.update(known.id, lambda one: replace(one, state=IncidentState.ACKNOWLEDGED))
        await world.incident(IncidentState.RESOLVED, IncidentState.RECOVERED)
        assert IncidentState.VERIFYING not in seen


@pytest.mark.parametrize(
    "end", ["resolved", "recovered while asked", "recovered after a no", "merged", "closed by hand"]
)
async def test_no_thread_outlives_its_incident(tmp_path: Path, end: str) -> None:
    world = IncidentWorld(home=tmp_path)
    async with world.running():
        world.engine.kill(API)
        asked = await world.incident(IncidentState.NEEDS_APPROVAL)
        assert threads(tmp_path) == [asked.key]
        (question,) = await world.gateway.approvals.pending()
        if end == "resolved":
            await world.approve(question.id)
        elif end == "recovered while asked":
            await world.engine.start(API)
        elif end == "merged":
            await world.tracker.update(asked.id, lambda one: replace(one, state=IncidentState.MERGED))
            await world.gateway.withdraw(asked.id)
        else:
            await world.deny(question.id)
            await world.incident(IncidentState.DENIED)
            assert threads(tmp_path) == [asked.key]
            if end == "closed by hand":
                await eventually(lambda: _is_over(world, asked), 5)
                await world.tracker.update(asked.id, lambda one: replace(one, state=IncidentState.RESOLVED))
            else:
                await world.engine.start(API)
        await eventually(lambda: threads(tmp_path) == [], 10, what="the thread dropped")
        known = await world.knowledge.incidents.get(asked.id)
        assert known is not None
        assert not known.is_open


async def _is_over(world: IncidentWorld, incident: Incident) -> bool:
    run = await world.knowledge.runs.get(incident.key)
    return run is not None and run.result is not None


async def good(world: IncidentWorld) -> Incident:
    """The incident once all has looked well for the first time."""

    async def found() -> Incident | None:
        known = await world.incident(IncidentState.VERIFYING)
        return known if known.verification is not None and known.verification.good_since is not None else None

    result = await eventually(found, 10, what="all well")
    assert result is not None
    return result


def since(incident: Incident) -> datetime:
    """The moment since when all was well."""
    assert incident.verification is not None
    assert incident.verification.good_since is not None
    return incident.verification.good_since


def threads(home: Path) -> list[str]:
    """What lies in the graph's file, read from outside."""
    with closing(sqlite3.connect(home / "graph.db", timeout=10)) as connection:
        rows = connection.execute("SELECT thread_id FROM checkpoints UNION SELECT thread_id FROM writes").fetchall()
    return [row[0] for row in rows]


def writes_of(home: Path) -> tuple[object, ...]:
    """What would differ in the rows of incidents and runs if either was written."""
    with closing(sqlite3.connect(home / "guardian.db", timeout=10)) as connection:
        incidents = connection.execute("SELECT body FROM incidents").fetchall()
        runs = connection.execute("SELECT key, state, due_at, updated_at FROM runs").fetchall()
    return (*incidents, *runs)

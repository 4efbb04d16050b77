"""Trouble that comes back between the verdict that a repair has held and the closing keeps the incident open."""

from __future__ import annotations

from pathlib import Path

from core.incidents.incident import IncidentState
from core.text import text
from tests.agent.incident.world import API, IncidentWorld

OVER_A_SECOND = {"verification": {"window_s": 1.2, "poll_s": 0.05}}
"""So long after the first end, a second one counts as another."""


async def test_a_death_after_the_verdict_is_not_resolved(tmp_path: Path) -> None:
    world = IncidentWorld(home=tmp_path, settings=OVER_A_SECOND)

    async def dies_again() -> None:
        world.engine.kill(API)
        await world.watch.refresh("local")

    world.before_resolved.append(dies_again)
    async with world.running():
        world.decide_when_asked(world.approve)
        world.engine.kill(API)
        ended = await world.incident(IncidentState.RESOLVED, IncidentState.ESCALATED)
        assert ended.state is IncidentState.ESCALATED
        assert ended.repeats == 1
        recurred = text("agent.plan_failed", reason=text("verify.recurred", what=ended.message))
        assert recurred in [one.message for one in ended.timeline]


async def test_a_closing_without_a_recurrence_resolves(tmp_path: Path) -> None:
    world = IncidentWorld(home=tmp_path, settings=OVER_A_SECOND)
    looked: list[bool] = []

    async def looks_again() -> None:
        await world.watch.refresh("local")
        looked.append(True)

    world.before_resolved.append(looks_again)
    async with world.running():
        world.decide_when_asked(world.approve)
        world.engine.kill(API)
        await world.incident(IncidentState.RESOLVED)
        assert looked == [True]
        assert world.starts() == 1

"""A decision may fall at any moment between "asked" and "waiting": none is lost, the action is done exactly once."""

from __future__ import annotations

import asyncio
from datetime import UTC
from pathlib import Path

import pytest

from core.actions.approvals import ApprovalState
from core.incidents.incident import IncidentState
from core.text import text
from core.views.cards import line
from core.views.incident_card import IncidentView, incident_card
from tests.agent.incident.world import ADA, API, IncidentWorld

DELAYS_MS = [0, 1, 2, 5, 10, 20, 50]


@pytest.mark.parametrize("is_twice", [False, True])
@pytest.mark.parametrize("delay_ms", [None, *DELAYS_MS])
async def test_an_approval_is_never_lost(tmp_path: Path, delay_ms: int | None, is_twice: bool) -> None:
    """None: from inside the publishing of the question, before the graph has heard that it was asked."""
    world = IncidentWorld(home=tmp_path, is_twice=is_twice)
    late: list[asyncio.Task[object]] = []

    async def decide(approval_id: str) -> None:
        if delay_ms is None:
            await world.approve(approval_id)
        else:
            late.append(asyncio.create_task(_after(delay_ms, world, approval_id), name="a late tap"))

    async with world.running():
        world.decide_when_asked(decide)
        world.engine.kill(API)
        solved = await world.incident(IncidentState.RESOLVED)
        await asyncio.gather(*late)
        assert world.starts() == 1
        assert solved.attempt == 1


async def _after(delay_ms: int, world: IncidentWorld, approval_id: str) -> object:
    await asyncio.sleep(delay_ms / 1000)
    return await world.approve(approval_id)


@pytest.mark.parametrize("delay_ms", DELAYS_MS)
async def test_of_two_decisions_the_first_counts(tmp_path: Path, delay_ms: int) -> None:
    """Yes and no so many milliseconds apart, both ways round by who is first."""
    world = IncidentWorld(home=tmp_path)
    outcomes: list[bool] = []

    async def one_after_the_other(approval_id: str) -> None:
        yes = asyncio.create_task(world.approve(approval_id), name="yes")
        await asyncio.sleep(delay_ms / 1000)
        no = asyncio.create_task(world.deny(approval_id), name="no")
        outcomes.extend(one.is_first for one in await asyncio.gather(yes, no))

    async with world.running():
        world.decide_when_asked(one_after_the_other)
        world.engine.kill(API)
        ended = await world.incident(IncidentState.RESOLVED, IncidentState.DENIED)
        assert sorted(outcomes) == [False, True]
        was_approved = outcomes[0]
        assert ended.state is (IncidentState.RESOLVED if was_approved else IncidentState.DENIED)
        assert world.starts() == (1 if was_approved else 0)


async def test_a_denied_incident_names_who_denied_it(tmp_path: Path) -> None:
    world = IncidentWorld(home=tmp_path)
    async with world.running():
        world.decide_when_asked(world.deny)
        world.engine.kill(API)
        denied = await world.incident(IncidentState.DENIED)
        assert denied.outcome == text("agent.denied", who=ADA.id)
        assert denied.timeline[-1].message == denied.outcome
        card = incident_card(IncidentView(incident=denied, now=denied.occurred_at, zone=UTC, names={ADA.id: "Ada"}))
        assert line(text("agent.denied", who="Ada")) in card.blocks


@pytest.mark.parametrize("delay_ms", [None, *DELAYS_MS])
async def test_a_recovery_beside_the_decision_leaves_nothing_open(tmp_path: Path, delay_ms: int | None) -> None:
    """The container comes back by a person's hand while the tap is under way: whichever wins, all is closed."""
    world = IncidentWorld(home=tmp_path)

    async def decide(approval_id: str) -> None:
        await world.engine.start(API)
        if delay_ms is not None:
            await asyncio.sleep(delay_ms / 1000)
        await world.approve(approval_id)

    async with world.running():
        world.decide_when_asked(decide)
        world.engine.kill(API)
        await world.incident(IncidentState.RESOLVED, IncidentState.RECOVERED)
        assert await world.gateway.approvals.pending() == []
        assert world.starts() == 1  # by hand: starting what runs changes nothing


async def test_a_stopped_program_goes_on_with_the_decision_made_meanwhile(tmp_path: Path) -> None:
    """Decided by another process while this one did not run: the next start carries it out."""
    world = IncidentWorld(home=tmp_path)
    async with world.running():
        world.engine.kill(API)
        await world.incident(IncidentState.NEEDS_APPROVAL)
        (question,) = await world.gateway.approvals.pending()
        approvals, at = world.knowledge.approvals, world.clock.now()
        await world.knowledge.runs.stop()
        await approvals.decide(question.id, ApprovalState.APPROVED, by="tg:1001", at=at)

    async with world.running():
        await world.gateway.recover()
        await world.incident(IncidentState.RESOLVED)
        assert world.starts() == 1

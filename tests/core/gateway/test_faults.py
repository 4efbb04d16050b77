"""What becomes of a call when the records fail, a lock is not free, the world is silent, or we fail ourselves."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from core.actions.call_outcome import CallLimits
from core.actions.calls import Call, CallState
from core.actions.catalog import Outcome
from core.runs import RunState
from tests.core.gateway.gateway_world import ADA, QUICK, Oven, kitchen
from tests.knowledge.failing_database import WRITING, Moment
from tests.testbed.world import eventually

AWAY_S = 0.5
EVERY_MOMENT = (*WRITING, Moment.READ)


@pytest.mark.parametrize("moment", EVERY_MOMENT)
@pytest.mark.parametrize(("answer", "state"), [("", CallState.OK), ("refused", CallState.FAILED)])
async def test_an_end_is_recorded_as_it_was_once_the_records_are_back(
    tmp_path: Path, moment: Moment, answer: str, state: CallState
) -> None:
    """A good change that was recorded as failed would be rolled back."""
    oven = Oven(answers=[answer] * 2, shows=Outcome.FAILED)
    async with kitchen(tmp_path, oven) as world:

        async def records_fail() -> None:
            world.database.fail(moment, for_s=AWAY_S)

        oven.meanwhile = records_fail
        await world.warm()
        await eventually(lambda: oven.warmed and not world.database.is_failing, what="the records being back")
        ended = await world.ended("w1")
        await eventually(lambda: world.told, what="the end being told")
    assert ended.state is state
    assert ended.result is not None and ended.result.message.key == "action.oven.warm"
    assert (oven.warmed, oven.asked) == (["w1"], 0)
    assert [(record.call.key, record.state) for record in world.told] == [("w1", state)]


@pytest.mark.parametrize(
    ("shows", "state"), [(Outcome.OK, CallState.OK), (Outcome.UNKNOWN, CallState.UNKNOWN), (None, CallState.UNKNOWN)]
)
async def test_an_end_that_was_never_written_is_settled_by_the_next_life(
    tmp_path: Path, shows: Outcome | None, state: CallState
) -> None:
    oven = Oven(shows=shows)
    async with kitchen(tmp_path, oven) as world:

        async def records_fail() -> None:
            world.database.fail(*WRITING)

        oven.meanwhile = records_fail
        await world.warm()
        await eventually(lambda: world.database.failures, what="a fault")
    async with kitchen(tmp_path, oven) as world:
        ended = await world.ended("w1")
    assert ended.state is state
    assert oven.warmed == ["w1"]


async def test_a_retry_that_cannot_be_written_is_retried_later(tmp_path: Path) -> None:
    oven = Oven(answers=["refused", ""])
    async with kitchen(tmp_path, oven) as world:

        async def records_fail() -> None:
            if len(oven.warmed) == 1:
                world.database.fail(Moment.WRITE, for_s=AWAY_S)

        oven.meanwhile = records_fail
        await world.gateway.submit(Call(key="w1", action="oven.warm", params={}, actor=ADA, retries=1))
        ended = await world.ended("w1")
    assert (ended.state, ended.tries) == (CallState.OK, 1)
    assert oven.warmed == ["w1", "w1"]


async def test_records_that_fail_before_the_start_only_delay_it(tmp_path: Path) -> None:
    async with kitchen(tmp_path, Oven()) as world:
        async with world.knowledge.locks.hold("stack:kitchen", wait_s=1):
            await world.warm()
            world.database.fail(Moment.READ, for_s=AWAY_S)
        ended = await world.ended("w1")
    assert ended.state is CallState.OK
    assert world.oven.warmed == ["w1"]


async def test_what_waits_too_long_for_its_target_says_so_and_is_not_carried_out(tmp_path: Path) -> None:
    limits = CallLimits(lock_s=0.2, settle_s=0.4, answer_s=0.2, records_s=0.05)
    async with kitchen(tmp_path, Oven(), limits) as world, world.knowledge.locks.hold("stack:kitchen", wait_s=1):
        await world.warm()
        ended = await world.ended("w1")
    assert ended.state is CallState.FAILED
    assert ended.result is not None and ended.result.message.key == "gateway.busy"
    assert world.oven.warmed == []


async def test_what_was_begun_is_never_called_busy(tmp_path: Path) -> None:
    """Its end cannot be written yet, and when it can, another call holds the target for long."""
    limits = CallLimits(lock_s=0.1, settle_s=0.4, answer_s=0.2, records_s=0.05)
    oven = Oven()
    async with kitchen(tmp_path, oven, limits) as world:

        async def records_fail() -> None:
            world.database.fail(Moment.WRITE, for_s=0.2)

        oven.meanwhile = records_fail
        await world.warm()
        await eventually(lambda: world.database.failures, what="a fault")
        async with world.knowledge.locks.hold("stack:kitchen", wait_s=1):
            await asyncio.sleep(0.8)
            record = await world.gateway.ledger.get("w1")
            assert record is not None and record.state is CallState.STARTED
        ended = await world.ended("w1")
    assert ended.state is CallState.OK
    assert oven.warmed == ["w1"]


async def test_a_silent_world_holds_the_target_for_a_bounded_time(tmp_path: Path) -> None:
    """Whoever waits for the same target comes in while it still waits, and never beside the other one."""
    oven = Oven(answers=["lost"], shows=None)
    async with kitchen(tmp_path, oven) as world:
        began = asyncio.get_running_loop().time()
        await world.warm("w1")
        await eventually(lambda: oven.asked, what="the world being asked")
        await world.warm("w2")
        second = await world.ended("w2")
        took_s = asyncio.get_running_loop().time() - began
        first = await world.ended("w1")
    assert (first.state, second.state) == (CallState.UNKNOWN, CallState.OK)
    assert oven.warmed == ["w1", "w2"]
    assert oven.most_inside == 1
    assert oven.asked <= 3
    assert took_s < QUICK.lock_s


def test_the_world_is_asked_for_less_than_another_call_waits() -> None:
    limits = CallLimits()
    assert limits.settle_s + limits.answer_s <= limits.lock_s / 2


@pytest.mark.parametrize(("shows", "state"), [(Outcome.OK, CallState.FAILED), (Outcome.FAILED, CallState.OK)])
async def test_a_cut_off_undo_took_effect_where_the_change_is_gone(
    tmp_path: Path, shows: Outcome, state: CallState
) -> None:
    oven = Oven(shows=shows)
    async with kitchen(tmp_path, oven) as world:
        await world.warm()
        await world.ended("w1")

        async def hang() -> None:
            await asyncio.sleep(30)

        oven.meanwhile = hang
        await world.gateway.submit(Call(key="u1", action="oven.warm", params={}, actor=ADA, undo_of="w1"))
        assert (await world.ended("u1")).state is state


async def test_a_call_that_we_cannot_carry_out_ends_and_says_why(tmp_path: Path) -> None:
    async with kitchen(tmp_path, Oven()) as world:
        async with world.knowledge.locks.hold("stack:kitchen", wait_s=1):
            await world.warm()
            world.is_facts_broken = True
        ended = await world.ended("w1")
        run = await world.knowledge.runs.get("call:w1")
    assert ended.state is CallState.FAILED
    assert ended.result is not None and "nobody knows what is where" in str(ended.result.message.values["problem"])
    assert [record.state for record in world.told] == [CallState.FAILED]
    assert run is not None and run.state in (RunState.RUNNING, RunState.DEAD)

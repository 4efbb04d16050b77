"""Actions that only begin something: the call ends with the verdict of the run that follows it, and begins it once."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.actions.calls import Call, CallState
from core.actions.catalog import JsonObject
from core.actions.policy import Decision
from core.runs import RunState
from tests.core.gateway.gateway_world import ADA, COOKED, Kitchen, Oven, kitchen
from tests.testbed.world import eventually

WELL: JsonObject = {"outcome": "ok", "message": COOKED.to_json(), "data": {"minutes": 40}}
NEVER: JsonObject = {"outcome": "never", "message": COOKED.to_json()}


async def wish(world: Kitchen) -> None:
    """Ask for it and say yes."""
    receipt = await world.gateway.submit(Call(key="w1", action="oven.bake", params={}, actor=ADA))
    assert receipt.approval is not None
    await world.gateway.decide(receipt.approval.id, ADA, approve=True)


async def test_a_followed_call_ends_with_the_deployment_it_started(tmp_path: Path) -> None:
    oven = Oven()
    async with kitchen(tmp_path, oven) as world:
        await wish(world)
        await eventually(lambda: oven.followed, what="somebody following it")
        record = await world.gateway.ledger.get("w1")
        assert record is not None and record.state is CallState.STARTED
        oven.end = WELL
        ended = await world.ended("w1")
    assert ended.state is CallState.OK
    assert ended.result is not None and ended.result.data == {"minutes": 40}
    assert oven.begun == ["w1"]


@pytest.mark.parametrize(("said", "state"), [("failed", CallState.FAILED), ("unknown", CallState.UNKNOWN)])
async def test_a_followed_call_takes_its_verdict_from_the_deployment(
    tmp_path: Path, said: str, state: CallState
) -> None:
    oven = Oven(end={"outcome": said, "message": COOKED.to_json()})
    async with kitchen(tmp_path, oven) as world:
        await wish(world)
        assert (await world.ended("w1")).state is state


async def test_a_lost_answer_is_followed_and_never_repeated(tmp_path: Path) -> None:
    oven = Oven(answers=["lost"], end=NEVER)
    async with kitchen(tmp_path, oven) as world:
        await wish(world)
        ended = await world.ended("w1")
    assert ended.state is CallState.FAILED
    assert oven.begun == ["w1"]
    assert [run.payload["is_cut_off"] for run in oven.followed] == [False]


@pytest.mark.parametrize(("answer", "state"), [("refused", CallState.FAILED), ("nothing", CallState.OK)])
async def test_a_call_that_never_started_is_not_followed(tmp_path: Path, answer: str, state: CallState) -> None:
    oven = Oven(answers=[answer], end=WELL)
    async with kitchen(tmp_path, oven) as world:
        await wish(world)
        assert (await world.ended("w1")).state is state
        assert await world.knowledge.runs.list(kind="bake") == []


async def test_following_continues_after_a_restart(tmp_path: Path) -> None:
    oven = Oven()
    async with kitchen(tmp_path, oven) as world:
        await wish(world)
        await eventually(lambda: oven.followed, what="somebody following it")
    oven.end = WELL
    async with kitchen(tmp_path, oven) as world:
        assert (await world.ended("w1")).state is CallState.OK
    assert oven.begun == ["w1"]


async def test_a_call_to_a_removed_system_ends_as_unknown(tmp_path: Path) -> None:
    oven = Oven()
    async with kitchen(tmp_path, oven) as world:
        await wish(world)
        await eventually(lambda: oven.followed, what="somebody following it")
    oven.is_there = False
    async with kitchen(tmp_path, oven) as world:
        ended = await world.ended("w1")
    assert ended.state is CallState.UNKNOWN
    assert ended.result is not None and ended.result.message.key == "gateway.unavailable"


async def test_a_call_cut_off_before_it_went_out_is_started_once(tmp_path: Path) -> None:
    """The program died after it had written `started` and before anything went out."""
    oven = Oven(end=NEVER)
    async with kitchen(tmp_path, oven) as world:
        receipt = await world.gateway.submit(Call(key="w1", action="oven.bake", params={}, actor=ADA))
        assert receipt.approval is not None
        await world.knowledge.runs.stop()
        await world.gateway.decide(receipt.approval.id, ADA, approve=True)
        await world.gateway.ledger.start("w1", receipt.approval.asked_at, None)
    async with kitchen(tmp_path, oven) as world:
        await eventually(lambda: oven.begun, what="it begun again")
        oven.end = WELL
        ended = await world.ended("w1")
        runs = await world.knowledge.runs.list(kind="bake")
    assert oven.begun == ["w1"]
    assert ended.state in (CallState.OK, CallState.FAILED)  # of the second run, whatever it says
    assert {run.key for run in runs} == {"bake:w1", "bake:w1:1"}
    assert all(run.state is RunState.DONE for run in runs)


async def test_an_approval_shows_the_preview_of_the_change(tmp_path: Path) -> None:
    async with kitchen(tmp_path, Oven()) as world:
        receipt = await world.gateway.submit(Call(key="w1", action="oven.bake", params={"dish": "cake"}, actor=ADA))
        assert receipt.approval is not None
        kept = await world.gateway.approvals.get(receipt.approval.id)
    assert kept is not None and kept.preview == ("- flour", "+ cake")


async def test_an_impossible_call_is_refused_before_approval_is_requested(tmp_path: Path) -> None:
    oven = Oven()
    async with kitchen(tmp_path, oven) as world:
        receipt = await world.gateway.submit(Call(key="w1", action="oven.bake", params={"dish": "stone"}, actor=ADA))
        assert receipt.state is CallState.DENIED and receipt.approval is None
        assert receipt.verdict is not None and receipt.verdict.decision is Decision.DENY
        assert "a stone cannot be baked" in str(receipt.verdict.reason.values["problem"])
        assert await world.gateway.approvals.pending() == []
    assert oven.begun == []


async def test_an_approval_is_void_when_the_file_changed_since(tmp_path: Path) -> None:
    oven = Oven(end=WELL)
    async with kitchen(tmp_path, oven) as world:
        receipt = await world.gateway.submit(Call(key="w1", action="oven.bake", params={}, actor=ADA))
        assert receipt.approval is not None
        oven.recipe = "sugar"
        await world.gateway.decide(receipt.approval.id, ADA, approve=True)
        ended = await world.ended("w1")
    assert ended.state is CallState.FAILED
    assert ended.result is not None and ended.result.message.key == "gateway.moved"
    assert oven.begun == []


async def test_a_secret_parameter_is_never_shown_and_sealed_at_rest(tmp_path: Path) -> None:
    spice = "saffron-of-grandmother-1953"
    oven = Oven(end=WELL)
    async with kitchen(tmp_path, oven) as world:
        receipt = await world.gateway.submit(Call(key="w1", action="oven.bake", params={"spice": spice}, actor=ADA))
        assert receipt.approval is not None
        shown = [message.to_json() for message in receipt.approval.message]
        await world.gateway.decide(receipt.approval.id, ADA, approve=True)
        await world.ended("w1")
    assert oven.spices == [spice]
    assert spice not in str(shown)
    assert files_with(b"oven.bake", tmp_path)
    assert not files_with(spice.encode(), tmp_path)


def files_with(words: bytes, home: Path) -> list[str]:
    """Files that hold these words, journals too."""
    return [path.name for path in home.rglob("*") if path.is_file() and words in path.read_bytes()]

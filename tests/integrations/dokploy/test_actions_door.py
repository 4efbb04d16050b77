"""The actions through the gateway: shown on the card, carried out once, taken back by the one who planned them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from core.actions.approvals import Approval
from core.actions.calls import Call, CallRecord, CallState
from core.actions.executor import ExecutorDeps
from core.actions.gateway import ActionGateway
from core.actions.policy import Actor, ActorKind, Decision
from core.bus import Bus
from core.deployments.deploys import FOLLOW_KIND, VersionVerdict
from core.redaction import redact
from core.runs import Done, Run
from core.settings import Settings
from core.text import text
from knowledge.stores import Knowledge
from tests.integrations.dokploy.action_fixtures import world
from tests.integrations.dokploy.action_world import ADA, ActionWorld, WallClock
from tests.standins.dokploy import Service
from tests.testbed.world import eventually

__all__ = ["world"]
RUNBOOK = Actor(kind=ActorKind.RUNBOOK, id="container_oom", name="container_oom")


@dataclass(kw_only=True)
class House:
    """The gateway over the actions; deploys are judged as the test says."""

    gateway: ActionGateway
    world: ActionWorld
    verdicts: dict[str, VersionVerdict] = field(default_factory=dict)
    followed: list[Run] = field(default_factory=list)

    async def follow(self, run: Run) -> Done:
        """The run that follows a deploy, in short."""
        self.followed.append(run)
        key = str(run.payload["call"])
        deploy = await self.world.deploys.get(key)
        if deploy is None:
            return Done(result={"outcome": "never"})
        service = next(one for one in self.world.services if one.id == deploy.managed_id)
        verdict = self.verdicts.get(key, VersionVerdict.GOOD)
        await self.world.ended(service, key, verdict=verdict)
        is_good = verdict is VersionVerdict.GOOD
        message = text("gateway.settled_ok" if is_good else "gateway.settled_failed")
        return Done(result={"outcome": "ok" if is_good else "failed", "message": message.to_json()})

    async def asked(self, *calls: Call) -> list[Approval]:
        """Submit; the questions that it raises."""
        receipts = await self.gateway.submit_plan(calls)
        return [one.approval for one in receipts if one.approval is not None]

    async def approved(self, *calls: Call) -> list[CallRecord]:
        """Submit, say yes to all, and wait for the ends."""
        for approval in await self.asked(*calls):
            await self.gateway.decide(approval.id, ADA, approve=True)
        return [await self.ended(one.key) for one in calls]

    async def ended(self, key: str) -> CallRecord:
        """The record of a call, once it is over."""

        async def is_over() -> bool:
            found = await self.gateway.ledger.get(key)
            return found is not None and found.state.is_final

        await eventually(is_over, 30, what=f"{key} to end")
        record = await self.gateway.ledger.get(key)
        assert record is not None
        return record


@pytest.fixture
async def house(world: ActionWorld, tmp_path: Path) -> AsyncIterator[House]:
    """Give the gateway over the world's actions."""
    settings, clock = Settings(data_dir=tmp_path / "house"), WallClock()
    async with Knowledge(settings, clock) as knowledge:
        deps = ExecutorDeps(
            catalog=world.catalog,
            ledger=knowledge.ledger,
            locks=knowledge.locks,
            facts=knowledge.facts(lambda: world.inventory),
            runs=knowledge.runs,
            bus=Bus(),
            clock=clock,
            policy=settings.policy,
            redact=redact,
        )
        made = House(gateway=ActionGateway(deps, knowledge.approvals), world=world)
        knowledge.runs.register(FOLLOW_KIND, made.follow)
        await knowledge.runs.start()
        try:
            yield made
        finally:
            await knowledge.runs.stop()


def limit(key: str, **more: object) -> Call:
    """The wish for 64 MB."""
    params = {"stack": "granada", "service": "web", "limit_mb": 64}
    return Call(key=key, action="dokploy.compose.set_memory_limit", params=params, actor=RUNBOOK, **more)  # type: ignore[arg-type]


def redeploy(key: str, **more: object) -> Call:
    """The wish to apply it."""
    params = {"stack": "granada"}
    return Call(key=key, action="dokploy.compose.redeploy", params=params, actor=RUNBOOK, **more)  # type: ignore[arg-type]


def memory_mb(world: ActionWorld, service: Service) -> int:
    (container,) = [one for one in world.inventory.containers if one.project == service.app_name]
    return container.memory_limit_bytes // 1024 // 1024


async def test_a_new_limit_is_approved_with_its_diff_and_deployed(house: House, world: ActionWorld) -> None:
    granada = await world.running()
    (question, _) = await house.asked(limit("p:limit"), redeploy("p:deploy", needs=("p:limit",)))
    assert any("mem_limit: 64m" in line for line in question.preview)
    for approval in await house.gateway.approvals.pending():
        await house.gateway.decide(approval.id, ADA, approve=True)
    states = [(await house.ended(key)).state for key in ("p:limit", "p:deploy")]
    assert (states, memory_mb(world, granada)) == ([CallState.OK, CallState.OK], 64)
    assert world.posts("compose.redeploy") == 1
    deploy = await world.deploys.get("p:deploy")
    assert deploy is not None
    assert (deploy.requested_by, deploy.approved_by) == ("container_oom", "tg:1")


async def test_a_failed_plan_is_undone_in_reverse_order(house: House, world: ActionWorld) -> None:
    granada = await world.running()
    house.verdicts["p:deploy"] = VersionVerdict.BAD
    ended = await house.approved(limit("p:limit"), redeploy("p:deploy", needs=("p:limit",)))
    assert [one.state for one in ended] == [CallState.OK, CallState.FAILED]
    for wish in (redeploy("p:deploy:undo", undo_of="p:deploy"), limit("p:limit:undo", undo_of="p:limit")):
        await house.gateway.submit(wish)
        assert (await house.ended(wish.key)).state is CallState.OK
    undone = await house.ended("p:limit:undo")
    assert undone.result is not None
    assert undone.result.message.key == "dokploy.edit_back_already"
    assert (granada.row["composeFile"], memory_mb(world, granada)) == (world.file(), 0)
    assert len(world.standin.deployments(granada)) == 3


async def test_a_change_made_after_the_request_is_not_overwritten(house: House, world: ActionWorld) -> None:
    granada = await world.compose()
    (question,) = await house.asked(limit("p:limit"))
    by_hand = world.file(more="    mem_limit: 32m\n")
    await world.client.composes.update(granada.id, compose_file=by_hand)
    await house.gateway.decide(question.id, ADA, approve=True)
    ended = await house.ended("p:limit")
    assert ended.result is not None
    assert (ended.state, ended.result.message.key) == (CallState.FAILED, "gateway.moved")
    assert granada.row["composeFile"] == by_hand


async def test_an_impossible_action_is_refused_before_anyone_is_asked(house: House, world: ActionWorld) -> None:
    await world.compose(file="", git_url="https://git.example.com/granada.git")
    receipt = await house.gateway.submit(limit("p:limit"))
    assert receipt.verdict is not None
    assert (receipt.verdict.decision, receipt.approval) == (Decision.DENY, None)
    assert receipt.verdict.reason.values["problem"] == text(
        "dokploy_error.from_git_branch", stack="granada", source="git", branch="main"
    )


async def test_a_lost_answer_is_followed_and_sent_once(house: House, world: ActionWorld) -> None:
    await world.compose()
    world.standin.lose_answer("compose.redeploy")
    (ended,) = await house.approved(redeploy("p:deploy"))
    assert (ended.state, world.posts("compose.redeploy")) == (CallState.OK, 1)
    assert [one.payload["is_cut_off"] for one in house.followed] == [False]


async def test_an_edit_that_arrived_succeeds_although_its_answer_was_lost(house: House, world: ActionWorld) -> None:
    granada = await world.compose()
    world.standin.lose_answer("compose.update")
    (ended,) = await house.approved(limit("p:limit"))
    assert ended.state is CallState.OK
    assert "mem_limit: 64m" in granada.row["composeFile"]
    assert world.posts("compose.update") == 1

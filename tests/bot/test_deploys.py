"""A deploy from the chat: one card from the question to the verdict, told once, to whom it concerns."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from core.actions.catalog import Role
from core.actions.policy import Actor, ActorKind
from core.deployments.deploys import Deploy, DeployKind, DeployPhase
from core.deployments.platform import Deployment, DeployStatus
from core.incidents.alert_kinds import AlertKind
from core.incidents.alerts import Alert, Severity
from core.incidents.incident import IncidentState
from core.monitoring.topology import topology
from core.text import text
from playground.chats.shown_chats import ShownMessage
from playground.server import BotApiServer
from tests.bot.recorded_dokploy import LOG, DokployWorld
from tests.testbed.world import eventually

GOOD = text("deploys.good", stack="granada", well=2, total=2, held=30, took=72)
CRASHED = text("deploys.crashed", stack="granada", what=text("deploys.bad.exited", service="api", code=1, seconds=3))


@pytest.fixture
def idle_dokploy(server: BotApiServer, tmp_path: Path) -> DokployWorld:
    """Give a world with a Dokploy whose face is not started yet."""
    return DokployWorld(server=server, home=tmp_path / "data")


@pytest.fixture
async def dokploy(idle_dokploy: DokployWorld) -> AsyncIterator[DokployWorld]:
    """Give a world with a Dokploy."""
    async with idle_dokploy.running() as world:
        assert isinstance(world, DokployWorld)
        yield world


async def _ordered(world: DokployWorld, words: str = "/deploy granada more memory") -> tuple[ShownMessage, Deploy]:
    """The question's message, approved, and the deploy that came of it."""
    before = world.ada.chat.last_id
    await world.ada.say(words)
    question = await world.message(world.ada.chat, lambda one: one.id > before and "✅ Approve" in one.labels)
    await (await world.ada.tap(question, "Approve")).answer()
    return question, await world.under_way()


def _now(world: DokployWorld, card: ShownMessage) -> ShownMessage:
    return next(one for one in world.ada.chat.bot_messages if one.id == card.id)


async def _shows(world: DokployWorld, card: ShownMessage, *parts: str) -> ShownMessage:
    return await world.message(
        world.ada.chat, lambda one: one.id == card.id and all(part in one.text for part in parts), f"{parts}"
    )


async def test_a_deploy_is_one_card_from_the_request_to_the_result(dokploy: DokployWorld) -> None:
    card, _ = await _ordered(dokploy)
    await dokploy.goes(DeployPhase.WAITING, ahead=1)
    waiting = await _shows(dokploy, card, "⏳ granada · Deploy", "Number 2 in Dokploy's queue", "Why: more memory")
    assert waiting.labels == ["✖️ Cancel"]
    began = dokploy.clock.now()
    await dokploy.goes(DeployPhase.RUNNING, started_at=began - timedelta(seconds=34), log_tail=LOG)
    running = await _shows(dokploy, card, "Deploying, 3", "Pulling api")
    assert running.labels == []
    await dokploy.goes(DeployPhase.SETTLING, good_since=began - timedelta(seconds=12), window_s=30.0)
    await _shows(dokploy, card, "🔎", "Checking that it stays healthy: 1", "of 30 s", "Healthy services: 2 of 2")
    await dokploy.goes(DeployPhase.GOOD, message=GOOD, deployment_id="d9")
    done = await _shows(dokploy, card, "✅ granada · Deploy", "Up and healthy, 1 min 12 s")
    assert done.labels == ["Deploy log"]
    ping = await dokploy.says(dokploy.ada.chat, "granada: the deploy is up and healthy.")
    assert ping.reply_to == card.id and not ping.silent


async def test_the_end_of_a_deploy_is_reported_once(dokploy: DokployWorld) -> None:
    card, deploy = await _ordered(dokploy)
    await dokploy.goes(DeployPhase.GOOD, message=GOOD)
    await dokploy.says(dokploy.ada.chat, "is up and healthy.")

    async def is_final() -> bool:
        record = await dokploy.knowledge.ledger.get(deploy.key)
        return record is not None and record.state.is_final

    await eventually(is_final, what="the call's end")
    await dokploy.quiet()
    assert [one.id for one in dokploy.ada.chat.bot_messages] == [card.id, card.id + 1]


async def test_a_failed_deploy_shows_its_error_and_what_to_do(dokploy: DokployWorld) -> None:
    await dokploy.keep_versions()
    card, _ = await _ordered(dokploy)
    await dokploy.fails()
    failed = await _shows(dokploy, card, "❌", "Failed after", LOG[-1], "What ran before is still running")
    assert failed.labels == ["↩️ Roll back", "Deploy log", "Diff"]
    assert failed.text.count(LOG[-1]) == 1
    assert "api: 1 → 2" in failed.text and "new variables: SMTP_HOST" in failed.text
    await dokploy.says(dokploy.ada.chat, "The deployment of granada failed", after=card.id)

    await (await dokploy.ada.tap(failed, "Deploy log")).answer()
    await dokploy.says(dokploy.ada.chat, "Cloning into code", after=card.id + 1)
    assert dokploy.paper.asked[-1] == ("deployment_log", {"stack": "granada", "deployment_id": "d9", "tail": 40})
    await (await dokploy.ada.tap(failed, "Diff")).answer()
    await dokploy.says(dokploy.ada.chat, "version 1", "+   mem_limit: 4g")
    await (await dokploy.ada.tap(failed, "Roll back")).answer()
    question = await dokploy.says(dokploy.ada.chat, "Roll granada back to version 1")
    await (await dokploy.ada.tap(question, "Approve")).answer()
    await dokploy.goes(DeployPhase.GOOD)
    assert dokploy.paper.asked[-1] == ("rollback", {"stack": "granada", "version": 1, "why": ""})
    await _shows(dokploy, question, "Rollback", "Back up and healthy")


async def test_a_deploy_that_crashes_after_it_came_up_is_never_called_good(dokploy: DokployWorld) -> None:
    card, _ = await _ordered(dokploy)
    await dokploy.goes(DeployPhase.CRASHED, crashed=("api",), message=CRASHED)
    shown = await _shows(dokploy, card, "Didn't stay healthy", "api exited (code 1) after 3 s")
    assert "✅" not in shown.text
    assert "↩️ Roll back" not in shown.labels  # there is no version to go back to


async def test_a_waiting_deploy_is_cancelled_by_its_button(dokploy: DokployWorld) -> None:
    card, _ = await _ordered(dokploy)
    await dokploy.goes(DeployPhase.WAITING, ahead=1)
    waiting = await _shows(dokploy, card, "Number 2")
    await (await dokploy.ada.tap(waiting, "Cancel")).answer()
    await dokploy.says(dokploy.ada.chat, "Removed from the queue for granada")
    assert dokploy.paper.asked[-1] == ("cancel_waiting", {"stack": "granada"})
    await dokploy.goes(DeployPhase.CANCELLED)
    await _shows(dokploy, card, "➖ granada · Deploy", "Cancelled, nothing was changed")


async def test_a_refused_deploy_asks_for_no_approval(dokploy: DokployWorld) -> None:
    dokploy.paper.problem = "a deployment of 'granada' runs in Dokploy's queue already"
    await dokploy.ada.say("/deploy granada")
    answer = await dokploy.says(dokploy.ada.chat, "runs in Dokploy's queue already")
    assert answer.labels == [] and dokploy.paper.asked == []


async def test_a_deploy_that_cannot_be_sent_ends_its_card(dokploy: DokployWorld) -> None:
    """The deploy is written down, and the order itself ends without anybody following it."""
    card, deploy = await _ordered(dokploy)
    await _shows(dokploy, card, "Waiting")
    failure = dokploy.paper.failure("Dokploy refused the key")
    await dokploy.ends_without_verdict(deploy, failure)
    ended = await _shows(dokploy, card, "❌ granada · Deploy", "Dokploy refused the key")
    assert ended.labels == []


async def test_a_viewer_cannot_deploy(dokploy: DokployWorld) -> None:
    await dokploy.grace.say("/deploy granada")
    await dokploy.says(dokploy.grace.chat, "operador")
    assert dokploy.paper.asked == []


async def test_in_a_group_the_deploy_card_stays_in_that_group(dokploy: DokployWorld) -> None:
    await dokploy.olga.say("/deploy granada", chat=dokploy.ops)
    question = await dokploy.message(dokploy.ops, lambda one: "✅ Approve" in one.labels)
    await (await dokploy.ada.tap(question, "Approve")).answer()
    await dokploy.goes(DeployPhase.GOOD, message=GOOD)
    done = await dokploy.message(dokploy.ops, lambda one: one.id == question.id and "Up and healthy" in one.text)
    assert "Olga · Approved by Ada · Dokploy" in done.text
    assert not dokploy.ada.chat.bot_messages


async def test_the_card_goes_on_after_a_restart(idle_dokploy: DokployWorld) -> None:
    async with idle_dokploy.running():
        card, deploy = await _ordered(idle_dokploy)
        await idle_dokploy.goes(DeployPhase.RUNNING, log_tail=LOG)
        await _shows(idle_dokploy, card, "Deploying")
        await idle_dokploy.quiet()
        over = idle_dokploy.clock.now()
        ended = replace(deploy, phase=DeployPhase.CRASHED, message=CRASHED, over_at=over)
        await idle_dokploy.knowledge.deploys.put(ended)  # nobody heard of it: the program died
    async with idle_dokploy.running():
        await _shows(idle_dokploy, card, "❌", "api exited (code 1)")
        ping = await idle_dokploy.says(idle_dokploy.ada.chat, "came up, then crashed", after=card.id)
        assert ping.reply_to == card.id
        await idle_dokploy.quiet()
        assert len(idle_dokploy.ada.chat.bot_messages) == 2


# -- in the card of an incident ----------------------------------------------------------------------------------------


async def _deploy_failed(world: DokployWorld) -> None:
    """Somebody pushed to git, and Dokploy could not deploy it."""
    now = world.clock.now()
    world.deployments = (Deployment(id="d5", title="Push", status=DeployStatus.ERROR, finished_at=now),)
    await world.look()
    alert = Alert(
        kind=AlertKind.DEPLOY_FAILED,
        severity=Severity.WARNING,
        host="local",
        stack="granada",
        at=now,
        message=text("alert.deploy_failed.line", stack="granada", line=LOG[-1]),
    )
    await world.tracker.raise_alert(alert, topology(world.inventory(), "local"))


async def test_a_deploy_started_elsewhere_has_its_buttons(dokploy: DokployWorld) -> None:
    await _deploy_failed(dokploy)
    card = await dokploy.says(dokploy.ada.chat, "The deployment of granada failed", LOG[-1])
    assert {"Deploy log", "↩️ Roll back", "Diff"} <= set(card.labels)
    await (await dokploy.ada.tap(card, "Roll back")).answer()
    await dokploy.says(dokploy.ada.chat, "Roll granada back to its last good version", after=card.id)


async def test_a_deploy_of_an_incident_is_shown_on_its_card(dokploy: DokployWorld) -> None:
    incident = await dokploy.trouble()
    await dokploy.propose_deploy(incident)
    await dokploy.tracker.update(incident.id, lambda one: replace(one, state=IncidentState.NEEDS_APPROVAL))
    card = await dokploy.message(dokploy.ada.chat, lambda one: "✅ Approve" in one.labels, "a card that asks")
    await (await dokploy.ada.tap(card, "Approve")).answer()
    await dokploy.goes(DeployPhase.RUNNING, log_tail=LOG, started_at=dokploy.clock.now() - timedelta(seconds=8))
    await _shows(dokploy, card, "granada/api was killed", "Deploying, ", "Pulling api")
    await dokploy.goes(DeployPhase.CRASHED, message=CRASHED, deployment_id="d9")
    shown = await _shows(dokploy, card, "Didn't stay healthy", "api exited (code 1) after 3 s")
    assert "Deploy log" in shown.labels
    assert not any("· Deploy\n" in one.text for one in dokploy.ada.chat.bot_messages)


async def test_an_automatic_rollback_says_so(dokploy: DokployWorld) -> None:
    """An update that failed goes back without being told to: no button for it, and a card of its own."""
    await dokploy.keep_versions()
    card, failed = await _ordered(dokploy, "/tag granada api 9")
    first = text("deploys.failed", stack="granada", error=LOG[-1])
    message = text("deploys.two", first=first, second=text("deploys.goes_back"))
    await dokploy.goes(DeployPhase.FAILED, error_line=LOG[-1], message=message, deployment_id="d9")
    shown = await _shows(dokploy, card, "Image update", "Rolling back to where it was")
    assert shown.labels == ["Deploy log", "Diff"]
    record = await dokploy.knowledge.ledger.get(failed.key)
    assert record is not None
    machine = Actor(kind=ActorKind.PERSON, id="deploy", name="deploy", role=Role.ADMIN)
    call = replace(
        record.call, key="back", action="dokploy.compose.rollback", params={"stack": "granada"}, actor=machine
    )
    await dokploy.gateway.submit(call)
    back = replace(failed, key="back", what=DeployKind.ROLLBACK, requested_by="deploy", requested_name="deploy")
    await dokploy.put(replace(back, phase=DeployPhase.GOOD, over_at=dokploy.clock.now()))
    told = await dokploy.says(dokploy.ada.chat, "granada · Rollback", "Back up and healthy")
    assert "by InfraGuardian" in told.text
    await dokploy.says(dokploy.ada.chat, "granada: the earlier version is up and healthy.")


async def test_no_rollback_is_offered_while_an_approval_is_pending(dokploy: DokployWorld) -> None:
    await _deploy_failed(dokploy)
    card = await dokploy.says(dokploy.ada.chat, "The deployment of granada failed")
    [incident] = dokploy.tracker.open_ones()
    await dokploy.propose_deploy(incident)
    await dokploy.tracker.update(incident.id, lambda one: replace(one, state=IncidentState.NEEDS_APPROVAL))
    asks = await dokploy.message(dokploy.ada.chat, lambda one: one.id == card.id and "✅ Approve" in one.labels)
    assert "↩️ Roll back" not in asks.labels and "Deploy log" in asks.labels

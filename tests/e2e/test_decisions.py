"""Whose decision counts, and how often: by button and by command, in time and too late."""

from __future__ import annotations

import asyncio

import pytest

from playground.chats.shown_chats import ShownMessage
from tests.e2e.world import World


async def _asked(world: World, **settings: str) -> ShownMessage:
    """The card of an incident that waits for a decision: a service killed through the API."""
    container = world.stack.service("api")
    await world.start(**settings)
    container.kill(signal="SIGKILL")
    return await world.card("Approve", "api", timeout_s=40)


async def test_a_strangers_and_a_viewers_tap_do_nothing_and_an_impatient_one_counts_once(world: World) -> None:
    card = await _asked(world)
    for person, words in ((world.stranger, "isn't for you"), (world.grace, "operador")):
        refusal = await (await person.tap(card, "Approve", chat=world.ops)).answer(20)
        assert refusal.show_alert
        assert words in refusal.text
    assert world.events("api", "start") == 1

    taps = [await world.linus.tap(card, "Approve", chat=world.ops) for _ in range(3)]
    answers = [await tap.answer(20) for tap in taps]
    assert "Approved" in answers[0].text
    assert not any("Approved, running it now" in answer.text for answer in answers[1:])
    await world.card("Resolved", timeout_s=60)
    assert world.events("api", "start") == 2


async def test_two_people_decide_at_once_and_the_first_wins(world: World) -> None:
    card = await _asked(world)
    yes = await world.ada.tap(card, "Approve", chat=world.ops)
    no = await world.linus.tap(card, "Deny", chat=world.ops)
    first, second = await asyncio.gather(yes.answer(20), no.answer(20))
    assert "Approved" in first.text
    assert second.show_alert
    await world.card("Resolved", timeout_s=60)
    assert world.events("api", "start") == 2


async def test_a_denial_with_its_reason_leaves_the_incident_open_with_a_person(world: World) -> None:
    await _asked(world)
    await world.ask(world.linus, "/deny 1 we are moving the database", "Denied")
    card = await world.card("Denied, the incident stays open", "Denied by Linus", timeout_s=20)
    assert "Approve" not in " ".join(card.labels)
    full = await world.ask(world.ada, "/incident 1", "Incident 1")
    assert "we are moving the database" in full.text
    assert world.events("api", "start") == 1

    world.stack.containers["api"].start()  # by the person's own hand
    await world.card("on its own after", timeout_s=60)


async def test_a_question_that_nobody_answers_expires_and_its_button_is_dead(world: World) -> None:
    card = await _asked(world, INFRAGUARDIAN_POLICY__APPROVAL_S="3")
    button = card.button("Approve").data
    await world.card("Nobody decided in time", timeout_s=30)
    late = await (await world.ada.replay(card, button, chat=world.ops)).answer(20)
    assert late.show_alert
    assert late.text
    assert world.events("api", "start") == 1


async def test_taking_it_over_withdraws_the_question(world: World) -> None:
    card = await _asked(world)
    await world.tap("I'll take it", by=world.linus)
    taken = await world.card("Linus is on it", timeout_s=20)
    assert "Approve" not in " ".join(taken.labels)
    late = await (await world.ada.replay(card, card.button("Approve").data, chat=world.ops)).answer(20)
    assert late.show_alert
    assert world.events("api", "start") == 1


@pytest.mark.parametrize("is_restarted", [False, True])
async def test_recovery_while_asking_takes_the_buttons_away(world: World, is_restarted: bool) -> None:
    """What was asked is over; its old button says so, also to a program that was started since."""
    card = await _asked(world)
    world.stack.containers["api"].start()
    recovered = await world.card("Recovered on its own", timeout_s=60)
    assert "Approve" not in " ".join(recovered.labels)
    if is_restarted:
        await world.kill()
        await world.start()
    late = await (await world.ada.replay(card, card.button("Approve").data, chat=world.ops)).answer(20)
    assert late.show_alert
    assert late.text
    assert world.events("api", "start") == 2


async def test_an_old_button_replayed_after_a_restart_changes_nothing(world: World) -> None:
    card = await _asked(world)
    button = card.button("Approve").data
    await world.ask(world.ada, "/approve 1", "Approved")
    await world.card("Resolved", timeout_s=60)
    await world.stop()
    await world.start()
    late = await (await world.ada.replay(card, button, chat=world.ops)).answer(20)
    assert late.show_alert
    forged = await (await world.ada.replay(card, "a:forged-by-somebody:0", chat=world.ops)).answer(20)
    assert forged.show_alert
    assert world.events("api", "start") == 2


async def test_frozen_automation_does_nothing_on_its_own(world: World) -> None:
    container = world.stack.service("api")
    await world.start()
    await world.ask(world.linus, "/freeze release day", "frozen")
    container.kill(signal="SIGKILL")
    card = await world.card("Someone needs to take over", timeout_s=40)
    assert "frozen" in card.text
    assert "Approve" not in " ".join(card.labels)

    await world.ask(world.linus, f"/up {world.stack.project} api", "Started", timeout_s=30)
    await world.card("on its own after", timeout_s=60)
    await world.ask(world.linus, "/unfreeze", "Automation resumed")
    container.kill(signal="SIGKILL")
    await world.card("Approve", timeout_s=40)


async def test_observe_only_reports(world: World) -> None:
    container = world.stack.service("api")
    await world.start()
    await world.ask(world.linus, f"/autonomy {world.stack.project} observe", "admin")
    await world.ask(world.ada, f"/autonomy {world.stack.project} observe", "Observe")
    container.kill(signal="SIGKILL")
    card = await world.card("Someone needs to take over", timeout_s=40)
    assert "Docker API" in card.text
    assert "observe mode" in card.text
    assert "Approve" not in " ".join(card.labels)


@pytest.mark.timeout(240)
async def test_a_repair_proven_three_times_runs_alone_on_services_that_are_not_critical(world: World) -> None:
    """In a private chat: a group takes only twenty messages and edits a minute."""
    container = world.stack.service("api", labels={"infraguardian.critical": "false"})
    await world.ada.say("/start")
    await world.start(
        INFRAGUARDIAN_WATCH__FLAP_CHANGES="20",
        INFRAGUARDIAN_POLICY__DISRUPTIVE_PER_HOUR="10",
        INFRAGUARDIAN_TELEGRAM__ALERT_CHATS=f"[{world.ada.chat.id}]",
    )
    chat = world.ada.chat
    for number in (1, 2, 3):
        container.kill(signal="SIGKILL")
        await world.tap("Approve", f"Incident {number} ", timeout_s=40, chat=chat)
        await world.card("Resolved after", f"Incident {number} ", timeout_s=60, chat=chat)
    container.kill(signal="SIGKILL")
    done = await world.card("Resolved after", "Incident 4 ", timeout_s=60, chat=chat)
    assert not any("decision" in words for words in done.edits)
    assert world.events("api", "start") == 5

"""Closing an incident by hand: with its reason, by command, reply and button, and all that waited is withdrawn."""

from __future__ import annotations

import pytest

from core.actions.calls import CallState
from playground.chats.shown_chats import ShownMessage
from tests.bot.world import ADA, FaceWorld
from tests.testbed.world import eventually


async def _ask(world: FaceWorld, words: str, *parts: str) -> ShownMessage:
    before = world.ada.chat.last_id
    await world.ada.say(words)
    return await world.says(world.ada.chat, *parts, after=before)


async def test_what_was_approved_and_has_not_begun_is_not_begun_after_the_close(world: FaceWorld) -> None:
    incident = await world.trouble()
    [call] = await world.propose(incident)
    async with world.knowledge.locks.hold(call.key, wait_s=1):
        await _ask(world, "/approve 1", "Approved")
        await _ask(world, "/close 1 it was me", "Incident 1 is closed")

    async def end() -> object:
        record = await world.gateway.ledger.get(call.key)
        return record is not None and record.state.is_final and record.state

    assert await eventually(end, 10) is CallState.DENIED
    assert not world.danger.done


@pytest.mark.parametrize("words", ["/close 1 moved to another host", "/close #1 moved to another host"])
async def test_an_incident_is_closed_by_hand_with_its_reason(world: FaceWorld, words: str) -> None:
    incident = await world.trouble()
    await world.propose(incident)
    card = await world.message(world.ada.chat, lambda one: "✅ Approve" in one.labels)
    await _ask(world, words, "Incident 1 is closed")
    await world.message(world.ada.chat, lambda one: one.id == card.id and "Approve" not in " ".join(one.labels))
    shown = next(one for one in world.ada.chat.bot_messages if one.id == card.id)
    assert "Closed by Ada: moved to another host" in shown.text
    assert not {"I take it", "Silence 1 h", "Close"} & set(shown.labels)
    assert world.tracker.open_ones() == ()
    assert world.danger.done == []
    assert await world.knowledge.approvals.pending() == []
    assert world.poked == [1]
    [entry] = [one for one in await world.knowledge.audit.recent(10) if one.what == "close"]
    assert (entry.actor_id, entry.incident_id, entry.details) == (f"tg:{ADA}", 1, {"why": "moved to another host"})
    await _ask(world, "/close 1 once more", "Incident 1 is already closed.")
    await _ask(world, "/incident 1", "Closed by Ada: moved to another host")


async def test_close_without_a_reason_asks_for_one(world: FaceWorld) -> None:
    await world.trouble()
    question = await _ask(world, "/close", "Why are you closing incident 1?")
    assert question.labels == ["Repaired by hand", "False alarm", "Known and accepted"]
    await (await world.ada.tap(question, "False alarm")).answer()
    await world.says(world.ada.chat, "Closed by Ada: False alarm")
    await _ask(world, "/close", "There are no open incidents")


async def test_close_asks_which_and_takes_a_reply_for_its_card(world: FaceWorld) -> None:
    await world.trouble("api")
    await world.trouble("postgres")
    which = await _ask(world, "/close", "Which incident?")
    await (await world.ada.tap(which, "2 · granada/postgres")).answer()
    await world.says(world.ada.chat, "Why are you closing incident 2?")
    card = await world.says(world.ada.chat, "Incident 1")
    await world.ada.say("/close the customer has left", reply_to=card.id)
    await world.says(world.ada.chat, "Closed by Ada: the customer has left")
    assert [one.id for one in world.tracker.open_ones()] == [2]


async def test_the_card_of_an_incident_that_is_with_a_person_has_a_button_to_close_it(world: FaceWorld) -> None:
    incident = await world.trouble()
    card = await world.says(world.ada.chat, "Incident 1")
    assert "Close" not in card.labels
    await _ask(world, "/ack 1", "Incident 1 is yours")
    card = await world.message(world.ada.chat, lambda one: "Close" in one.labels)
    await (await world.ada.tap(card, "Close")).answer()
    question = await world.says(world.ada.chat, f"Why are you closing incident {incident.id}?")
    await (await world.ada.tap(question, "Repaired by hand")).answer()
    await world.says(world.ada.chat, "Closed by Ada: Repaired by hand")


async def test_only_an_operator_closes(world: FaceWorld) -> None:
    await world.trouble()
    await world.grace.say("/close 1 porque sí")
    await world.says(world.grace.chat, "operador")
    assert world.tracker.open_ones()[0].id == 1

"""Inbox, outbox and cards: order, repeats, coalescing, and a kill in between."""

import asyncio
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from knowledge.database import Database, sqlite_url
from knowledge.records.inbox_records import Inbox, Update
from knowledge.records.incident_records import RecordedIncidents
from knowledge.records.message_records import CardPlace, Cards, MessageKind, MessageState, NewMessage, Outbox
from tests.knowledge.tools import NOON, SetClock, an_incident, cleaned


@pytest.fixture
def inbox(database: Database, clock: SetClock) -> Inbox:
    return Inbox(database, clock)


@pytest.fixture
def outbox(database: Database, clock: SetClock) -> Outbox:
    return Outbox(database, clock)


def an_update(number: int, mark: str = "1772366400", text: str = "/status") -> Update:
    return Update(bot_id=7, update_id=number, mark=mark, payload={"update_id": number, "message": {"text": text}})


def to(chat_id: int, text: str, **more: object) -> NewMessage:
    return NewMessage(chat_id=chat_id, payload={"text": text}, **more)  # type: ignore[arg-type]


async def texts_ready(outbox: Outbox) -> list[tuple[int, str]]:
    return [(one.message.chat_id, str(one.message.payload["text"])) for one in await outbox.ready()]


async def test_an_update_is_received_once(inbox: Inbox) -> None:
    first = await inbox.put([an_update(1), an_update(2)])
    assert [one.update.update_id for one in first] == [1, 2]
    again = await inbox.put([an_update(2), an_update(3), an_update(2, mark="another week")])
    assert [one.update.key for one in again] == ["tg:7:3:1772366400", "tg:7:2:another week"]
    await inbox.done(first[0].id)
    assert [one.update.update_id for one in await inbox.pending()] == [2, 3, 2]
    assert await inbox.count_pending() == 3
    assert (await inbox.pending())[0].update.payload == an_update(2).payload


async def test_twenty_pollers_receive_an_update_once(inbox: Inbox) -> None:
    received = await asyncio.gather(*(inbox.put([an_update(1)]) for _ in range(20)))
    assert sum(len(one) for one in received) == 1


async def test_tries_are_counted_and_done_ones_forgotten(database: Database, inbox: Inbox, clock: SetClock) -> None:
    (one,) = await inbox.put([an_update(1)])
    assert [await inbox.begun(one.id), await inbox.begun(one.id)] == [1, 2]
    await inbox.done(one.id, error="ValueError: it cannot be parsed")
    assert await cleaned(database, clock, "inbox") == 0
    clock.advance(days=15)
    assert await cleaned(database, clock, "inbox") == 1
    assert len(await inbox.put([an_update(1)])) == 1


async def test_each_chat_is_served_in_order(outbox: Outbox) -> None:
    await outbox.add(to(1, "a"), to(1, "b"), to(2, "c"))
    assert await texts_ready(outbox) == [(1, "a"), (2, "c")]
    first = (await outbox.ready())[0]
    assert await outbox.ready(but=[1, 2]) == []
    assert await outbox.sent(first.id, version=first.version, message_id=500)
    assert await texts_ready(outbox) == [(2, "c"), (1, "b")] or await texts_ready(outbox) == [(1, "b"), (2, "c")]
    sent = await outbox.get(first.id)
    assert sent is not None
    assert (sent.state, sent.message_id) == (MessageState.SENT, 500)
    assert await outbox.count_pending() == 2


async def test_a_postponed_message_holds_back_its_chat_only(outbox: Outbox, clock: SetClock) -> None:
    (first, _, _) = await outbox.add(to(1, "a"), to(1, "b"), to(2, "c"))
    later = NOON + timedelta(seconds=3)
    await outbox.postpone(first, until=later, error="429")
    assert await texts_ready(outbox) == [(2, "c")]
    assert await outbox.next_due() == later
    clock.advance(seconds=3)
    assert await texts_ready(outbox) == [(1, "a"), (2, "c")]
    again = await outbox.get(first)
    assert again is not None
    assert (again.attempts, again.error) == (1, "429")


async def test_a_refused_message_does_not_hold_back_the_rest(outbox: Outbox) -> None:
    a, b, _ = await outbox.add(to(1, "a"), to(1, "b"), to(1, "c"))
    await outbox.failed(a, error="chat not found")
    await outbox.unknown(b, error="timed out")
    assert await texts_ready(outbox) == [(1, "c")]
    ended = await outbox.get(b)
    assert ended is not None
    assert ended.state is MessageState.UNKNOWN


async def test_a_message_sent_meanwhile_is_edited_not_repeated(outbox: Outbox) -> None:
    """A newer version that was written while the first was on its way arrives as an edit of it."""
    (card,) = await outbox.add(to(1, "detected", coalesce="card:7"))
    assert await outbox.sent(card, version=1, message_id=42)
    (second,) = await outbox.add(to(1, "diagnosed", coalesce="card:7"))
    written = await outbox.get(second)
    assert second != card
    assert written is not None
    assert written.message.kind is MessageKind.EDIT
    assert written.message.of == card


async def test_pending_edits_of_one_message_coalesce(outbox: Outbox) -> None:
    (card,) = await outbox.add(to(1, "detected", coalesce="card:7"))
    assert await outbox.add(to(1, "diagnosed", kind=MessageKind.EDIT, of=card, coalesce="card:7")) == [card]
    assert await texts_ready(outbox) == [(1, "diagnosed")]
    (other,) = await outbox.add(to(2, "elsewhere", coalesce="card:7"))
    assert other != card
    (one, _) = await outbox.ready()
    assert await outbox.sent(one.id, version=one.version, message_id=500)
    (edit,) = await outbox.add(to(1, "acting", kind=MessageKind.EDIT, of=card, coalesce="card:7"))
    assert edit != card
    waiting = await outbox.get(edit)
    assert waiting is not None
    assert waiting.of_message_id == 500


async def test_a_newer_payload_during_the_sending_becomes_an_edit(outbox: Outbox) -> None:
    (card,) = await outbox.add(to(1, "detected", coalesce="card:7"))
    (sending,) = await outbox.ready()
    await outbox.add(to(1, "diagnosed", kind=MessageKind.EDIT, of=card, coalesce="card:7"))
    assert not await outbox.sent(sending.id, version=sending.version, message_id=500)
    (rest,) = await outbox.ready()
    assert (rest.message.kind, rest.message.payload, rest.of_message_id) == (
        MessageKind.EDIT,
        {"text": "diagnosed"},
        500,
    )
    assert await outbox.sent(rest.id, version=rest.version, message_id=None)
    assert await outbox.ready() == []


async def test_attachments_are_kept_until_they_are_sent(outbox: Outbox) -> None:
    (photo,) = await outbox.add(to(1, "chart", kind=MessageKind.PHOTO, attachment=b"\x89PNG\x00"))
    (one,) = await outbox.ready()
    assert one.message.attachment == b"\x89PNG\x00"
    await outbox.sent(photo, version=one.version, message_id=1)
    sent = await outbox.get(photo)
    assert sent is not None
    assert sent.message.attachment is None


async def test_cards_know_their_messages(database: Database, outbox: Outbox, clock: SetClock) -> None:
    cards = Cards(database)
    for _ in range(7):
        await RecordedIncidents(database).open(an_incident())
    (first, second) = await outbox.add(to(1, "card"), to(2, "card"))
    assert await cards.place(CardPlace(incident_id=7, chat_id=1, thread_id=3, outbox_id=first))
    assert await cards.place(CardPlace(incident_id=7, chat_id=2, outbox_id=second))
    assert not await cards.place(CardPlace(incident_id=7, chat_id=1, outbox_id=second))
    assert await cards.incident_of(1, 500) is None
    await outbox.sent(first, version=1, message_id=500)
    assert await cards.incident_of(1, 500) == 7
    assert await cards.incident_of(2, 500) is None
    places = await cards.of_incident(7)
    assert [(one.chat_id, one.message_id, one.thread_id) for one in places] == [(1, 500, 3), (2, None, None)]
    clock.advance(days=30)
    assert await cleaned(database, clock, "outbox") == 0  # a card's message is still needed
    (new,) = await outbox.add(to(1, "card again"))
    await cards.move(7, 1, outbox_id=new)
    assert await cards.incident_of(1, 500) is None
    assert await cleaned(database, clock, "outbox") == 1


async def test_a_kill_loses_no_message_and_no_order(tmp_path: Path) -> None:
    """Everything that a killed process said it had committed is there, each chat in its order."""
    command = [sys.executable, "-m", "tests.knowledge.message_writer", str(tmp_path / "guardian.db")]
    writer = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert writer.stdout is not None
    said = 0
    async with asyncio.timeout(40):
        while said < 120:
            said = int(await writer.stdout.readline())
    writer.kill()
    rest, _ = await writer.communicate()
    said = int(rest.split()[-1]) if rest.split() else said
    async with Database(sqlite_url(tmp_path / "guardian.db")) as database:
        inbox, outbox = Inbox(database, SetClock()), Outbox(database, SetClock())
        received = [one.update.update_id for one in await inbox.pending()]
        assert received == list(range(1, len(received) + 1))
        assert len(received) >= said
        seen: dict[int, list[int]] = {0: [], 1: [], 2: []}
        while waiting := await outbox.ready():
            for one in waiting:
                seen[one.message.chat_id].append(int(str(one.message.payload["text"])))
                await outbox.sent(one.id, version=one.version, message_id=1)
        assert all(numbers == sorted(numbers) for numbers in seen.values())
        assert sorted(number for numbers in seen.values() for number in numbers) == received

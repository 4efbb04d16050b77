"""Inbox, outbox and cards: order, repeats, coalescing, and a kill in between."""

import asyncio
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from core.notifications import MessageKind, MessageState, QueuedMessage
from knowledge.database import Database, sqlite_url
from knowledge.records.inbox_records import Inbox, RawUpdate
from knowledge.records.incident_records import IncidentRecords
from knowledge.records.message_records import Outbox
from tests.knowledge.tools import NOON, SetClock, an_incident, cleaned


@pytest.fixture
def inbox(database: Database, clock: SetClock) -> Inbox:
    return Inbox(database, clock)


@pytest.fixture
def outbox(database: Database, clock: SetClock) -> Outbox:
    return Outbox(database, clock)


def an_update(number: int, mark: str = "1772366400", text: str = "/status") -> RawUpdate:
    return RawUpdate(bot_id=7, update_id=number, mark=mark, payload={"update_id": number, "message": {"text": text}})


def to(chat: int, text: str, **more: object) -> QueuedMessage:
    return QueuedMessage(destination=f"telegram:{chat}", payload={"text": text}, **more)  # type: ignore[arg-type]


def chat_of(message: QueuedMessage) -> int:
    return int(message.destination.removeprefix("telegram:"))


async def texts_ready(outbox: Outbox) -> list[tuple[int, str]]:
    return [(chat_of(one), str(one.payload["text"])) for one in await outbox.ready()]


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
    assert await outbox.ready(but=["telegram:1", "telegram:2"]) == []
    assert await outbox.sent(first.id, version=first.version, message_id="500")
    assert await texts_ready(outbox) == [(2, "c"), (1, "b")] or await texts_ready(outbox) == [(1, "b"), (2, "c")]
    sent = await outbox.get(first.id)
    assert sent is not None
    assert (sent.state, sent.message_id) == (MessageState.SENT, "500")
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
    (card,) = await outbox.add(to(1, "detected", key="card:7"))
    assert await outbox.sent(card, version=1, message_id="42")
    (second,) = await outbox.add(to(1, "diagnosed", key="card:7"))
    written = await outbox.get(second)
    assert second != card
    assert written is not None
    assert written.kind is MessageKind.EDIT
    assert written.of == card


async def test_pending_edits_of_one_message_coalesce(outbox: Outbox) -> None:
    (card,) = await outbox.add(to(1, "detected", key="card:7"))
    assert await outbox.add(to(1, "diagnosed", kind=MessageKind.EDIT, of=card, key="card:7")) == [card]
    assert await texts_ready(outbox) == [(1, "diagnosed")]
    (other,) = await outbox.add(to(2, "elsewhere", key="card:7"))
    assert other != card
    (one, _) = await outbox.ready()
    assert await outbox.sent(one.id, version=one.version, message_id="500")
    (edit,) = await outbox.add(to(1, "acting", kind=MessageKind.EDIT, of=card, key="card:7"))
    assert edit != card
    waiting = await outbox.get(edit)
    assert waiting is not None
    assert waiting.of_message_id == "500"


async def test_a_newer_payload_during_the_sending_becomes_an_edit(outbox: Outbox) -> None:
    (card,) = await outbox.add(to(1, "detected", key="card:7"))
    (sending,) = await outbox.ready()
    await outbox.add(to(1, "diagnosed", kind=MessageKind.EDIT, of=card, key="card:7"))
    assert not await outbox.sent(sending.id, version=sending.version, message_id="500")
    (rest,) = await outbox.ready()
    assert (rest.kind, rest.payload, rest.of_message_id) == (
        MessageKind.EDIT,
        {"text": "diagnosed"},
        "500",
    )
    assert await outbox.sent(rest.id, version=rest.version, message_id=None)
    assert await outbox.ready() == []


async def test_attachments_are_kept_until_they_are_sent(outbox: Outbox) -> None:
    (photo,) = await outbox.add(to(1, "chart", kind=MessageKind.PHOTO, attachment=b"\x89PNG\x00"))
    (one,) = await outbox.ready()
    assert one.attachment == b"\x89PNG\x00"
    await outbox.sent(photo, version=one.version, message_id="1")
    sent = await outbox.get(photo)
    assert sent is not None
    assert sent.attachment is None


async def test_a_message_is_found_by_what_it_shows_and_where(outbox: Outbox) -> None:
    """Message ids count per chat, whatever the thread; what an edit showed is found as well."""
    in_thread = QueuedMessage(destination="telegram:-100:7", payload={"incident": 7}, key="card:7:telegram:-100:7")
    (card, other) = await outbox.add(in_thread, to(-1001, "elsewhere"))
    await outbox.sent(card, version=1, message_id="500")
    await outbox.sent(other, version=1, message_id="500")
    assert [one.id for one in await outbox.showing("telegram:-100", "500")] == [card]
    assert [one.id for one in await outbox.showing("telegram:-1001", "500")] == [other]
    assert await outbox.showing("telegram:-10", "500") == []
    (edit,) = await outbox.add(replace(in_thread, payload={"incident": 7, "text": "acting"}))
    await outbox.sent(edit, version=1, message_id="500")
    assert [one.id for one in await outbox.showing("telegram:-100", "500")] == [edit, card]


async def test_the_message_of_a_card_is_kept_as_long_as_its_incident(
    database: Database, outbox: Outbox, clock: SetClock
) -> None:
    incident = await IncidentRecords(database).open(an_incident())
    key = f"card:{incident.id}:telegram:1"
    (card, answer) = await outbox.add(to(1, "card", key=key), to(1, "answer"))
    for row, message_id in ((card, "500"), (answer, "501")):
        await outbox.sent(row, version=1, message_id=message_id)
    clock.advance(days=30)
    assert await cleaned(database, clock, "outbox") == 1  # the answer
    assert [one.id for one in await outbox.showing("telegram:1", "500")] == [card]
    other = await outbox.add(to(1, "card of none", key=f"card:{incident.id}0:telegram:1"))
    await outbox.sent(other[0], version=1, message_id="502")
    clock.advance(days=30)
    assert await cleaned(database, clock, "outbox") == 1  # 70 is not 7


async def test_channels_do_not_see_each_others_messages(outbox: Outbox, clock: SetClock) -> None:
    mail = QueuedMessage(destination="mail:ops@example.com", payload={"text": "by mail"})
    (posted, _) = await outbox.add(mail, to(1, "in the chat"))
    assert [one.destination for one in await outbox.ready(scheme="mail")] == ["mail:ops@example.com"]
    assert [one.destination for one in await outbox.ready(scheme="telegram")] == ["telegram:1"]
    await outbox.postpone(posted, until=NOON + timedelta(seconds=3))
    assert await outbox.next_due("telegram") is None
    assert await outbox.next_due("mail") == NOON + timedelta(seconds=3)


async def test_an_answer_finds_the_message_it_belongs_under_in_one_step(outbox: Outbox) -> None:
    card = to(1, "card", key="card:7:telegram:1")
    page = to(1, "page", key="page:7:telegram:1:end", under="card:7:telegram:1")
    card_id, page_id = await outbox.add(card, page, known={"card:7:telegram:1": 0, "page:7:telegram:1:end": 0})
    await outbox.sent(card_id, version=1, message_id="500")
    written = await outbox.get(page_id)
    assert written is not None
    assert (written.kind, written.of_message_id) == (MessageKind.SEND, "500")


async def test_what_a_key_said_last_is_known(outbox: Outbox) -> None:
    (first,) = await outbox.add(to(1, "detected", key="card:7:telegram:1"))
    await outbox.sent(first, version=1, message_id="500")
    await outbox.add(to(1, "diagnosed", key="card:7:telegram:1"), to(1, "page", key="page:7:telegram:1:escalated:1"))
    newest = await outbox.newest_by_key("card:7:telegram:1", "card:8:telegram:1")
    assert {key: (one.payload["text"], one.base) for key, one in newest.items()} == {
        "card:7:telegram:1": ("diagnosed", first)
    }
    assert await outbox.keys("page:7:telegram:1:") == {"page:7:telegram:1:escalated:1"}
    assert await outbox.keys("page:70:") == set()


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
                seen[chat_of(one)].append(int(str(one.payload["text"])))
                await outbox.sent(one.id, version=one.version, message_id="1")
        assert all(numbers == sorted(numbers) for numbers in seen.values())
        assert sorted(number for numbers in seen.values() for number in numbers) == received

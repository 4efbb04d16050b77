"""Every order that was received is carried out, in its order, and whoever gave it hears how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.incoming.inbox import CommandTimeouts, InboxWorker, SlowAnswer
from core.actions.catalog import JsonObject
from core.errors import SystemUnavailable
from core.tasks import Tasks
from core.text import Text
from knowledge.database import sqlite_url
from knowledge.records.inbox_records import Inbox, RawUpdate, ReceivedUpdate
from tests.bot.world import ADA, FaceWorld
from tests.knowledge.failing_database import FailingDatabase, Moment
from tests.testbed.world import eventually

BOT_ID = 7
CHATS = 5
LEFT = 1500


class WallClock:
    """The real time."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class Notes:
    """Writes down what is ordered and what people are told."""

    def __init__(self) -> None:
        self.handled: list[int] = []
        self.told: list[tuple[int, str]] = []
        self.fresh: set[int] = set()

    async def handle(self, received: ReceivedUpdate) -> SlowAnswer | None:
        self.handled.append(received.update.update_id)
        if received.tries == 0:
            self.fresh.add(received.update.update_id)
        return None

    async def tell(self, received: ReceivedUpdate, message: Text, *, is_interim: bool = False) -> None:
        self.told.append((received.update.update_id, message.key))


def raw(number: int) -> JsonObject:
    chat: JsonObject = {"id": number % CHATS, "type": "private"}
    return {"update_id": number, "message": {"date": 1, "text": "/status", "chat": chat}}


def stored(number: int) -> RawUpdate:
    return RawUpdate(bot_id=BOT_ID, update_id=number, mark="1", payload=raw(number))


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[FailingDatabase]:
    """Give a database that fails on demand."""
    async with FailingDatabase(sqlite_url(tmp_path / "guardian.db")) as opened:
        yield opened


@pytest.fixture
async def tasks() -> AsyncIterator[Tasks]:
    """Give tasks that end with the test."""
    async with Tasks() as running:
        yield running


@pytest.fixture
def inbox(database: FailingDatabase) -> Inbox:
    return Inbox(database, WallClock())


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def reception(inbox: Inbox, notes: Notes, tasks: Tasks) -> InboxWorker:
    return InboxWorker(inbox=inbox, bot_id=BOT_ID, handler=notes, tasks=tasks)


@pytest.mark.timeout(300)  # three thousand commits, on a busy machine
async def test_all_orders_that_a_crash_left_are_carried_out_in_order(
    reception: InboxWorker, inbox: Inbox, notes: Notes
) -> None:
    await inbox.put([stored(number) for number in range(1, LEFT + 1)])
    replaying = asyncio.create_task(reception.replay())
    await eventually(lambda: notes.handled, what="the first of them")
    await reception.take([raw(LEFT + 1)])  # an order of now, in the middle of it
    await eventually(lambda: len(notes.handled) > LEFT, 240, what="all of them")
    await replaying
    assert sorted(notes.handled) == list(range(1, LEFT + 2))
    for chat in range(CHATS):
        of_chat = [number for number in notes.handled if number % CHATS == chat]
        assert of_chat == sorted(of_chat)
    assert LEFT not in notes.fresh
    await eventually(lambda: _is_empty(inbox), 60, what="all being marked done")


async def test_an_order_whose_commit_was_not_confirmed_is_carried_out_once(
    reception: InboxWorker, inbox: Inbox, database: FailingDatabase, notes: Notes
) -> None:
    await reception.replay()
    database.fail(Moment.ANSWER, times=1)
    with pytest.raises(SystemUnavailable):
        await reception.take([raw(1)])
    await reception.take([raw(1), raw(6)])  # Telegram brings it again
    await eventually(lambda: _is_empty(inbox), what="both being marked done")
    assert notes.handled == [1, 6]


async def test_an_order_that_cannot_be_marked_done_is_carried_out_once(
    reception: InboxWorker, inbox: Inbox, database: FailingDatabase, notes: Notes
) -> None:
    await reception.replay()
    await reception.take([raw(1)])
    database.fail(Moment.WRITE, for_s=0.5)
    await eventually(lambda: _is_empty(inbox), what="it being marked done")
    assert notes.handled == [1]
    assert notes.told == []


async def test_an_order_that_ends_the_process_again_and_again_is_put_aside_and_told(
    reception: InboxWorker, inbox: Inbox, notes: Notes
) -> None:
    (row,) = await inbox.put([stored(1)])
    for _ in range(3):
        await inbox.begun(row.id)
    await reception.replay()
    await eventually(lambda: _is_empty(inbox), what="it being put aside")
    assert (notes.handled, notes.told) == ([], [(1, "chat.put_aside")])


async def _is_empty(inbox: Inbox) -> bool:
    return await inbox.count_pending() == 0


# -- what people see ---------------------------------------------------------------------------------------------------


async def test_an_order_that_takes_long_goes_on_and_its_person_hears_so(idle: FaceWorld) -> None:
    may_end = asyncio.Event()

    async def wait() -> None:
        await may_end.wait()

    idle.patience, idle.meanwhile = CommandTimeouts(quiet_s=0.3), wait
    async with idle.running() as world:
        incident = await world.trouble()
        await world.ada.say(f"/ack {incident.id}")
        await world.says(world.ada.chat, "taking longer than usual")
        await world.ada.say("/whoami")
        await world.says(world.ada.chat, "Role: admin")  # the chat is not held up
        assert await world.knowledge.inbox.count_pending() == 1
        may_end.set()
        await eventually(lambda: _is_empty(world.knowledge.inbox), what="the order being done")
        await world.quiet()
        assert world.poked == [incident.id]
        late = [one for one in world.ada.chat.bot_messages if "taking longer" in one.text]
        assert len(late) == 1


async def test_an_order_that_takes_too_long_is_cut_off_and_said_in_the_language_of_its_person(idle: FaceWorld) -> None:
    async def hang() -> None:
        await asyncio.Event().wait()

    idle.patience, idle.meanwhile = CommandTimeouts(quiet_s=0.2, order_s=0.8), hang
    async with idle.running() as world:
        incident = await world.trouble()
        person = await world.knowledge.people.get(ADA)
        assert person is not None
        await world.knowledge.people.save(replace(person, language="es"), by="test")
        await world.ada.say(f"/ack {incident.id}")
        await world.says(world.ada.chat, "Está tardando más de lo normal")
        await world.says(world.ada.chat, "Tardaba demasiado y lo detuve")
        await world.quiet()


async def test_an_order_that_was_killed_in_the_middle_is_carried_out_by_the_next_life(idle: FaceWorld) -> None:
    async def hang() -> None:
        await asyncio.Event().wait()

    idle.patience, idle.meanwhile = CommandTimeouts(quiet_s=0.2), hang
    async with idle.running() as world:
        incident = await world.trouble()
        await world.ada.say(f"/ack {incident.id}")
        await world.says(world.ada.chat, "taking longer than usual")
    idle.meanwhile = None
    async with idle.running() as world:
        await eventually(lambda: _is_empty(world.knowledge.inbox), what="the order being done")
        await world.quiet()
        assert set(world.poked) == {incident.id}
        late = [one for one in world.ada.chat.bot_messages if "taking longer" in one.text]
        assert len(late) == 1

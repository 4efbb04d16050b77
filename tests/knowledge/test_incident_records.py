"""Incidents, silences and locks, on both kinds of database."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text as sql
from sqlalchemy import update

from core.actions.calls import Locks
from core.errors import NotFound, TimeLimitExceeded
from core.incidents.alerts import Silence
from core.incidents.incident import IncidentState
from core.text import text
from knowledge.codec import RecordUnreadable
from knowledge.database import Database
from knowledge.locks import LocalLocks, PostgresLocks
from knowledge.records.incident_records import IncidentRecords
from knowledge.records.silence_records import SilenceRecords
from knowledge.tables import incidents
from tests.knowledge.tools import NOON, an_incident


async def test_an_incident_reads_back_whole(database: Database) -> None:
    store = IncidentRecords(database)
    opened = await store.open(an_incident(plan={"steps": [{"id": "s", "wait_s": 1.5}]}, tags=("a",)))
    assert opened.id == 1
    assert await store.get(1) == opened
    changed = replace(opened.note(NOON, text("note", n=1)), state=IncidentState.RESOLVED, closed_at=NOON)
    await store.save(changed)
    assert await store.get(1) == changed
    assert await store.open_ones() == []
    assert await store.get(2) is None
    with pytest.raises(NotFound, match="incident 7"):
        await store.save(replace(opened, id=7))


async def test_incidents_are_listed_and_openings_counted(database: Database) -> None:
    store = IncidentRecords(database)
    for n in range(4):
        at = NOON + timedelta(minutes=n)
        await store.open(an_incident(at, stack="shop" if n else "blog", state=IncidentState.DIAGNOSING))
    assert [one.id for one in await store.open_ones()] == [1, 2, 3, 4]
    assert [one.id for one in await store.recent(2)] == [4, 3]
    assert [one.id for one in await store.recent(9, stack="shop")] == [4, 3, 2]
    assert [one.id for one in await store.recent(9, stack="shop", service="web")] == []
    assert [one.id for one in await store.recent(9, since=NOON + timedelta(minutes=3))] == [4]
    assert await store.closed_by_hand() == []
    [first, *_] = await store.open_ones()
    await store.save(replace(first, state=IncidentState.CLOSED, closed_at=NOON))
    assert [one.id for one in await store.closed_by_hand()] == [first.id]
    assert [one.id for one in await store.open_ones()] == [2, 3, 4]
    fingerprint = an_incident().alerts[0].fingerprint
    assert await store.openings(fingerprint, NOON + timedelta(minutes=1)) == 3
    assert await store.openings("another", NOON) == 0


async def test_a_damaged_record_says_which_and_where(database: Database) -> None:
    store = IncidentRecords(database)
    await store.open(an_incident())
    async with database.write() as connection:
        await connection.execute(update(incidents).values(body='{"severity": "loud"}'))
    with pytest.raises(RecordUnreadable, match=r"incident 1.*severity"):
        await store.get(1)


async def test_silences_apply_until_they_end(database: Database) -> None:
    silences = SilenceRecords(database)
    long = await silences.add(Silence(target="shop", until=NOON + timedelta(hours=2), by="tg:1", why="deploy"))
    short = await silences.add(Silence(target="shop/api", until=NOON + timedelta(hours=1), by="tg:1"))
    assert await silences.active(NOON) == [long, short]
    assert await silences.active(NOON + timedelta(hours=1)) == [long]
    assert await silences.end(long.id, NOON + timedelta(minutes=5))
    assert not await silences.end(long.id, NOON + timedelta(minutes=5))
    assert await silences.active(NOON + timedelta(minutes=5)) == [short]


@pytest.fixture
def locks(database: Database) -> Locks:
    return LocalLocks() if database.is_sqlite else PostgresLocks(database.plain_url)


async def test_only_one_call_holds_a_target_at_a_time(locks: Locks) -> None:
    inside, most = 0, 0

    async def work(target: str) -> None:
        nonlocal inside, most
        async with locks.hold(target, wait_s=10):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.005)
            inside -= 1

    await asyncio.gather(*(work("local/api") for _ in range(8)))
    assert most == 1


async def test_a_held_target_is_refused_after_the_wait(locks: Locks) -> None:
    async with locks.hold("local/api", wait_s=5):
        with pytest.raises(TimeLimitExceeded, match="local/api"):
            async with locks.hold("local/api", wait_s=0.05):
                pytest.fail("held twice")
        async with locks.hold("local/web", wait_s=0.5):
            pass
    async with locks.hold("local/api", wait_s=0.5):
        pass


async def test_a_lock_holds_across_workers(postgres_plain_url: str) -> None:
    here, there = PostgresLocks(postgres_plain_url), PostgresLocks(postgres_plain_url)
    async with here.hold("local/api", wait_s=5):
        with pytest.raises(TimeLimitExceeded, match="local/api"):
            async with there.hold("local/api", wait_s=0.1):
                pytest.fail("held twice")
    async with there.hold("local/api", wait_s=5):
        pass


async def test_a_cancelled_write_leaves_the_database_usable(database: Database) -> None:
    async def cut(steps: int) -> None:
        async with database.write() as connection:
            for _ in range(steps):
                await connection.execute(sql("SELECT 1"))
            await asyncio.Event().wait()

    for steps in range(6):
        task = asyncio.ensure_future(cut(steps))
        for _ in range(steps * 3):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task], timeout=5)
        assert task.cancelled()
    opened = await IncidentRecords(database).open(an_incident())
    assert opened.id == 1

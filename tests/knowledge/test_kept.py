"""What is kept in memory is never older than what was written."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from core.incidents.alerts import Silence
from core.settings import Autonomy
from knowledge.cached_value import CachedValue
from knowledge.database import Database
from knowledge.records.setting_records import SettingRecords
from knowledge.records.silence_records import SilenceRecords
from tests.knowledge.tools import NOON, SetClock


async def test_a_read_that_overlaps_a_write_is_not_kept() -> None:
    stored, may_read = ["old"], asyncio.Event()

    async def load() -> str:
        found = stored[0]
        await may_read.wait()
        return found

    kept = CachedValue(load, is_shared=False)
    slow = asyncio.create_task(kept.get())
    await asyncio.sleep(0)
    stored[0] = "new"
    kept.forget()
    may_read.set()
    assert await slow == "old"
    assert await kept.get() == "new"
    stored[0] = "written by nobody here"
    assert await kept.get() == "new"


async def test_where_others_write_too_nothing_is_kept() -> None:
    stored = ["old"]

    async def load() -> str:
        return stored[0]

    kept = CachedValue(load, is_shared=True)
    assert await kept.get() == "old"
    stored[0] = "new"
    assert await kept.get() == "new"


async def test_a_silence_and_a_freeze_hold_at_once_and_end_at_once(database: Database, clock: SetClock) -> None:
    silences, changed = SilenceRecords(database), SettingRecords(database, clock)
    assert (await silences.active(NOON), await changed.freeze(), await changed.autonomy("shop")) == ([], None, None)
    quiet = await silences.add(Silence(target="shop", until=NOON + timedelta(hours=1), by="tg:1", why=""))
    await changed.set_freeze(True, by="tg:1", why="a migration")
    await changed.set_autonomy("shop", Autonomy.OBSERVE, by="tg:1")
    assert await silences.active(NOON) == [quiet]
    assert await silences.active(NOON + timedelta(hours=1)) == []
    freeze = await changed.freeze()
    assert freeze is not None and freeze.why == "a migration"
    assert await changed.autonomy("shop") is Autonomy.OBSERVE
    assert await silences.end(quiet.id, NOON)
    await changed.set_freeze(False, by="tg:1")
    await changed.set_autonomy("shop", None, by="tg:1")
    assert (await silences.active(NOON), await changed.freeze(), await changed.autonomy("shop")) == ([], None, None)

"""The daily clean-up: deletes old rows in small transactions that block nobody."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Table, delete, select

from core.clock import Clock
from core.settings import RetentionSettings
from knowledge.checkpoints import Checkpoints
from knowledge.database import Database
from knowledge.records.setting_records import SettingRecords
from knowledge.retention import RETENTION, Cutoffs, RowCondition
from knowledge.runs.run_records import UNFINISHED_RUN_STATES
from knowledge.table_types import metadata
from knowledge.tables import incidents, runs

CLEANUP_EVERY = timedelta(days=1)
CLEANUP_DONE_KEY = "cleanup.done_at"
"""The setting that holds when the last clean-up ended."""
ROWS_PER_TRANSACTION = 200
"""Rows per transaction."""
PAUSE_S = 0.02
"""Pause between two transactions: others write too."""
log = structlog.get_logger(__name__)


class Cleanup:
    """Deletes old rows of every table by its retention, and the graph's unused threads."""

    def __init__(self, database: Database, checkpoints: Checkpoints, settings: RetentionSettings, clock: Clock) -> None:
        self._database = database
        self._checkpoints = checkpoints
        self._settings = settings
        self._clock = clock
        self._records = SettingRecords(database, clock)

    async def run_if_due(self) -> bool:
        """Clean up if the last time is a day ago, or there was none; returns whether it did."""
        done_at = await self._records.get(CLEANUP_DONE_KEY)
        if isinstance(done_at, str) and self._clock.now() - datetime.fromisoformat(done_at) < CLEANUP_EVERY:
            return False
        await self.run()
        return True

    async def run(self) -> dict[str, int]:
        """Clean up now; returns the number of deleted rows by table, and of the graph's threads as `threads`."""
        cutoffs = Cutoffs.at(self._clock.now(), self._settings)
        gone = {
            name: await self._forget(metadata.tables[name], one.due(cutoffs))
            for name, one in RETENTION.items()
            if one.due is not None
        }
        gone["threads"] = await self._forget_threads()
        await self._records.put(CLEANUP_DONE_KEY, self._clock.now().isoformat(), by="guardian")
        log.info("cleaned up", gone={name: count for name, count in gone.items() if count})
        return gone

    async def _forget(self, table: Table, due: RowCondition) -> int:
        (key,) = table.primary_key.columns
        count = 0
        while True:
            async with self._database.read() as connection:
                found = (await connection.execute(select(key).where(due).limit(ROWS_PER_TRANSACTION))).scalars().all()
            if not found:
                return count
            async with self._database.write() as connection:
                gone = await connection.execute(delete(table).where(key.in_(found), due))
            if not gone.rowcount:  # another process was quicker
                return count
            count += gone.rowcount
            await asyncio.sleep(PAUSE_S)

    async def _forget_threads(self) -> int:
        """Delete threads that a crash left between the end of an incident and the end of its run."""
        threads = await self._checkpoints.threads()  # first: one that begins after this is in neither list
        async with self._database.read() as connection:
            unfinished = select(runs.c.key).where(runs.c.state.in_(UNFINISHED_RUN_STATES))
            wanted = set((await connection.execute(unfinished)).scalars())
            still_open = select(incidents.c.id).where(incidents.c.is_open.is_(True))
            wanted |= {f"inc-{number}" for number in (await connection.execute(still_open)).scalars()}
        gone = [thread for thread in threads if thread not in wanted]
        for thread in gone:
            await self._checkpoints.forget(thread)
        await self._checkpoints.make_shrinkable()
        return len(gone)

"""The inbox: raw updates, stored before they are acknowledged to the chat server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Insert, Row, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from core.actions.catalog import JsonObject
from core.clock import Clock
from knowledge.database import Database
from knowledge.tables import inbox

INBOX_PAGE_ROWS = 500


@dataclass(frozen=True, kw_only=True)
class RawUpdate:
    """One raw update. Update ids start again after a week of silence: `mark` (date or callback id) tells them apart."""

    bot_id: int
    update_id: int
    mark: str
    payload: JsonObject

    @property
    def key(self) -> str:
        """The stem of the keys of calls that come from it: `tg:<bot id>:<update id>:<mark>`."""
        return f"tg:{self.bot_id}:{self.update_id}:{self.mark}"


@dataclass(frozen=True, kw_only=True)
class ReceivedUpdate:
    """An update as the inbox holds it."""

    id: int
    update: RawUpdate
    received_at: datetime
    tries: int = 0


class Inbox:
    """Each update is stored once, in the order it came, and is pending until it is done.

    The poller: `await put(updates)`, then move the offset. The worker: page after page of `pending()` at start, then
    what `put` returned; `begun(id)` before handling (a counter against updates that kill the process), `done(id)`
    after it.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def put(self, updates: Sequence[RawUpdate]) -> list[ReceivedUpdate]:
        """Store updates in one transaction; returns those that were not known, in their order."""
        now = self._clock.now()
        fresh: list[ReceivedUpdate] = []
        async with self._database.write() as connection:
            for one in updates:
                written = await connection.execute(self._insert(one, now))
                row_id = written.scalar_one_or_none()
                if row_id is not None:
                    fresh.append(ReceivedUpdate(id=row_id, update=one, received_at=now))
        return fresh

    async def pending(self, *, after: int = 0, limit: int = INBOX_PAGE_ROWS) -> list[ReceivedUpdate]:
        """A page of what was received and not done, oldest first; `after`: the last id of the page before."""
        query = select(inbox).where(inbox.c.done_at.is_(None), inbox.c.id > after).order_by(inbox.c.id).limit(limit)
        async with self._database.read() as connection:
            return [_received(row) for row in (await connection.execute(query)).all()]

    async def begun(self, row_id: int) -> int:
        """Count a try before handling; returns how many there were with this one."""
        async with self._database.write() as connection:
            counted = await connection.execute(
                update(inbox).where(inbox.c.id == row_id).values(tries=inbox.c.tries + 1).returning(inbox.c.tries)
            )
            return int(counted.scalar_one_or_none() or 0)

    async def done(self, row_id: int, *, error: str = "") -> None:
        """Mark an update done; `error` says what went wrong, if anything."""
        async with self._database.write() as connection:
            await connection.execute(
                update(inbox).where(inbox.c.id == row_id).values(done_at=self._clock.now(), error=error[:1000])
            )

    async def count_pending(self) -> int:
        """Number of updates not done."""
        async with self._database.read() as connection:
            return int((await connection.execute(select(func.count()).where(inbox.c.done_at.is_(None)))).scalar_one())

    def _insert(self, one: RawUpdate, now: datetime) -> Any:
        dialect = sqlite if self._database.is_sqlite else postgresql
        statement: Insert = dialect.insert(inbox)
        values = {"bot_id": one.bot_id, "update_id": one.update_id, "mark": one.mark[:80], "payload": one.payload}
        filled = statement.values(**values, received_at=now)
        return filled.on_conflict_do_nothing().returning(inbox.c.id)  # type: ignore[attr-defined]  # both dialects have it


def _received(row: Row[Any]) -> ReceivedUpdate:
    stored = RawUpdate(bot_id=row.bot_id, update_id=row.update_id, mark=row.mark, payload=row.payload)
    return ReceivedUpdate(id=row.id, update=stored, received_at=row.received_at, tries=row.tries)

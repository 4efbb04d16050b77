"""Silences: targets that are muted, and until when."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from sqlalchemy import insert, select, update

from core.incidents.alerts import Silence
from knowledge.cached_value import CachedValue
from knowledge.database import Database
from knowledge.tables import silences


class SilenceRecords:
    """core.incidents.incident_store.Silences over the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known = CachedValue(self._load, is_shared=not database.is_sqlite)

    async def add(self, silence: Silence) -> Silence:
        """Write a silence; returns it with its id."""
        values = {"target": silence.target, "until": silence.until, "by": silence.by, "why": silence.why}
        async with self._database.write() as connection:
            written = await connection.execute(insert(silences).values(**values).returning(silences.c.id))
            added = replace(silence, id=int(written.scalar_one()))
        self._known.forget()
        return added

    async def active(self, now: datetime) -> list[Silence]:
        """Silences in force at `now`, oldest first."""
        return [one for one in await self._known.get() if one.until > now]

    async def _load(self) -> tuple[Silence, ...]:
        query = select(silences).order_by(silences.c.id)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return tuple(Silence(id=row.id, target=row.target, until=row.until, by=row.by, why=row.why) for row in rows)

    async def end(self, silence_id: int, at: datetime) -> bool:
        """End a silence early; False: it was over."""
        async with self._database.write() as connection:
            ended = await connection.execute(
                update(silences).where(silences.c.id == silence_id, silences.c.until > at).values(until=at)
            )
        self._known.forget()
        return ended.rowcount == 1

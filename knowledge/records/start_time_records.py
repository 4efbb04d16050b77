"""Start times: seconds that a service takes to come up, learnt from observed starts."""

from __future__ import annotations

from sqlalchemy import delete, insert, select

from core.clock import Clock
from knowledge.database import Database
from knowledge.tables import start_times

STARTS_KEPT = 20
"""Starts remembered per service."""


class StartTimeRecords:
    """Start times by service, `stack/service` as in Incident.target."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def learn(self, service: str, seconds: float) -> None:
        """Record a start; the last 20 are kept."""
        mine = start_times.c.service == service
        async with self._database.write() as connection:
            await connection.execute(insert(start_times).values(service=service, seconds=seconds, at=self._clock.now()))
            newest = select(start_times.c.id).where(mine).order_by(start_times.c.id.desc()).limit(STARTS_KEPT)
            await connection.execute(delete(start_times).where(mine, start_times.c.id.not_in(newest)))

    async def typical(self, service: str) -> float | None:
        """Seconds within which nine of ten starts were up; None: none was seen."""
        query = select(start_times.c.seconds).where(start_times.c.service == service)
        async with self._database.read() as connection:
            seen = sorted((await connection.execute(query)).scalars())
        return seen[min(int(len(seen) * 0.9), len(seen) - 1)] if seen else None

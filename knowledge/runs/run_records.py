"""The rows of runs, shared by local and procrastinate delivery."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import ColumnElement, Row, insert, or_, select, text, update
from sqlalchemy.exc import IntegrityError

from core.actions.catalog import JsonObject
from core.clock import Clock
from core.errors import SystemUnavailable
from core.runs import OnDead, Priority, Run, RunHandler, RunState
from knowledge.database import Database
from knowledge.tables import runs

UNFINISHED_RUN_STATES = (RunState.QUEUED, RunState.RUNNING, RunState.WAITING)
ERROR_LIMIT = 2000
LONGEST_BACK_OFF_S = 300.0
CUT_OFF_LIMIT = 20
"""Crashes of the process during a run before the run is taken for their cause."""
DEATH_REPORT_TRIES = 5
"""Tries to report a dead run, where the report fails or ends the process."""
DEATH_REPORT_LIMIT_S = 60.0
"""Time limit of one report."""
FIRST_REST_S = 0.1
LONGEST_REST_S = 5.0
"""Pauses between tries to write, while the database is unreachable."""
NO_JOB_CONDITION = "NOT EXISTS (SELECT 1 FROM procrastinate_jobs WHERE lock = runs.key AND status IN ('todo', 'doing'))"
log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class RunLimits:
    """Limits of the work on runs."""

    concurrency: int = 32
    """Handlers at once. One in eight places is kept for runs of high priority."""
    back_off_s: float = 1.0
    """Pause after the first failure; doubles with each."""
    grace_s: float = 5.0
    """Time for running handlers to end when the work stops."""

    def back_off(self, tries: int) -> timedelta:
        """The pause after so many failures."""
        return timedelta(seconds=min(self.back_off_s * 2 ** (tries - 1), LONGEST_BACK_OFF_S))


@dataclass(frozen=True, kw_only=True)
class RunKind:
    """Kind of run: its handler, its tries, and the callback for its dead runs."""

    handler: RunHandler
    tries: int
    on_dead: OnDead | None = None

    def why_dead(self, run: Run, cut_off: int) -> str:
        """The reason not to try a run any more; empty: there is none."""
        if run.tries >= self.tries:
            return run.error or "it failed too often"
        if cut_off > CUT_OFF_LIMIT:
            return f"it was cut off {cut_off} times, each time with the whole process"
        return ""

    async def tell_death(self, run: Run, pace: RunLimits) -> None:
        """Report a dead run to `on_dead`; a failure is logged and tried again a few times."""
        told = 0
        while self.on_dead is not None and told < DEATH_REPORT_TRIES:
            told += 1
            try:
                async with asyncio.timeout(DEATH_REPORT_LIMIT_S):
                    await self.on_dead(run)
                return
            except Exception as error:  # the run must become dead, whatever its owner makes of it
                log.error("a run's death could not be told", run=run.key, attempt=told, exc_info=error)
            await asyncio.sleep(pace.back_off(told).total_seconds())


class RunRecords:
    """Rows of runs: each method is one transaction; every change is conditional on the state it starts from."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def insert(self, run: Run) -> bool:
        """Write a new run; False: its key is known."""
        now = self._clock.now()
        try:
            async with self._database.write() as connection:
                await connection.execute(
                    insert(runs).values(
                        key=run.key,
                        kind=run.kind,
                        payload=run.payload,
                        priority=int(run.priority),
                        state=run.state,
                        due_at=run.due_at,
                        created_at=now,
                        updated_at=now,
                    )
                )
        except IntegrityError:
            return False
        return True

    async def move(
        self, key: str, *, of: Sequence[RunState] = UNFINISHED_RUN_STATES, if_wakes: int | None = None, **values: object
    ) -> bool:
        """Change a run that is in one of the states `of` (and was woken `if_wakes` times); False: it is not."""
        if isinstance(error := values.get("error"), str):
            values["error"] = error[:ERROR_LIMIT]
        change = update(runs).where(runs.c.key == key, runs.c.state.in_(of))
        if if_wakes is not None:
            change = change.where(runs.c.wakes == if_wakes)
        async with self._database.write() as connection:
            moved = await connection.execute(change.values(updated_at=self._clock.now(), **values))
            return moved.rowcount == 1

    async def insist(self, key: str, *, if_wakes: int | None = None, **values: Any) -> bool:
        """Change a run that is not over, like `move`, retrying until the database takes it.

        An unreachable database is no failure of the run: its outcome waits here, neither lost nor counted against it.
        Ends with the task that works on the run.
        """
        rest_s = FIRST_REST_S
        while True:
            try:
                return await self.move(key, if_wakes=if_wakes, **values)
            except SystemUnavailable as error:
                log.warning("a run's state cannot be written now; trying on", run=key, why=str(error))
            await asyncio.sleep(rest_s)
            rest_s = min(rest_s * 2, LONGEST_REST_S)

    async def bury(self, run: Run, kind: RunKind, pace: RunLimits, *, why: str, cut_off: int) -> None:
        """End a run for good: write it as worn out (so that a crash loses nothing), report it, mark it dead."""
        was_begun = run.tries >= kind.tries
        times = cut_off if was_begun else 0
        worn_out: dict[str, Any] = {"tries": kind.tries, "error": why, "due_at": None, "cut_off": times}
        if not await self.insist(run.key, state=RunState.RUNNING, **worn_out):
            return
        if times < DEATH_REPORT_TRIES:  # else telling it is what ends the process
            dead = replace(run, state=RunState.DEAD, tries=kind.tries, error=why[:ERROR_LIMIT], due_at=None)
            await kind.tell_death(dead, pace)
        await self.insist(run.key, state=RunState.DEAD)

    async def row(self, key: str) -> Row[Any] | None:
        """The raw row, or None."""
        async with self._database.read() as connection:
            return (await connection.execute(select(runs).where(runs.c.key == key))).one_or_none()

    async def get(self, key: str) -> Run | None:
        """The run, or None."""
        row = await self.row(key)
        return None if row is None else run_of_row(row)

    async def unfinished(self) -> Sequence[Row[Any]]:
        """Raw rows of unfinished runs, oldest first."""
        query = select(runs).where(runs.c.state.in_(UNFINISHED_RUN_STATES)).order_by(runs.c.id)
        async with self._database.read() as connection:
            return (await connection.execute(query)).all()

    async def list(self, *, state: RunState | None = None, kind: str | None = None, limit: int = 50) -> list[Run]:
        """Runs, newest first."""
        query = select(runs).order_by(runs.c.id.desc()).limit(limit)
        if state is not None:
            query = query.where(runs.c.state == state)
        if kind is not None:
            query = query.where(runs.c.kind == kind)
        async with self._database.read() as connection:
            return [run_of_row(row) for row in (await connection.execute(query)).all()]

    async def wake(self, key: str) -> bool:
        """Raise the wake counter; False: there is nothing to wake."""
        async with self._database.write() as connection:
            raised = await connection.execute(
                update(runs)
                .where(runs.c.key == key, runs.c.state.in_(UNFINISHED_RUN_STATES))
                .values(wakes=runs.c.wakes + 1)
            )
            return raised.rowcount == 1

    async def undelivered(self, now: datetime, kinds: Collection[str]) -> Sequence[Run]:
        """Runs on PostgreSQL that should run now: queued, due, woken since their last look, or left by their job."""
        is_due = or_(runs.c.due_at.is_(None), runs.c.due_at <= now)
        is_queued = (runs.c.state == RunState.QUEUED) & is_due
        is_waiting = (runs.c.state == RunState.WAITING) & or_(runs.c.due_at <= now, runs.c.wakes != runs.c.seen_wakes)
        is_left: ColumnElement[bool] = (runs.c.state == RunState.RUNNING) & text(NO_JOB_CONDITION)
        query = select(runs).where(is_queued | is_waiting | is_left, runs.c.kind.in_(kinds))
        query = query.order_by(runs.c.priority.desc(), runs.c.id).limit(500)
        async with self._database.read() as connection:
            return [run_of_row(row) for row in (await connection.execute(query)).all()]


def new_run(kind: str, key: str, payload: JsonObject, priority: Priority, due: datetime | None) -> Run:
    """Build a run to submit."""
    return Run(kind=kind, key=key, payload=payload, priority=priority, due_at=due)


def run_of_row(row: Row[Any]) -> Run:
    """Convert a row to the core's Run."""
    return Run(
        kind=row.kind,
        key=row.key,
        payload=row.payload,
        priority=Priority(row.priority),
        state=RunState(row.state),
        due_at=row.due_at,
        tries=row.tries,
        result=row.result,
        error=row.error,
    )

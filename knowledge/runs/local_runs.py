"""Durable runs in one process: plain asyncio over the rows, which say at the next start what is unfinished."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import Row

from core.actions.catalog import JsonObject
from core.clock import Clock
from core.errors import SystemUnavailable
from core.runs import Done, OnDead, Priority, Run, RunHandler, RunState, Waiting
from knowledge.database import Database
from knowledge.runs.run_records import (
    UNFINISHED_RUN_STATES,
    RunKind,
    RunLimits,
    RunRecords,
    new_run,
    run_of_row,
)

LONGEST_SLEEP_S = 1.0
"""Longest sleep before due times are checked again: the wall clock may jump, a laptop may have slept."""
log = structlog.get_logger(__name__)


@dataclass(kw_only=True)
class _LiveRun:
    """A run that is not over."""

    run: Run
    order: int
    cut_off: int = 0
    wakes: int = 0
    is_ready: bool = False
    task: asyncio.Task[None] | None = None


@dataclass(kw_only=True)
class _RunQueue:
    """Runs that may start, highest priority first, and runs that become due."""

    ready: list[tuple[int, int, str]] = field(default_factory=list)
    due: list[tuple[datetime, str]] = field(default_factory=list)


class LocalRuns:
    """core.runs.Runs in one process."""

    def __init__(self, database: Database, clock: Clock, pace: RunLimits | None = None) -> None:
        self._records = RunRecords(database, clock)
        self._clock = clock
        self._pace = pace or RunLimits()
        self._kinds: dict[str, RunKind] = {}
        self._live: dict[str, _LiveRun] = {}
        self._queue = _RunQueue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._is_working = False
        self._orders = 0

    # -- core.runs.Runs ---------------------------------------------------------------------------------------------

    def register(self, kind: str, handler: RunHandler, *, tries: int = 3, on_dead: OnDead | None = None) -> None:
        """Register the handler of a kind, and the callback for its dead runs; call it before `start`."""
        self._kinds[kind] = RunKind(handler=handler, tries=tries, on_dead=on_dead)

    async def start(self) -> None:
        """Start working, first on the unfinished runs of the records: every waiting one looks once."""
        rows = await self._records.unfinished()
        self._is_working = True
        for row in rows:
            self._take_up(row)
        self._pump()

    async def stop(self) -> None:
        """Stop taking work; running handlers are cancelled after a short grace and resumed at the next start."""
        self._is_working = False
        if self._timer is not None:
            self._timer.cancel()
        running = set(self._tasks)
        if running:
            _, late = await asyncio.wait(running, timeout=self._pace.grace_s)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=self._pace.grace_s)
        self._live.clear()
        self._queue = _RunQueue()

    async def submit(
        self,
        kind: str,
        key: str,
        payload: JsonObject,
        *,
        priority: Priority = Priority.NORMAL,
        due: datetime | None = None,
    ) -> bool:
        """Queue a run; False: a run of that key exists already (nothing is changed)."""
        if self._is_working and kind not in self._kinds:
            raise ValueError(f"no handler is registered for runs of kind {kind!r}; known: {sorted(self._kinds)}")
        run = new_run(kind, key, payload, priority, due)
        if not await self._records.insert(run):
            await self._adopted(key)
            return False
        if self._is_working and key not in self._live:
            self._enter(run)
            self._pump()
        return True

    async def wake(self, key: str) -> None:
        """Make a run look again now; no effect on one that is over or unknown (before `start`: all look anyway)."""
        live = self._live.get(key) or await self._adopted(key)
        if live is None:
            return
        live.wakes += 1
        if live.task is None:
            self._make_ready(live)
            self._pump()

    async def cancel(self, key: str) -> bool:
        """Cancel a run; False: it was over."""
        if not await self._records.move(key, state=RunState.CANCELLED):
            return False
        live = self._live.pop(key, None)
        task = live.task if live else None
        if task is not None and task is not asyncio.current_task():
            task.cancel()
            await asyncio.wait({task}, timeout=self._pace.grace_s)
        return True

    async def get(self, key: str) -> Run | None:
        """The run, or None."""
        return await self._records.get(key)

    async def list(self, *, state: RunState | None = None, kind: str | None = None, limit: int = 50) -> Sequence[Run]:
        """Runs, newest first."""
        return await self._records.list(state=state, kind=kind, limit=limit)

    async def revive(self, key: str) -> bool:
        """Queue a dead run once more, its tries at zero; False: it is not dead."""
        fresh: dict[str, Any] = {"state": RunState.QUEUED, "tries": 0, "cut_off": 0, "due_at": None}
        if not await self._records.move(key, of=(RunState.DEAD,), **fresh):
            return False
        run = await self._records.get(key)
        if run is not None and self._is_working and key not in self._live:
            self._enter(run)
            self._pump()
        return True

    async def _adopted(self, key: str) -> _LiveRun | None:
        """Take up a run that is stored but not in memory: whoever submitted it never saw the commit succeed."""
        if not self._is_working or key in self._live:
            return self._live.get(key)
        row = await self._records.row(key)
        if row is not None and row.state in UNFINISHED_RUN_STATES:
            self._take_up(row)
            self._pump()
        return self._live.get(key)

    # -- what is ready ---------------------------------------------------------------------------------------------

    def _take_up(self, row: Row[Any]) -> None:
        if row.key in self._live:
            return
        if row.kind not in self._kinds:
            log.warning("a run has no handler here and stays as it is", run=row.key, kind=row.kind)
            return
        live = self._enter(run_of_row(row))
        if row.state == RunState.RUNNING:
            live.cut_off = row.cut_off + 1
        if row.state != RunState.QUEUED:
            self._make_ready(live)

    def _enter(self, run: Run) -> _LiveRun:
        self._orders += 1
        live = _LiveRun(run=run, order=self._orders)
        self._live[run.key] = live
        if run.due_at is None or run.due_at <= self._clock.now():
            self._make_ready(live)
        else:
            heapq.heappush(self._queue.due, (run.due_at, run.key))
        return live

    def _make_ready(self, live: _LiveRun) -> None:
        if not live.is_ready:
            live.is_ready = True
            heapq.heappush(self._queue.ready, (-live.run.priority, live.order, live.run.key))

    def _pump(self) -> None:
        """Start what is ready while there is room, and set the timer for what becomes due."""
        if not self._is_working:
            return
        now = self._clock.now()
        while self._queue.due and self._queue.due[0][0] <= now:
            due, key = heapq.heappop(self._queue.due)
            live = self._live.get(key)
            if live is not None and live.task is None and live.run.due_at == due:
                self._make_ready(live)
        while self._queue.ready and self._has_room(-self._queue.ready[0][0]):
            live = self._live.get(heapq.heappop(self._queue.ready)[2])
            if live is not None and live.is_ready and live.task is None:
                self._launch(live)
        self._set_timer(now)

    def _has_room(self, priority: int) -> bool:
        kept = 0 if priority >= Priority.HIGH else self._pace.concurrency // 8
        return len(self._tasks) < self._pace.concurrency - kept

    def _set_timer(self, now: datetime) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._queue.due:
            wait_s = (self._queue.due[0][0] - now).total_seconds()
            delay_s = min(max(wait_s, 0.001), LONGEST_SLEEP_S)
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._pump)

    # -- one look --------------------------------------------------------------------------------------------------

    def _launch(self, live: _LiveRun) -> None:
        live.is_ready = False
        task = asyncio.get_running_loop().create_task(self._look(live), name=f"run {live.run.key}")
        live.task = task
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a run's task died; it is taken up at the next start", exc_info=error)
        self._pump()

    async def _look(self, live: _LiveRun) -> None:
        """Call the handler once; a wake meanwhile makes the run ready again."""
        wakes, key = live.wakes, live.run.key
        try:
            await self._carry_on(live)
        except asyncio.CancelledError:
            if key in self._live:  # stopped, not cancelled by a person
                with suppress(SystemUnavailable):  # then the next start finds it cut off
                    await self._records.move(key, of=(RunState.RUNNING,), state=RunState.QUEUED, due_at=None)
            raise
        finally:
            live.task = None  # from here to the end without an await: no wake can fall in between
            if live.wakes != wakes and key in self._live:
                self._make_ready(live)

    async def _carry_on(self, live: _LiveRun) -> None:
        """Call the handler once and record its answer or its failure."""
        if why := self._kinds[live.run.kind].why_dead(live.run, live.cut_off):
            await self._bury(live, why)
            return
        live.run = run = replace(live.run, state=RunState.RUNNING)
        if not await self._records.insist(run.key, state=RunState.RUNNING, cut_off=live.cut_off):
            self._live.pop(run.key, None)
            return
        try:
            await self._write(live, await self._kinds[run.kind].handler(run))
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            await self._failed(live, RuntimeError("the handler gave up: something it waited for was cancelled"))
        except Exception as error:  # noqa: BLE001 - whatever a handler does, its run goes on by the rules
            await self._failed(live, error)

    async def _write(self, live: _LiveRun, answer: Done | Waiting) -> None:
        live.cut_off = 0
        if isinstance(answer, Done):
            await self._records.insist(live.run.key, state=RunState.DONE, result=answer.result, due_at=None, cut_off=0)
            self._live.pop(live.run.key, None)
            return
        live.run = replace(live.run, state=RunState.WAITING, due_at=answer.until, tries=0)
        await self._records.insist(
            live.run.key, state=RunState.WAITING, due_at=answer.until, tries=0, cut_off=0, error=""
        )
        if answer.until is not None:
            heapq.heappush(self._queue.due, (answer.until, live.run.key))

    async def _failed(self, live: _LiveRun, error: BaseException) -> None:
        run, kind = live.run, self._kinds[live.run.kind]
        tries = run.tries + 1
        problem = f"{type(error).__name__}: {error}"
        log.warning("a run failed", run=run.key, attempt=tries, of=kind.tries, exc_info=error)
        live.cut_off = 0
        if tries >= kind.tries:
            await self._bury(live, problem)
            return
        due = self._clock.now() + self._pace.back_off(tries)
        live.run = replace(run, state=RunState.QUEUED, tries=tries, due_at=due, error=problem)
        await self._records.insist(run.key, state=RunState.QUEUED, tries=tries, due_at=due, error=problem, cut_off=0)
        heapq.heappush(self._queue.due, (due, run.key))

    async def _bury(self, live: _LiveRun, why: str) -> None:
        kind = self._kinds[live.run.kind]
        await self._records.bury(live.run, kind, self._pace, why=why, cut_off=live.cut_off)
        self._live.pop(live.run.key, None)

"""Durable runs over several workers: the rows hold the runs, procrastinate's jobs on PostgreSQL deliver them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import structlog

from core.actions.catalog import JsonObject
from core.clock import Clock
from core.errors import SystemUnavailable
from core.runs import Done, OnDead, Priority, Run, RunHandler, RunState, Waiting
from knowledge.database import Database
from knowledge.locks import lock_number
from knowledge.runs.run_records import RunKind, RunLimits, RunRecords, new_run, run_of_row

if TYPE_CHECKING:
    from procrastinate import App, JobContext
    from procrastinate.jobs import Job

TASK_NAME = "run"
SCHEMA_LOCK = lock_number("procrastinate schema")
RUN_CONNECTIONS = 6
log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class QueueTimings:
    """Intervals of looking for jobs without a notification. Seconds."""

    poll_s: float = 1.0
    """For jobs that become due, and for those that waited for another one's lock."""
    sweep_s: float = 5.0
    """For rows without a job (a death between row and job) and for jobs of dead workers."""
    heartbeat_s: float = 5.0
    stall_s: float = 20.0
    """A worker that is silent for so long is dead."""


class ProcrastinateRuns:
    """core.runs.Runs over PostgreSQL.

    A job carries only a run's key. It locks the key (one handler at a time, on any worker), and a job that finds
    nothing to do is harmless; so jobs are made generously: at submit, at each wake, for each due time, by the sweep.
    """

    def __init__(
        self, database: Database, clock: Clock, pace: RunLimits | None = None, delivery: QueueTimings | None = None
    ) -> None:
        self._url = database.plain_url
        self._records = RunRecords(database, clock)
        self._clock = clock
        self._pace = pace or RunLimits(concurrency=16)
        self._delivery = delivery or QueueTimings()
        self._kinds: dict[str, RunKind] = {}
        self._app: App | None = None
        self._tasks: list[asyncio.Task[None]] = []

    # -- core.runs.Runs ---------------------------------------------------------------------------------------------

    def register(self, kind: str, handler: RunHandler, *, tries: int = 3, on_dead: OnDead | None = None) -> None:
        """Register the handler of a kind, and the callback for its dead runs; call it before `start`.

        This worker takes only kinds that it knows.
        """
        self._kinds[kind] = RunKind(handler=handler, tries=tries, on_dead=on_dead)

    async def start(self) -> None:
        """Start working, and make jobs for unfinished runs that have none."""
        app = await self._opened()
        await self._sweep_once(app)
        self._tasks = [
            asyncio.create_task(self._work(app), name="runs: worker"),
            asyncio.create_task(self._sweep(app), name="runs: sweep"),
        ]

    async def stop(self) -> None:
        """Stop taking work; running handlers are cancelled after a short grace and resumed at the next start."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=self._pace.grace_s * 2 + 5)
        app, self._app = self._app, None
        if app is not None:
            await app.close_async()

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
        run = new_run(kind, key, payload, priority, due)
        if not await self._records.insert(run):
            return False
        await self._defer(run, due)
        return True

    async def wake(self, key: str) -> None:
        """Make a run look again now; no effect on one that is over or unknown."""
        if not await self._records.wake(key):
            return
        run = await self._records.get(key)
        if run is not None:
            await self._defer(run, None)

    async def cancel(self, key: str) -> bool:
        """Cancel a run and its handler, on any worker; False: it was over."""
        if not await self._records.move(key, state=RunState.CANCELLED):
            return False
        row = await self._records.row(key)
        if row is not None and row.job_id is not None and self._app is not None:
            await self._app.job_manager.cancel_job_by_id_async(row.job_id, abort=True)
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
        if run is not None:
            await self._defer(run, None)
        return True

    # -- jobs ------------------------------------------------------------------------------------------------------

    async def _opened(self) -> App:
        if self._app is None:
            import procrastinate

            connector = procrastinate.PsycopgConnector(
                conninfo=self._url, min_size=1, max_size=RUN_CONNECTIONS, timeout=30, kwargs={"connect_timeout": 10}
            )
            app = procrastinate.App(connector=connector)
            app.task(name=TASK_NAME, pass_context=True)(self._deliver)
            await _make_schema(self._url)
            try:
                await app.open_async()
            except (procrastinate.exceptions.ConnectorException, OSError) as error:
                raise SystemUnavailable("the database", f"no connection for runs: {error}") from error
            self._app = app
        return self._app

    async def _defer(self, run: Run, due: datetime | None) -> None:
        """Make a job for a run: one for now at most, and one for each due time."""
        if self._app is None:
            return  # not started here: the sweep of a worker finds the row
        from procrastinate.exceptions import AlreadyEnqueued, ConnectorException

        moment = "now" if due is None else due.isoformat()
        job = self._app.configure_task(
            TASK_NAME,
            queue=run.kind,
            lock=run.key,
            queueing_lock=f"{run.key}@{moment}",
            priority=int(run.priority),
            schedule_at=due,
        )
        try:
            await job.defer_async(key=run.key)
        except AlreadyEnqueued:
            return
        except ConnectorException as error:
            log.warning("no job was made; the next sweep makes it", run=run.key, exc_info=error)

    async def _work(self, app: App) -> None:
        """Work until stopped; a worker that dies with its connection is started again."""
        while True:
            try:
                await app.run_worker_async(
                    queues=list(self._kinds),
                    concurrency=self._pace.concurrency,
                    fetch_job_polling_interval=self._delivery.poll_s,
                    abort_job_polling_interval=self._delivery.poll_s,
                    shutdown_graceful_timeout=self._pace.grace_s,
                    delete_jobs="always",
                    install_signal_handlers=False,
                    update_heartbeat_interval=self._delivery.heartbeat_s,
                    stalled_worker_timeout=self._delivery.stall_s,
                )
            except Exception as error:  # whatever its library raises, runs must go on being delivered
                log.error("the worker of runs died and is started again", exc_info=error)
            await asyncio.sleep(self._delivery.sweep_s)

    async def _sweep(self, app: App) -> None:
        while True:
            await asyncio.sleep(self._delivery.sweep_s)
            try:
                await self._sweep_once(app)
            except Exception as error:  # of two libraries; the next sweep does what this one could not
                log.warning("a sweep over the runs failed", exc_info=error)

    async def _sweep_once(self, app: App) -> None:
        for job in await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=self._delivery.stall_s):
            log.warning("a worker died; its run is taken over", run=job.lock)
            await _take_over(app, job)
        for run in await self._records.undelivered(self._clock.now(), list(self._kinds)):
            await self._defer(run, None)

    # -- one delivery ----------------------------------------------------------------------------------------------

    async def _deliver(self, context: JobContext, key: str) -> None:
        """Run the handler of a job's run, again as long as the run is woken meanwhile."""
        row = await self._records.row(key)
        if row is None or row.kind not in self._kinds or not self._wants_a_look(row):
            return
        cut_off = row.cut_off + 1 if row.state == RunState.RUNNING else row.cut_off
        if why := self._kinds[row.kind].why_dead(run_of_row(row), cut_off):
            await self._bury(run_of_row(row), why, cut_off)
            return
        wakes: int | None = row.wakes
        while wakes is not None:
            begun: dict[str, Any] = {
                "state": RunState.RUNNING,
                "seen_wakes": wakes,
                "cut_off": cut_off,
                "job_id": context.job.id,
            }
            if not await self._records.insist(key, **begun):
                return
            run = replace(run_of_row(row), state=RunState.RUNNING)
            wakes = await self._look(run, wakes)

    def _wants_a_look(self, row: Any) -> bool:
        if row.state == RunState.RUNNING:
            return True  # the lock is ours: whoever ran it is dead
        if row.state not in (RunState.QUEUED, RunState.WAITING):
            return False
        is_due = row.due_at is not None and row.due_at <= self._clock.now()
        is_new = row.state == RunState.QUEUED and row.due_at is None
        return is_due or is_new or row.wakes != row.seen_wakes

    async def _look(self, run: Run, wakes: int) -> int | None:
        """Call the handler once and record its answer; returns the wake counter if it must run again, else None."""
        try:
            is_written = await self._write(run, await self._kinds[run.kind].handler(run), wakes)
        except asyncio.CancelledError:
            with suppress(SystemUnavailable):  # then it is found without a job, and taken up as one that was cut off
                await self._records.move(run.key, of=(RunState.RUNNING,), state=RunState.QUEUED, due_at=None)
            raise
        except Exception as error:  # noqa: BLE001 - whatever a handler does, its run goes on by the rules
            await self._failed(run, error)
            return None
        if is_written:
            return None
        row = await self._records.row(run.key)  # where this fails, the sweep finds the run without a job
        return row.wakes if row is not None and row.state == RunState.RUNNING else None

    async def _write(self, run: Run, answer: Done | Waiting, wakes: int) -> bool:
        """Record a handler's answer; False: it was woken meanwhile and must not wait, or is over."""
        if isinstance(answer, Done):
            await self._records.insist(run.key, state=RunState.DONE, result=answer.result, due_at=None, cut_off=0)
            return True
        if answer.until is not None:
            await self._defer(run, answer.until)
        left: dict[str, Any] = {"due_at": answer.until, "tries": 0, "cut_off": 0, "error": ""}
        return await self._records.insist(run.key, if_wakes=wakes, state=RunState.WAITING, **left)

    async def _failed(self, run: Run, error: Exception) -> None:
        tries, limit = run.tries + 1, self._kinds[run.kind].tries
        problem = f"{type(error).__name__}: {error}"
        log.warning("a run failed", run=run.key, attempt=tries, of=limit, exc_info=error)
        if tries >= limit:
            await self._bury(run, problem)
            return
        due = self._clock.now() + self._pace.back_off(tries)
        await self._defer(run, due)
        await self._records.insist(run.key, state=RunState.QUEUED, tries=tries, due_at=due, error=problem, cut_off=0)

    async def _bury(self, run: Run, why: str, cut_off: int = 0) -> None:
        await self._records.bury(run, self._kinds[run.kind], self._pace, why=why, cut_off=cut_off)


async def _take_over(app: App, job: Job) -> None:
    """Queue a dead worker's job again; where another one waits for the same lock, that one does the work."""
    from procrastinate.exceptions import UniqueViolation
    from procrastinate.jobs import Status

    try:
        await app.job_manager.retry_job(job)
    except UniqueViolation:
        await app.job_manager.finish_job(job, Status.FAILED, delete_job=True)


async def _make_schema(plain_url: str) -> None:
    """Create procrastinate's tables if they are missing; one worker at a time."""
    import psycopg
    from procrastinate.schema import SchemaManager

    try:
        connection = await psycopg.AsyncConnection.connect(plain_url, connect_timeout=10)
        async with connection:
            await connection.execute("SET lock_timeout = '60s'")
            await connection.execute("SELECT pg_advisory_xact_lock(%s)", (SCHEMA_LOCK,))
            found = await (await connection.execute("SELECT to_regclass('procrastinate_jobs')")).fetchone()
            if found is None or found[0] is None:
                await connection.execute(SchemaManager.get_schema())
    except psycopg.Error as error:
        problem = str(error).strip().split("\n", 1)[0]
        raise SystemUnavailable("the database", f"the tables of runs cannot be made: {problem}") from error

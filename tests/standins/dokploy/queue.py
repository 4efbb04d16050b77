"""Dokploy's queue: in memory, first come first served, one line per server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from tests.standins.dokploy.rows import Row


@dataclass(kw_only=True, eq=False)
class Job:
    """A deployment to come."""

    kind: str
    """deploy or redeploy"""
    application_type: str
    """compose or application"""
    service_id: str
    title: str
    description: str
    server_id: str | None
    queued_ms: int = field(default_factory=lambda: int(time.time() * 1000))
    started_ms: int | None = None
    number: int = 0
    """Given by the queue."""
    is_over: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when it ran to its end, or was dropped."""


@dataclass(kw_only=True)
class Queue:
    """Runs jobs by `run`; as many at once per server as `concurrency` says, and one per service."""

    run: Callable[[Job], Awaitable[None]]
    concurrency: Callable[[str | None], int]
    waiting: list[Job] = field(default_factory=list)
    active: dict[Job, asyncio.Task[None]] = field(default_factory=dict)
    is_held: bool = False
    """Nothing new is started."""
    _count: int = 0

    def add(self, job: Job) -> None:
        """Queue a job and start it if its turn has come."""
        self._count += 1
        job.number = self._count
        self.waiting.append(job)
        self.pump()

    def pump(self) -> None:
        """Start what may start."""
        for job in list(self.waiting):
            if self.is_held or not self._may_start(job):
                continue
            self.waiting.remove(job)
            job.started_ms = int(time.time() * 1000)
            task = asyncio.get_running_loop().create_task(self._work(job), name=f"job-{job.number}")
            self.active[job] = task

    def _may_start(self, job: Job) -> bool:
        here = [one for one in self.active if one.server_id == job.server_id]
        is_busy = any(one.service_id == job.service_id for one in here)
        return not is_busy and len(here) < self.concurrency(job.server_id)

    async def _work(self, job: Job) -> None:
        try:
            await self.run(job)
        finally:
            self.active.pop(job, None)
            job.is_over.set()
            if not self.is_held:
                self.pump()

    def clean(self, service_id: str) -> None:
        """Drop what waits for a service; what runs goes on."""
        self._drop([job for job in self.waiting if job.service_id == service_id])

    def _drop(self, jobs: list[Job]) -> None:
        for job in jobs:
            self.waiting.remove(job)
            job.is_over.set()

    async def lose(self) -> None:
        """Forget everything, as a restart does; what runs is ended, and numbers begin anew."""
        self._drop(list(self.waiting))
        tasks = list(self.active.values())
        self.active.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._count = 0

    def listed(self, href: Callable[[Job], Row | None]) -> list[Row]:
        """As `deployment.queueList` gives it: newest first."""
        jobs = sorted([*self.waiting, *self.active], key=lambda job: job.number, reverse=True)
        return [_listed(job, href(job)) for job in jobs]


def _listed(job: Job, path: Row | None) -> Row:
    data = {
        f"{job.application_type}Id": job.service_id,
        "titleLog": job.title,
        "type": job.kind,
        "applicationType": job.application_type,
        "descriptionLog": job.description,
        "server": job.server_id is not None,
    }
    if job.server_id is not None:
        data["serverId"] = job.server_id
    row: Row = {"id": f"job-{job.number}", "name": "deployments", "data": data, "timestamp": job.queued_ms}
    if job.started_ms is not None:
        row["processedOn"] = job.started_ms
    return {**row, "state": "active" if job.started_ms is not None else "waiting", "servicePath": path}

"""Runs: durable units of work, submitted once by key, resumed after a crash."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Protocol

from core.actions.catalog import JsonObject


class Priority(IntEnum):
    """Priority of a run; the highest goes first."""

    LOW = 0
    NORMAL = 10
    HIGH = 20


class RunState(StrEnum):
    """State of a run: queued → running → waiting (until woken or due) → … → done | dead | cancelled."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    DONE = "done"
    DEAD = "dead"
    """Failed more often than its limit: a person must look."""
    CANCELLED = "cancelled"


@dataclass(frozen=True, kw_only=True)
class Run:
    """A durable unit of work."""

    kind: str
    key: str
    payload: JsonObject
    priority: Priority = Priority.NORMAL
    state: RunState = RunState.QUEUED
    due_at: datetime | None = None
    tries: int = 0
    result: JsonObject | None = None
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class Done:
    """A handler's answer: the run is over."""

    result: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A handler's answer: call it again when the run is woken, or at `until`."""

    until: datetime | None = None


RunHandler = Callable[[Run], Awaitable[Done | Waiting]]
OnDead = Callable[[Run], Awaitable[None]]
"""Called with a run that failed too often; its `error` gives the reason."""


class Runs(Protocol):
    """Durable work: a run is continued after a crash until its handler returns Done.

    A handler may be called more than once for the same moment of a run (double delivery): it must be harmless.
    A wake that comes while the handler is running makes it run once more: no wake is lost.
    One handler at a time per key. An unavailable database is no failure of a handler: its answer is kept.
    """

    def register(self, kind: str, handler: RunHandler, *, tries: int = 3, on_dead: OnDead | None = None) -> None:
        """Register the handler of a kind; call it before `start`.

        `on_dead` is called once for each run that failed `tries` times, before its state becomes dead: a crash between
        the two loses no call. If it fails it is called again, a few times, so it must be harmless when repeated.
        """
        ...

    async def start(self) -> None:
        """Start working, first on the runs that are recorded as unfinished."""
        ...

    async def stop(self) -> None:
        """Stop taking work; running handlers are cancelled after a short grace and resumed at the next start."""
        ...

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
        ...

    async def wake(self, key: str) -> None:
        """Make a run's handler look again now; no effect on a run that is over or unknown."""
        ...

    async def cancel(self, key: str) -> bool:
        """Cancel a run; False: it was over."""
        ...

    async def get(self, key: str) -> Run | None:
        """Return the run, or None."""
        ...

    async def list(self, *, state: RunState | None = None, kind: str | None = None, limit: int = 50) -> Sequence[Run]:
        """Return runs, newest first."""
        ...

    async def revive(self, key: str) -> bool:
        """Queue a dead run once more, with its tries at zero; False: it is not dead."""
        ...

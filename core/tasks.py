"""Background tasks that are named, held, and reported when they die; restarted where requested."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Any, Self

import structlog

log = structlog.get_logger(__name__)

Work = Callable[[], Coroutine[Any, Any, None]]
OnDeath = Callable[[str, Exception], Awaitable[None]]
FIRST_RESTART_S = 0.2
LONGEST_RESTART_S = 30.0
STOP_LIMIT_S = 10.0
GOOD_RUN_S = 60.0
"""After a run this long the pause before a restart is short again."""


@asynccontextmanager
async def undone_on_failure(undo: Callable[[], Awaitable[object]]) -> AsyncIterator[None]:
    """Run the block; where it fails or is cut off, run `undo` before that passes on."""
    async with AsyncExitStack() as stack:
        stack.push_async_callback(undo)
        yield
        stack.pop_all()


class Tasks:
    """An async context manager that owns tasks: on exit it cancels all of them and waits until they have ended."""

    def __init__(self, *, on_death: OnDeath | None = None) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._on_death = on_death

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def start(self, name: str, work: Work, *, restarts: bool = False) -> asyncio.Task[None]:
        """Run `work` as a task of that name; `restarts`: start it again after a failure, with growing pauses."""
        task = asyncio.create_task(self._supervise(name, work, restarts=restarts), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    @property
    def names(self) -> list[str]:
        """Names of the running tasks, sorted."""
        return sorted(task.get_name() for task in self._tasks)

    async def stop(self) -> None:
        """Cancel all tasks and wait for their end; one that resists for 10 s is reported and left."""
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        if not tasks:
            return
        _, resisting = await asyncio.wait(tasks, timeout=STOP_LIMIT_S)
        for task in resisting:
            log.error("a task does not end after being cancelled", task=task.get_name())

    async def _supervise(self, name: str, work: Work, *, restarts: bool) -> None:
        rest_s = FIRST_RESTART_S
        while True:
            began = asyncio.get_running_loop().time()
            try:
                await work()
            except Exception as error:  # a supervisor: whatever it is, it is reported, and the task begun again
                log.exception("a background task died", task=name, restarts=restarts)
                await self._tell(name, error)
                if not restarts:
                    return
            else:
                return
            if asyncio.get_running_loop().time() - began >= GOOD_RUN_S:
                rest_s = FIRST_RESTART_S
            await asyncio.sleep(rest_s)
            rest_s = min(rest_s * 2, LONGEST_RESTART_S)

    async def _tell(self, name: str, error: Exception) -> None:
        if self._on_death is None:
            return
        try:
            await self._on_death(name, error)
        except Exception:
            log.exception("nobody could be told of a task's death", task=name)

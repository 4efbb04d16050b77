"""Queue before the model: a limited number run, a limited number wait, and each one waiting learns its place."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from core.errors import ModelFailed, ModelFailure

OnWait = Callable[[int], Awaitable[None]]


class _Waiter:
    def __init__(self) -> None:
        self.moved = asyncio.Event()
        self.is_admitted = False


class ModelQueue:
    """Queue in order of arrival."""

    def __init__(self, *, parallel: int, queue: int) -> None:
        self._free = parallel
        self._queue = queue
        self._waiting: deque[_Waiter] = deque()

    @property
    def waiting(self) -> int:
        """Number of questions that wait."""
        return len(self._waiting)

    @asynccontextmanager
    async def turn(self, *, deadline: float, on_wait: OnWait | None = None) -> AsyncIterator[None]:
        """Hold a place at the model; raises ModelFailed: queue_full at once, or busy at `deadline` (loop time)."""
        await self._enter(deadline, on_wait)
        try:
            yield
        finally:
            self._leave()

    async def _enter(self, deadline: float, on_wait: OnWait | None) -> None:
        if self._free > 0:
            self._free -= 1
            return
        if len(self._waiting) >= self._queue:
            raise ModelFailed(
                ModelFailure.QUEUE_FULL,
                f"{self._queue} questions are already waiting for the model; try again in a minute",
            )
        waiter = _Waiter()
        self._waiting.append(waiter)
        try:
            async with asyncio.timeout_at(deadline):
                await self._wait(waiter, on_wait)
        except TimeoutError as error:
            self._give_up(waiter)
            raise ModelFailed(ModelFailure.BUSY, "the model didn't get to it in time; try again in a minute") from error
        except BaseException:  # whoever is cancelled leaves the queue
            self._give_up(waiter)
            raise

    async def _wait(self, waiter: _Waiter, on_wait: OnWait | None) -> None:
        told: int | None = None
        while True:
            waiter.moved.clear()
            place = 0 if waiter.is_admitted else self._waiting.index(waiter) + 1
            if on_wait is not None and place != told:
                told = place
                await on_wait(place)
            if place == 0:
                return
            await waiter.moved.wait()

    def _give_up(self, waiter: _Waiter) -> None:
        if waiter.is_admitted:
            self._leave()
            return
        self._waiting.remove(waiter)
        self._tell()

    def _leave(self) -> None:
        if self._waiting:
            admitted = self._waiting.popleft()
            admitted.is_admitted = True
            admitted.moved.set()
        else:
            self._free += 1
        self._tell()

    def _tell(self) -> None:
        for waiter in self._waiting:
            waiter.moved.set()

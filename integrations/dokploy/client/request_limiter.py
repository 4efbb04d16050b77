"""Limits on requests: running at once, waiting at once, and the least time between two."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from core.errors import SystemUnavailable
from core.text import text


class RequestQueueFull(SystemUnavailable):
    """Queue of requests full; nothing was sent."""


class RequestLimiter:
    """Limiter with two lanes, so that calls of minutes never hold up the quick ones."""

    def __init__(
        self, *, at_once: int, slow_at_once: int, waiting: int, interval_s: float, monotonic: Callable[[], float]
    ) -> None:
        self._quick = asyncio.Semaphore(at_once)
        self._slow = asyncio.Semaphore(slow_at_once)
        self._waiting_limit = waiting
        self._waiting = 0
        self._interval_s = interval_s
        self._monotonic = monotonic
        self._next_at = 0.0

    @asynccontextmanager
    async def turn(self, *, is_slow: bool) -> AsyncIterator[None]:
        """Wait for a turn and hold it; raises LineFull if too many wait already."""
        lane = self._slow if is_slow else self._quick
        if self._waiting >= self._waiting_limit:
            raise RequestQueueFull(
                "Dokploy",
                f"{self._waiting} requests to it wait already; try again in a moment",
                message=text("dokploy_error.line_full", count=self._waiting),
            )
        self._waiting += 1
        try:
            await lane.acquire()
        finally:
            self._waiting -= 1
        try:
            await self.space()
            yield
        finally:
            lane.release()

    async def space(self) -> None:
        """Wait until the least time since the last request has passed."""
        now = self._monotonic()
        begin = max(now, self._next_at)
        self._next_at = begin + self._interval_s
        if begin > now:
            await asyncio.sleep(begin - now)

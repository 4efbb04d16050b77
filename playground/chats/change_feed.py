"""Publishes every change in the playground: wakes waiting tests and feeds the open pages."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from playground.api.bot_api_wire import Json

FEED_LIMIT = 2000  # events a page may lag behind before it has to load everything anew


class PageFeed:
    """The events of one open page, in order; it ends when the page falls too far behind, so that it reconnects."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[Json | None] = asyncio.Queue(FEED_LIMIT + 1)
        self.is_behind = False

    def offer(self, event: Json) -> None:
        if self.is_behind:
            return
        if self.events.qsize() >= FEED_LIMIT:
            self.is_behind = True
            self.events.put_nowait(None)
            return
        self.events.put_nowait(event)

    def end(self) -> None:
        if not self.is_behind:
            self.is_behind = True
            self.events.put_nowait(None)


class ChangePublisher:
    """Publishes events and lets any number of waiters sleep until the next one."""

    def __init__(self) -> None:
        self._woken = asyncio.Event()
        self._feeds: set[PageFeed] = set()

    def publish(self, event: Json) -> None:
        self._woken.set()
        self._woken = asyncio.Event()
        for feed in self._feeds:
            feed.offer(event)

    async def wait(self, timeout_s: float) -> bool:
        """Sleep until the next change; False when there was none in time."""
        try:
            await asyncio.wait_for(self._woken.wait(), timeout_s)
        except TimeoutError:
            return False
        return True

    @contextmanager
    def feed(self) -> Iterator[PageFeed]:
        feed = PageFeed()
        self._feeds.add(feed)
        try:
            yield feed
        finally:
            self._feeds.discard(feed)

    def end_feeds(self) -> None:
        for feed in self._feeds:
            feed.end()

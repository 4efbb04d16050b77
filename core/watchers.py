"""All watched hosts together: one inventory, and one answer to whether a trouble is over."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from types import TracebackType
from typing import Self

from core.alerts import Alert
from core.detection import Sample
from core.inventory import Inventory, join
from core.watcher import Watcher
from core.wording import Text, text

FIRST_LOOK_LIMIT_S = 5.0


class Watchers:
    """The watchers by host; entered, all of them watch."""

    def __init__(self, watchers: Sequence[Watcher]) -> None:
        self._by_host = {one.name: one for one in watchers}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for one in self._by_host.values():
            await self._stack.enter_async_context(one)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def __iter__(self) -> Iterator[Watcher]:
        return iter(self._by_host.values())

    def adopt(self, alerts: Sequence[Alert]) -> None:
        """Take up alerts that were on when the program ended; before it is entered."""
        for one in self._by_host.values():
            one.adopt(alerts)

    async def looked(self) -> None:
        """Wait until every host was looked at once, or did not answer for a while."""
        waits = [one.has_looked.wait() for one in self._by_host.values()]
        try:
            async with asyncio.timeout(FIRST_LOOK_LIMIT_S):
                await asyncio.gather(*waits)
        except TimeoutError:
            return

    def inventory(self) -> Inventory:
        """Everything, as last seen."""
        return join([one.inventory() for one in self._by_host.values()])

    def latest(self, ref: str) -> Sample | None:
        """The last sample of a container (`host/name`), or None."""
        host, _, name = ref.partition("/")
        watcher = self._by_host.get(host)
        samples = watcher.snapshot().samples.get(name) if watcher else None
        return samples[-1] if samples else None

    def firing(self) -> tuple[Alert, ...]:
        """All alerts that are on."""
        return tuple(firing.alert for one in self._by_host.values() for firing in one.firing())

    def why_not_quiet(self, fingerprint: str, since: datetime) -> Text | None:
        """What speaks against that trouble being over since then; None: nothing."""
        watcher = self._of(fingerprint)
        if watcher is None:
            return text("watch.quiet.blind", host=_host(fingerprint))
        return watcher.why_not_quiet(fingerprint, since)

    def recurred(self, fingerprint: str, since: datetime) -> bool:
        """Whether the same trouble was seen to happen after that moment."""
        watcher = self._of(fingerprint)
        last = watcher.last_seen(fingerprint) if watcher else None
        return last is not None and last > since

    async def refresh(self, host: str) -> None:
        """Look at a host now; one that is not watched (any more) is left out."""
        watcher = self._by_host.get(host)
        if watcher is not None:
            await watcher.look()

    def _of(self, fingerprint: str) -> Watcher | None:
        return self._by_host.get(_host(fingerprint))


def _host(fingerprint: str) -> str:
    return fingerprint.partition(":")[2].partition("/")[0]

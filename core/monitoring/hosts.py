"""All watched hosts as one: each question goes to the watcher of the host that it is about."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from types import TracebackType
from typing import Protocol, Self

from core.incidents.alerts import Alert, Firing
from core.monitoring.inventory import Inventory, join
from core.monitoring.snapshot import PlatformView, Sample
from core.monitoring.topology import Topology
from core.monitoring.watcher import Watcher
from core.text import Text, text

FIRST_LOOK_LIMIT_S = 5.0


class AlertOwner(Protocol):
    """Whoever raises, clears and verifies alerts: a watcher, or what other systems report."""

    def is_about(self, fingerprint: str) -> bool:
        """Whether it is the one that raises and clears that trouble."""
        ...

    def firing(self) -> Sequence[Firing]:
        """The alerts that are on."""
        ...

    def is_firing(self, fingerprint: str) -> bool:
        """Whether that alert is on."""
        ...

    def is_quiet(self, fingerprint: str, since: datetime) -> bool:
        """Whether that trouble is over."""
        ...

    def why_not_quiet(self, fingerprint: str, since: datetime) -> Text | None:
        """What still speaks against it being over; None: nothing."""
        ...

    def recurred(self, fingerprint: str, since: datetime) -> bool:
        """Whether that trouble happened again after a moment."""
        ...

    def adopt(self, alerts: Iterable[Alert]) -> None:
        """Take up those of its alerts that were on when the program ended."""
        ...


class WatcherGroup:
    """The watchers together, and whoever else owns alerts; an async context manager that starts and stops them."""

    def __init__(self, watchers: Iterable[Watcher], *others: AlertOwner) -> None:
        """`others`: owners of alerts that no watcher sees."""
        self._watchers = {watcher.name: watcher for watcher in watchers}
        self._owners: tuple[AlertOwner, ...] = (*others, *self._watchers.values())
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for watcher in self._watchers.values():
            await self._stack.enter_async_context(watcher)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def watchers(self) -> tuple[Watcher, ...]:
        """One per host and platform, in the order of the settings."""
        return tuple(self._watchers.values())

    async def looked(self) -> None:
        """Wait until every host was looked at once, or did not answer for a while."""
        try:
            async with asyncio.timeout(FIRST_LOOK_LIMIT_S):
                await asyncio.gather(*(watcher.has_looked.wait() for watcher in self._watchers.values()))
        except TimeoutError:
            return

    def latest(self, ref: str) -> Sample | None:
        """The last sample of a container (`host/name`); None: it was never measured."""
        host, _, name = ref.partition("/")
        watcher = self.of(host)
        samples = watcher.snapshot().samples.get(name) if watcher else None
        return samples[-1] if samples else None

    def of(self, host: str) -> Watcher | None:
        """The watcher of a host; None: it is not watched."""
        return self._watchers.get(host)

    def inventory(self) -> Inventory:
        """Everything, as last seen."""
        return join(watcher.inventory() for watcher in self._watchers.values())

    def platform(self) -> PlatformView | None:
        """What the deployment platform said last; None: none is watched, or it was not heard yet."""
        views = (watcher.snapshot().platform for watcher in self._watchers.values())
        return next((one for one in views if one is not None), None)

    def topology(self, host: str) -> Topology:
        """Who depends on whom on a host, as last seen."""
        watcher = self.of(host)
        return watcher.topology() if watcher else Topology()

    def firing(self) -> Sequence[Alert]:
        """All alerts that are on."""
        return [firing.alert for owner in self._owners for firing in owner.firing()]

    def is_firing(self, fingerprint: str) -> bool:
        """Whether that alert is on."""
        owner = self._about(fingerprint)
        return owner is not None and owner.is_firing(fingerprint)

    def is_watched(self, fingerprint: str) -> bool:
        """Whether there is a watcher that raises and clears that trouble."""
        return self._about(fingerprint) is not None

    def is_quiet(self, fingerprint: str, since: datetime) -> bool:
        """Whether, by a look made after `since`, that trouble is over; never for a host that is not watched."""
        owner = self._about(fingerprint)
        return owner is not None and owner.is_quiet(fingerprint, since)

    def why_not_quiet(self, fingerprint: str, since: datetime) -> Text | None:
        """What still speaks against it being over; None: nothing."""
        owner = self._about(fingerprint)
        return owner.why_not_quiet(fingerprint, since) if owner else text("watch.quiet.unwatched")

    def recurred(self, fingerprint: str, since: datetime) -> bool:
        """Whether that trouble was seen to happen again after a moment."""
        owner = self._about(fingerprint)
        return owner is not None and owner.recurred(fingerprint, since)

    def adopt(self, alerts: Iterable[Alert]) -> None:
        """Hand each owner the alerts that were on when the program ended; to be done before this is entered."""
        known = tuple(alerts)
        for owner in self._owners:
            owner.adopt(known)

    async def refresh(self, host: str | None = None) -> None:
        """Look at a host now, and at the platforms that have something to say of it, or at all of them side by side."""
        chosen = [watcher for watcher in self._watchers.values() if host is None or watcher.speaks_of(host)]
        await asyncio.gather(*(watcher.look() for watcher in chosen))

    def _about(self, fingerprint: str) -> AlertOwner | None:
        return next((one for one in self._owners if one.is_about(fingerprint)), None)

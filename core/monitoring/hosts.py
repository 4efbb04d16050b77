"""All watched hosts as one: each question goes to the watcher of its host."""

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
    """Owner of alerts, which raises, clears and verifies them: a watcher, or the alerts of other systems."""

    def is_about(self, fingerprint: str) -> bool:
        """Return whether it owns this alert."""
        ...

    def firing(self) -> Sequence[Firing]:
        """Return its firing alerts."""
        ...

    def is_firing(self, fingerprint: str) -> bool:
        """Return whether the alert is firing."""
        ...

    def is_quiet(self, fingerprint: str, since: datetime) -> bool:
        """Return whether the alert is over."""
        ...

    def why_not_quiet(self, fingerprint: str, since: datetime) -> Text | None:
        """Return the reason why the alert is not over; None: it is."""
        ...

    def recurred(self, fingerprint: str, since: datetime) -> bool:
        """Return whether it occurred again after `since`."""
        ...

    def adopt(self, alerts: Iterable[Alert]) -> None:
        """Adopt those of its alerts that were firing when the last run ended."""
        ...


class WatcherGroup:
    """The watchers and other owners of alerts together; an async context manager that starts and stops them."""

    def __init__(self, watchers: Iterable[Watcher], *others: AlertOwner) -> None:
        """Create it; `others`: owners of alerts that no watcher sees."""
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
        """The watchers, one per host and platform, in the order of the settings."""
        return tuple(self._watchers.values())

    async def looked(self) -> None:
        """Wait until every host was looked at once, or has not responded for a while."""
        try:
            async with asyncio.timeout(FIRST_LOOK_LIMIT_S):
                await asyncio.gather(*(watcher.has_looked.wait() for watcher in self._watchers.values()))
        except TimeoutError:
            return

    def latest(self, ref: str) -> Sample | None:
        """Return the last sample of a container (`host/name`); None: it was never measured."""
        host, _, name = ref.partition("/")
        watcher = self.of(host)
        samples = watcher.snapshot().samples.get(name) if watcher else None
        return samples[-1] if samples else None

    def of(self, host: str) -> Watcher | None:
        """Return the watcher of a host; None: it is not watched."""
        return self._watchers.get(host)

    def inventory(self) -> Inventory:
        """Return the inventory of all hosts, as last seen."""
        return join(watcher.inventory() for watcher in self._watchers.values())

    def platform(self) -> PlatformView | None:
        """Return the last view of the deployment platform; None: none is watched, or it has not responded yet."""
        views = (watcher.snapshot().platform for watcher in self._watchers.values())
        return next((one for one in views if one is not None), None)

    def topology(self, host: str) -> Topology:
        """Return the dependency graph of a host, as last seen."""
        watcher = self.of(host)
        return watcher.topology() if watcher else Topology()

    def firing(self) -> Sequence[Alert]:
        """Return all firing alerts."""
        return [firing.alert for owner in self._owners for firing in owner.firing()]

    def is_firing(self, fingerprint: str) -> bool:
        """Return whether the alert is firing."""
        owner = self._about(fingerprint)
        return owner is not None and owner.is_firing(fingerprint)

    def is_watched(self, fingerprint: str) -> bool:
        """Return whether anything raises and clears this alert."""
        return self._about(fingerprint) is not None

    def is_quiet(self, fingerprint: str, since: datetime) -> bool:
        """Return whether, by a look after `since`, the alert is over; always False for a host that is not watched."""
        owner = self._about(fingerprint)
        return owner is not None and owner.is_quiet(fingerprint, since)

    def why_not_quiet(self, fingerprint: str, since: datetime) -> Text | None:
        """Return the reason why the alert is not over; None: it is."""
        owner = self._about(fingerprint)
        return owner.why_not_quiet(fingerprint, since) if owner else text("watch.quiet.unwatched")

    def recurred(self, fingerprint: str, since: datetime) -> bool:
        """Return whether it occurred again after `since`."""
        owner = self._about(fingerprint)
        return owner is not None and owner.recurred(fingerprint, since)

    def adopt(self, alerts: Iterable[Alert]) -> None:
        """Pass each owner the alerts that were firing when the last run ended; call it before entering this."""
        known = tuple(alerts)
        for owner in self._owners:
            owner.adopt(known)

    async def refresh(self, host: str | None = None) -> None:
        """Look now at a host and the platforms with alerts about it, or at everything, all at the same time."""
        chosen = [watcher for watcher in self._watchers.values() if host is None or watcher.speaks_of(host)]
        await asyncio.gather(*(watcher.look() for watcher in chosen))

    def _about(self, fingerprint: str) -> AlertOwner | None:
        return next((one for one in self._owners if one.is_about(fingerprint)), None)

"""Keeps probing the domains of resources that should run, a few at once, and remembers the results."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

import structlog

from core.clock import Clock
from core.deployments.platform import Domain, DomainState, ManagedResource
from core.settings import DokploySettings
from core.tasks import Tasks
from integrations.dokploy.platform_alerts import running_deployment
from integrations.dokploy.polling.domain_probe import DomainProbe

log = structlog.get_logger(__name__)

AT_ONCE = 4
STEP_S = 5.0
FAILING_DOMAIN_S = 30.0
"""Interval for a failing domain: one failure is no alarm, and its end should be seen soon."""
CUT_OFF_DOMAINS = 3
"""Fewest domains, all unreachable, that show that this machine's own network is down."""
_NETWORK = frozenset({"dns", "unreachable"})

ProbeDomain = Callable[[Domain], Awaitable[DomainState]]


class DomainWatch:
    """Context manager that probes domains while it is entered; does nothing if `ask_domains` is off."""

    def __init__(
        self,
        settings: DokploySettings,
        managed: Callable[[], Iterable[ManagedResource]],
        *,
        clock: Clock,
        ask: ProbeDomain | None = None,
    ) -> None:
        """Take `managed` (`DokploySource.managed`) and `ask`, the probe of one domain; None: a DomainProbe."""
        self._settings = settings
        self._managed = managed
        self._clock = clock
        self._ask = ask or DomainProbe(clock=clock, certificate_days=settings.certificate_days).ask
        self._states: dict[str, DomainState] = {}
        self._asked_at: dict[str, datetime] = {}
        self._is_cut_off = False
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._tasks = Tasks()

    async def __aenter__(self) -> Self:
        if self._settings.ask_domains:
            self._tasks.start("domains", self._run, restarts=True)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._tasks.stop()

    def states(self) -> Mapping[str, DomainState]:
        """Return the last state of each domain, by its id."""
        return self._states

    async def ask_due(self) -> None:
        """Probe the domains that are due; forget those that should not run any more."""
        if not self._settings.ask_domains:
            return
        wanted = {
            domain.id: domain for one in self._managed() if _should_answer(one) for domain in _probed_domains(one)
        }
        self._states = {key: state for key, state in self._states.items() if key in wanted}
        self._asked_at = {key: at for key, at in self._asked_at.items() if key in wanted}
        now = self._clock.now()
        due = [domain for domain in wanted.values() if self._is_due(domain, now)]
        if due:
            self._take(await asyncio.gather(*map(self._one, due)))

    async def _run(self) -> None:
        while True:
            await self.ask_due()
            await asyncio.sleep(min(STEP_S, self._settings.domains_s))

    async def _one(self, domain: Domain) -> DomainState:
        async with self._gate:
            self._asked_at[domain.id] = self._clock.now()
            return await self._ask(domain)

    def _take(self, found: list[DomainState]) -> None:
        """Remember the states; if no domain at all can be reached, it is this machine that is cut off."""
        is_cut_off = len(found) >= CUT_OFF_DOMAINS and all(state.problem in _NETWORK for state in found)
        if is_cut_off != self._is_cut_off:
            log.warning("no domain can be reached from here", was_any_reached=not is_cut_off)
        self._is_cut_off = is_cut_off
        if is_cut_off:
            return
        for state in found:
            before = self._states.get(state.domain_id)
            row = before.failures if before is not None else 0
            since = before.since if before is not None and row else None
            self._states[state.domain_id] = (
                replace(state, failures=row + 1, since=since or state.at) if state.problem else state
            )

    def _is_due(self, domain: Domain, now: datetime) -> bool:
        asked_at = self._asked_at.get(domain.id)
        if asked_at is None:
            return True
        state = self._states.get(domain.id)
        is_bad = state is None or bool(state.problem)
        wait_s = min(FAILING_DOMAIN_S, self._settings.domains_s) if is_bad else self._settings.domains_s
        return now - asked_at >= timedelta(seconds=wait_s)


def _should_answer(managed: ManagedResource) -> bool:
    return managed.status == "done" and running_deployment(managed) is None


def _probed_domains(managed: ManagedResource) -> Iterable[Domain]:
    """Return its enabled domains; one with a wildcard has no address of its own."""
    return (one for one in managed.domains if one.is_enabled and "*" not in one.host and one.host)

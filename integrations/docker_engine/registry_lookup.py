"""Asks registries for digests through the engines: few at a time, with a time limit, cached for a while."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.errors import SystemUnavailable
from integrations.docker_engine.engine import Engine
from integrations.docker_engine.refusals import EngineNotFound, EngineRefused, RefusalReason

LOOKUPS_AT_ONCE = 8
ANSWER_TTL = timedelta(minutes=10)
FAILURE_TTL = timedelta(minutes=1)
"""Time after which a registry that did not answer is asked again."""
CACHED_ANSWERS_LIMIT = 1000
_PASSING = frozenset({RefusalReason.REGISTRY_UNREACHABLE, RefusalReason.RATE_LIMITED, RefusalReason.REGISTRY_OTHER})


@dataclass(frozen=True, kw_only=True)
class RegistryAnswer:
    """A registry's digest for a name, or the reason that it is unknown."""

    digest: str = ""
    """sha256:…; empty: unknown."""
    trouble: RefusalReason | None = None
    at: datetime


class RegistryLookup:
    """Cached digests of registries. Never raises when a registry fails or refuses."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._gate = asyncio.Semaphore(LOOKUPS_AT_ONCE)
        self._kept: dict[tuple[str, str], RegistryAnswer] = {}

    async def ask(self, engine: Engine, reference: str, *, fresh: bool = False) -> RegistryAnswer:
        """Return the registry's digest of a name, as seen by that engine; `fresh` bypasses the cache."""
        key = (engine.name, reference)
        async with self._gate:
            known = self._kept.get(key)
            if known is not None and not fresh and self._is_good(known):
                return known
            answer = await self._asked(engine, reference)
            self._keep(key, answer)
            return answer

    async def _asked(self, engine: Engine, reference: str) -> RegistryAnswer:
        try:
            return RegistryAnswer(digest=await engine.store.distribution(reference), at=self._now())
        except (EngineRefused, EngineNotFound) as error:
            return RegistryAnswer(trouble=error.trouble, at=self._now())
        except SystemUnavailable:
            return RegistryAnswer(trouble=RefusalReason.REGISTRY_UNREACHABLE, at=self._now())

    def _is_good(self, answer: RegistryAnswer) -> bool:
        span = FAILURE_TTL if answer.trouble in _PASSING else ANSWER_TTL
        return self._now() - answer.at < span

    def _keep(self, key: tuple[str, str], answer: RegistryAnswer) -> None:
        if len(self._kept) >= CACHED_ANSWERS_LIMIT:
            self._kept = {one: kept for one, kept in self._kept.items() if self._is_good(kept)}
        if len(self._kept) < CACHED_ANSWERS_LIMIT:
            self._kept[key] = answer

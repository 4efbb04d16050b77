"""What simulated containers share: the world around them, their probes, and the rules of restart and name."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from core.monitoring.snapshot import EventKind


class Emitter(Protocol):
    """Whoever an event is about."""

    @property
    def id(self) -> str:
        """Its full id."""
        ...

    @property
    def name(self) -> str:
        """Its name."""
        ...


class SimulatedWorld(Protocol):
    """What a container needs from the engine around it."""

    def now(self) -> datetime:
        """The moment."""
        ...

    def later(self, delay_s: float, call: Callable[[], None]) -> asyncio.TimerHandle:
        """Call it after a while."""
        ...

    def emit(self, container: Emitter, kind: EventKind, **details: object) -> None:
        """Tell the listeners."""
        ...

    def is_up(self, stack: str, service: str) -> bool:
        """Whether a service of that name answers."""
        ...


@dataclass(frozen=True, kw_only=True)
class Probe:
    """One run of the health check."""

    at: datetime
    exit_code: int
    output: str


def policy_restarts(policy: str, code: int) -> bool:
    """Whether a restart policy brings back what ended with that code."""
    return policy in ("always", "unless-stopped") or (policy == "on-failure" and code != 0)


def unresolved(service: str | None) -> str:
    """What a client says that cannot find a service: a stopped container is gone from the name server."""
    return f'could not translate host name "{service}" to address: Temporary failure in name resolution'

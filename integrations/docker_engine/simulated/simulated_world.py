"""Surroundings that simulated containers share: clock, events, probes, restart policy and name lookup."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from core.monitoring.snapshot import EventKind


class EventSubject(Protocol):
    """Container that an event is about."""

    @property
    def id(self) -> str:
        """Full id."""
        ...

    @property
    def name(self) -> str:
        """Container name."""
        ...


class SimulatedWorld(Protocol):
    """The parts of the engine that a simulated container needs."""

    def now(self) -> datetime:
        """Return the present time."""
        ...

    def later(self, delay_s: float, call: Callable[[], None]) -> asyncio.TimerHandle:
        """Call it after a delay."""
        ...

    def emit(self, container: EventSubject, kind: EventKind, **details: object) -> None:
        """Send an event to the listeners."""
        ...

    def is_up(self, stack: str, service: str) -> bool:
        """Return whether a service of that name answers."""
        ...


@dataclass(frozen=True, kw_only=True)
class ProbeRun:
    """One run of the health check."""

    at: datetime
    exit_code: int
    output: str


def policy_restarts(policy: str, code: int) -> bool:
    """Return whether a restart policy restarts a container after that exit code."""
    return policy in ("always", "unless-stopped") or (policy == "on-failure" and code != 0)


def unresolved_name_error(service: str | None) -> str:
    """Return a client's error for an unknown service: a stopped container is gone from the name server."""
    return f'could not translate host name "{service}" to address: Temporary failure in name resolution'

"""Specification of a simulated container: image, limits, health check, and the behaviour of its program."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

MIB = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class HealthCheck:
    """A health check; its probe fails while the program is sick or a dependency is down."""

    command: str = "curl -fsS http://127.0.0.1:8000/health"
    interval_s: float = 5.0
    retries: int = 3
    start_period_s: float = 0.0
    good: str = "ok"
    bad: str = "curl: (22) The requested URL returned error: 503"


@dataclass(frozen=True, kw_only=True)
class ProgramExit:
    """Exit of a program by itself."""

    exit_code: int
    after_s: float = 0.05
    message: tuple[str, ...] = ()
    """Its last lines on stderr."""


@dataclass(frozen=True, kw_only=True)
class MemoryGrowth:
    """Memory that a program needs on top of its usual, growing over a time; `recurs`: a little after every start."""

    bytes: int
    over_s: float
    holds_s: float = 20.0
    message: str = "bulk insert of 48000 objects started"
    recurs: bool = False


@dataclass(frozen=True, kw_only=True)
class ContainerSpec:
    """Everything about a container that does not change while it lives, except by `update_memory`."""

    stack: str
    service: str
    image: str = "granada/api:2.4.1"
    command: str = "python -m app"
    memory_mb: int | None = None
    cpus: float = 0.0
    restart: str = "no"
    depends_on: tuple[str, ...] = ()
    """`postgres` or `postgres:service_healthy`."""
    env: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    ports: Mapping[str, str] = field(default_factory=dict)
    """`8000/tcp` → host port."""
    volumes: Mapping[str, str] = field(default_factory=dict)
    """Name → path inside."""
    health: HealthCheck | None = None
    ends: ProgramExit | None = None
    is_stubborn: bool = False
    """True when it ignores SIGTERM."""
    start_problem: str = ""
    """Reason that the engine cannot start it; empty: it can."""
    usual_mb: int = 24
    """Working set in ordinary times."""
    usual_cpu_pct: float = 2.0
    greeting: tuple[str, ...] = ("listening on 8000",)
    chatter: tuple[str, ...] = ()
    """Lines that it writes in turn, one every `chatter_s`."""
    chatter_s: float = 7.0

    @property
    def name(self) -> str:
        """The container's name as Compose gives it."""
        return f"{self.stack}-{self.service}-1"

    @property
    def needs(self) -> tuple[str, ...]:
        """Services it depends on, without conditions."""
        return tuple(one.partition(":")[0] for one in self.depends_on)


def wave(seconds: float, seed: int) -> float:
    """Return a lively but repeatable curve between -1 and 1: two slow swings and a little noise."""
    slow = 0.55 * math.sin(seconds / 47 + seed) + 0.3 * math.sin(seconds / 11 + 2.1 * seed)
    return slow + 0.15 * math.sin(seconds * 1.7 + 5.3 * seed)

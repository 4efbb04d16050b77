"""Measured resources: where they come from, and their series over time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from core.monitoring.snapshot import EngineEvent, Sample, Snapshot


class SnapshotSource(Protocol):
    """A watched host."""

    @property
    def name(self) -> str:
        """The host's name."""
        ...

    async def look(self, *, only: Sequence[str] = ()) -> Snapshot:
        """The host now, without events and samples; `only`: just these container names (the others are left out).

        Raises SystemUnavailable when the engine does not answer.
        """
        ...

    def events(self, since: datetime | None) -> AsyncIterator[EngineEvent]:
        """Events as they come, from `since` on where given; ends or raises SystemUnavailable when the stream breaks."""
        ...

    async def sample(self) -> dict[str, Sample]:
        """One round of resources of all running containers, by name."""
        ...

    async def oom_kills(self) -> dict[str, int]:
        """The cgroup's count of kernel kills by container name; empty where it cannot be read."""
        ...


@dataclass(frozen=True, kw_only=True)
class SeriesPoint:
    """An aggregated moment of a container's resources."""

    at: datetime
    cpu_pct: float
    memory_bytes: float
    memory_limit_bytes: float
    memory_max_bytes: float
    network_rx_bytes: float
    network_tx_bytes: float
    disk_read_bytes: float
    disk_write_bytes: float


class Series(Protocol):
    """Measured resources over time: 10 s for an hour, 1 min for a day, 10 min for 30 days."""

    async def add(self, host: str, samples: dict[str, Sample]) -> None:
        """One round."""
        ...

    async def read(self, ref: str, since: datetime, until: datetime) -> list[SeriesPoint]:
        """Points of a container (`host/name`), oldest first, in the finest grain that covers the span."""
        ...

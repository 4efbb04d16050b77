"""Resource measurements: their source, and their series over time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from core.monitoring.snapshot import EngineEvent, Sample, Snapshot


class SnapshotSource(Protocol):
    """Source of a watched host's snapshots, events and measurements."""

    @property
    def name(self) -> str:
        """The host's name."""
        ...

    async def look(self, *, only: Sequence[str] = ()) -> Snapshot:
        """Return the host now, without events and samples; `only`: just these container names (no other containers).

        Raises SystemUnavailable when the engine does not answer.
        """
        ...

    def events(self, since: datetime | None) -> AsyncIterator[EngineEvent]:
        """Yield events as they come, from `since` on if given; a broken stream ends or raises SystemUnavailable."""
        ...

    async def sample(self) -> dict[str, Sample]:
        """Measure the resources of all running containers once; returns the samples by name."""
        ...

    async def oom_kills(self) -> dict[str, int]:
        """Return the cgroup's count of OOM kills by container name; empty if it cannot be read."""
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
        """Add one round of samples."""
        ...

    async def read(self, ref: str, since: datetime, until: datetime) -> list[SeriesPoint]:
        """Return the points of a container (`host/name`), oldest first, in the finest grain that covers the span."""
        ...

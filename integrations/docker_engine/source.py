"""A watched host: snapshots out of any engine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime

from core.detection import EngineEvent, Sample, Snapshot
from core.inventory import Host
from integrations.docker_engine.engine import Engine


def _utc_now() -> datetime:
    return datetime.now(UTC)


class EngineSource:
    """`SnapshotSource` over an engine, the real or the simulated one."""

    def __init__(self, engine: Engine, *, now: Callable[[], datetime] = _utc_now) -> None:
        self._engine = engine
        self._now = now

    @property
    def name(self) -> str:
        """The host's name."""
        return self._engine.name

    async def look(self, *, only: Sequence[str] = ()) -> Snapshot:
        """The host now, without events and samples; `only`: just these containers."""
        info = await self._engine.info()
        at = self._now()
        containers = await self._engine.containers(only=only)
        host = Host(
            name=self.name,
            engine_version=info.version,
            is_simulated=info.is_simulated,
            cpus=info.cpus,
            memory_total_bytes=info.memory_total_bytes,
            memory_free_bytes=info.memory_free_bytes,
        )
        return Snapshot(at=at, host=host, containers={one.name: one for one in containers})

    def events(self, since: datetime | None) -> AsyncIterator[EngineEvent]:
        """Events as they come, from `since` on where given."""
        return self._engine.events(since)

    async def sample(self) -> dict[str, Sample]:
        """One round of resources of all running containers."""
        return await self._engine.sample()

    async def oom_kills(self) -> dict[str, int]:
        """The kernel's counts, where they can be read."""
        return await self._engine.oom_kills()

"""Takes snapshots of a watched host from any engine."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from core.monitoring.inventory import Container, Host, is_guarded
from core.monitoring.snapshot import EngineEvent, Sample, Snapshot
from integrations.docker_engine.engine import Engine

T = TypeVar("T")


def _utc_now() -> datetime:
    return datetime.now(UTC)


class EngineSnapshotSource:
    """`SnapshotSource` for one engine, real or simulated."""

    def __init__(
        self,
        engine: Engine,
        *,
        only: Sequence[str] = (),
        ignore: Sequence[str] = (),
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        """`only`, `ignore`: patterns of stacks (`core.monitoring.inventory.is_guarded`)."""
        self._engine = engine
        self._only = tuple(only)
        self._ignore = tuple(ignore)
        self._left_out: set[str] = set()
        self._now = now

    @property
    def name(self) -> str:
        """The host's name."""
        return self._engine.name

    async def look(self, *, only: Sequence[str] = ()) -> Snapshot:
        """Return a snapshot of the host, without events and samples; `only`: just these containers."""
        info = await self._engine.info()
        at = self._now()
        found = await self._engine.containers(only=only)
        containers = [one for one in found if is_guarded(one, self._only, self._ignore)]
        self._note(found, containers, is_whole=not only)
        host = Host(
            name=self.name,
            engine_version=info.version,
            is_simulated=info.is_simulated,
            cpus=info.cpus,
            memory_total_bytes=info.memory_total_bytes,
            memory_free_bytes=info.memory_free_bytes,
        )
        return Snapshot(at=at, host=host, containers={one.name: one for one in containers})

    def _note(self, found: Sequence[Container], kept: Sequence[Container], *, is_whole: bool) -> None:
        """Remember the names of containers that are not watched."""
        left_out = {one.name for one in found} - {one.name for one in kept}
        self._left_out = left_out if is_whole else (self._left_out | left_out) - {one.name for one in kept}

    async def events(self, since: datetime | None) -> AsyncIterator[EngineEvent]:
        """Yield events as they come, from `since` on if given, also of containers that no snapshot has shown yet."""
        stream = self._engine.events(since)
        try:
            async for event in stream:
                if event.name not in self._left_out:
                    yield event
        finally:
            if isinstance(stream, AsyncGenerator):
                await stream.aclose()

    async def sample(self) -> dict[str, Sample]:
        """Return one resource sample of each watched running container."""
        return self._kept(await self._engine.sample())

    async def oom_kills(self) -> dict[str, int]:
        """Return the kernel's OOM kill counts, where they can be read."""
        return self._kept(await self._engine.oom_kills())

    def _kept(self, by_name: dict[str, T]) -> dict[str, T]:
        return {name: value for name, value in by_name.items() if name not in self._left_out}

"""Interface of a Docker engine, shared by the real and the simulated one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from core.monitoring.inventory import Container
from core.monitoring.snapshot import EngineEvent, Sample
from integrations.docker_engine.image_store import ImageStore


@dataclass(frozen=True, kw_only=True)
class EngineInfo:
    """An engine and its host machine."""

    version: str
    api_version: str
    """The API version negotiated with the engine."""
    cpus: int
    memory_total_bytes: int
    memory_free_bytes: int | None
    """MemAvailable of the machine; None when the engine is not local."""
    cgroup_version: str
    is_local: bool
    is_simulated: bool = False


@dataclass(frozen=True, kw_only=True)
class LogLine:
    """One line of a container's log: decoded with replacement, without ANSI codes, cut at the line limit."""

    stream: Literal["stdout", "stderr"]
    at: datetime | None
    text: str
    was_cut: bool = False


@dataclass(frozen=True, kw_only=True)
class ExecResult:
    """Result of a command run inside a container."""

    exit_code: int
    stdout: str
    stderr: str
    was_cut: bool = False


@dataclass(frozen=True, kw_only=True)
class DiskUsage:
    """Disk usage of an engine, in bytes; `volumes` and `logs`: name → bytes, largest first."""

    images_bytes: int
    images_reclaimable_bytes: int
    build_cache_bytes: int
    containers_bytes: int
    volumes_bytes: int
    volumes: tuple[tuple[str, int], ...] = ()
    logs: tuple[tuple[str, int], ...] | None = None
    """The containers' log files; None: they cannot be read from here."""
    build_cache_reclaimable_bytes: int = 0


class Engine(Protocol):
    """One Docker engine. Containers are named by name or id.

    Every method raises SystemUnavailable (TimeLimitExceeded) when the engine does not answer, NotFound when there is
    no such container, ActionFailed when the engine refuses; nothing else.
    """

    @property
    def name(self) -> str:
        """The host's name in the settings."""
        ...

    @property
    def store(self) -> ImageStore:
        """The engine's images, build cache and networks, and the registries it asks."""
        ...

    async def info(self) -> EngineInfo:
        """Return facts of the engine and its machine; also serves as a ping."""
        ...

    async def containers(self, *, only: Sequence[str] = ()) -> list[Container]:
        """Return all containers (stopped ones too) as inspected now, or just those named."""
        ...

    async def logs(
        self,
        container: str,
        *,
        tail: int = 100,
        since: datetime | None = None,
        until: datetime | None = None,
        grep: str | None = None,
        max_line: int = 4000,
    ) -> list[LogLine]:
        """Return the last `tail` lines of both streams in time order; `grep`: only lines containing this (any case)."""
        ...

    def events(self, since: datetime | None) -> AsyncIterator[EngineEvent]:
        """Yield container events as they come, from `since` on if given."""
        ...

    async def sample(self) -> dict[str, Sample]:
        """Return one resource sample of each running container, by name."""
        ...

    async def oom_kills(self) -> dict[str, int]:
        """Return the cgroup's count of kernel OOM kills by container name; empty when the engine is not local."""
        ...

    async def top(self, container: str) -> list[dict[str, str]]:
        """Return the processes of a container, one dict of column → value each."""
        ...

    async def disk_usage(self) -> DiskUsage:
        """Measure the disk usage."""
        ...

    async def exec(self, container: str, argv: Sequence[str], *, time_limit_s: float = 30.0) -> ExecResult:
        """Run an argument list (no shell) inside; output is cut at 1 MB. After a time-out the command may still run."""
        ...

    async def restart(self, container: str, *, grace_s: int = 10) -> None:
        """Send SIGTERM, then SIGKILL after the grace period, then start."""
        ...

    async def start(self, container: str) -> None:
        """Start a container; no effect on a running one."""
        ...

    async def stop(self, container: str, *, grace_s: int = 10) -> None:
        """Send SIGTERM, then SIGKILL after the grace period; no effect on a stopped container."""
        ...

    async def unpause(self, container: str) -> None:
        """Resume a paused container."""
        ...

    async def update_memory(self, container: str, *, limit_bytes: int) -> None:
        """Set the memory limit of a container while it runs (the swap limit stays at least as large)."""
        ...

    async def close(self) -> None:
        """Release connections and threads."""
        ...

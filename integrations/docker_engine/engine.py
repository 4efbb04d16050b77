"""What a Docker engine can be asked: the interface that the real and the simulated engine share."""

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
    """An engine and its machine."""

    version: str
    api_version: str
    """The version that both sides speak."""
    cpus: int
    memory_total_bytes: int
    memory_free_bytes: int | None
    """MemAvailable of the machine; None where the engine is not local."""
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
    """A command run inside a container."""

    exit_code: int
    stdout: str
    stderr: str
    was_cut: bool = False


@dataclass(frozen=True, kw_only=True)
class DiskUsage:
    """What fills the engine's disk, in bytes; `volumes` and `logs`: name → bytes, largest first."""

    images_bytes: int
    images_reclaimable_bytes: int
    build_cache_bytes: int
    containers_bytes: int
    volumes_bytes: int
    volumes: tuple[tuple[str, int], ...] = ()
    logs: tuple[tuple[str, int], ...] | None = None
    """Containers' log files; None: they cannot be read from here."""
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
        """Its images, build cache and networks, and the registries it asks."""
        ...

    async def info(self) -> EngineInfo:
        """The engine and its machine; also serves as a ping."""
        ...

    async def containers(self, *, only: Sequence[str] = ()) -> list[Container]:
        """All containers (stopped ones too) as inspected now, or just those named."""
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
        """The last `tail` lines of both streams in order of time; `grep`: only lines that hold this (any case)."""
        ...

    def events(self, since: datetime | None) -> AsyncIterator[EngineEvent]:
        """Container events as they come; from `since` on where given."""
        ...

    async def sample(self) -> dict[str, Sample]:
        """One round of resources of all running containers, by name."""
        ...

    async def oom_kills(self) -> dict[str, int]:
        """The cgroup's count of kernel kills by container name; empty where the engine is not local."""
        ...

    async def top(self, container: str) -> list[dict[str, str]]:
        """Its processes, one dict of column → value each."""
        ...

    async def disk_usage(self) -> DiskUsage:
        """What fills the disk."""
        ...

    async def exec(self, container: str, argv: Sequence[str], *, time_limit_s: float = 30.0) -> ExecResult:
        """Run an argument list (no shell) inside; output is cut at 1 MB. On time-out the command may still run."""
        ...

    async def restart(self, container: str, *, grace_s: int = 10) -> None:
        """SIGTERM, then SIGKILL after the grace, then start."""
        ...

    async def start(self, container: str) -> None:
        """Start; no effect on one that runs."""
        ...

    async def stop(self, container: str, *, grace_s: int = 10) -> None:
        """SIGTERM, then SIGKILL after the grace; no effect on one that is stopped."""
        ...

    async def unpause(self, container: str) -> None:
        """Resume a paused container."""
        ...

    async def update_memory(self, container: str, *, limit_bytes: int) -> None:
        """Set the memory limit of a container while it runs (swap limit kept at least as large)."""
        ...

    async def close(self) -> None:
        """Let go of connections and threads."""
        ...

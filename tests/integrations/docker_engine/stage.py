"""The stage of the engine contract: how a test puts containers on an engine and makes trouble with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

from integrations.docker_engine.engine import Engine

Stream = Literal["stdout", "stderr"]


class Stage(Protocol):
    """One empty Compose project on an engine. Every method that makes a container returns its name and starts it.

    `service` is the Compose service; the container's name is the stage's choice (unique on the engine).
    All trouble is asynchronous: the method returns when it was asked for, the test waits for its effect.
    """

    @property
    def engine(self) -> Engine:
        """The engine under test."""
        ...

    @property
    def project(self) -> str:
        """The Compose project of every container made here."""
        ...

    async def runs(
        self,
        service: str = "api",
        *,
        memory_mb: int | None = None,
        has_health_check: bool = False,
        restart: str = "no",
        depends_on: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> str:
        """A service that runs, ends by itself on SIGTERM with code 0, and can be fed to the calls below.

        `restart`: no, always, on-failure. `depends_on`: "db" or "db:service_healthy".
        The health check runs several times a second, is healthy at first and needs two failures to turn.
        """
        ...

    async def crashes(self, service: str = "api", *, exit_code: int = 1, restart: str = "no") -> str:
        """A service that ends at once with that code."""
        ...

    async def ignores_sigterm(self, service: str = "worker") -> str:
        """A service that only SIGKILL ends; ready to ignore when this returns."""
        ...

    async def prints(self, lines: Sequence[tuple[Stream, bytes]], service: str = "chat") -> str:
        """A service that writes these lines, each followed by a line feed, and stays; all written when this returns."""
        ...

    async def cannot_start(self, service: str = "api") -> str:
        """A container that was created and whose program does not exist: its start has failed."""
        ...

    async def eat_memory(self, name: str) -> None:
        """Let its main process allocate beyond the limit of `runs(memory_mb=…)`."""
        ...

    async def eat_memory_in_child(self, name: str) -> None:
        """Let a child process allocate beyond the limit: the kernel kills the child, the main process stays."""
        ...

    async def set_health(self, name: str, *, is_healthy: bool) -> None:
        """Make the health check of `runs(has_health_check=True)` fail or work."""
        ...

    async def kill(self, name: str, signal: int = 9) -> None:
        """Send a signal through the engine, as `docker kill` does."""
        ...

    async def pause(self, name: str) -> None:
        """Pause it, as `docker pause` does."""
        ...

    async def remove(self, name: str) -> None:
        """Remove it by force, as `docker rm -f` does."""
        ...

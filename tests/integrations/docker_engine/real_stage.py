"""The stage of the engine contract on a real engine, prepared through the Docker SDK."""

from __future__ import annotations

import asyncio
import base64
import json
import urllib.request
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from docker.errors import APIError
from docker.models.containers import Container
from docker.types import LogConfig

from integrations.docker_engine.engine import Engine
from tests.integrations.docker_engine.stage import Stream
from tests.testbed.stack import HTTP_PROBE, Stack
from tests.testbed.world import eventually

T = TypeVar("T")
PRINTER = """
import base64, json, os, signal, sys, zlib
for stream, line in json.loads(zlib.decompress(base64.b64decode(os.environ["LINES"]))):
    out = sys.stdout if stream == "stdout" else sys.stderr
    out.buffer.write(base64.b64decode(line) + b"\\n")
    out.flush()
print("all said", file=open("/tmp/said", "w"))
signal.pause()
"""


class RealStage:
    """See `Stage`."""

    def __init__(self, engine: Engine, stack: Stack) -> None:
        self._engine = engine
        self._stack = stack

    @property
    def engine(self) -> Engine:
        return self._engine

    @property
    def project(self) -> str:
        return self._stack.project

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
        container = await asyncio.to_thread(
            self._stack.service,
            service,
            mem_limit=f"{memory_mb}m" if memory_mb else None,
            healthcheck=HTTP_PROBE if has_health_check else None,
            restart=restart,
            depends_on=depends_on,
            env=env,
            labels=labels,
        )
        await self._until_it_says(container, b"listening")
        return str(container.name)

    async def crashes(self, service: str = "api", *, exit_code: int = 1, restart: str = "no") -> str:
        env = {"EXIT_CODE": str(exit_code), "WORK_S": "0"}
        container = await asyncio.to_thread(self._stack.service, service, "oneshot.py", env=env, restart=restart)
        return str(container.name)

    async def ignores_sigterm(self, service: str = "worker") -> str:
        container = await asyncio.to_thread(self._stack.service, service, "stubborn.py")
        await self._until_it_says(container, b"ready")
        return str(container.name)

    async def prints(
        self,
        lines: Sequence[tuple[Stream, bytes]],
        service: str = "chat",
        *,
        has_terminal: bool = False,
        log_config: LogConfig | None = None,
    ) -> str:
        coded = [(stream, base64.b64encode(line).decode()) for stream, line in lines]
        env = {"LINES": base64.b64encode(zlib.compress(json.dumps(coded).encode())).decode()}
        command = ["python3", "-c", PRINTER]
        make = partial(self._stack.service, service, command, env=env, tty=has_terminal, log_config=log_config)
        container = await asyncio.to_thread(make)

        def has_said() -> bool:
            return container.exec_run(["test", "-s", "/tmp/said"]).exit_code == 0

        await self._until(has_said)
        return str(container.name)

    async def cannot_start(self, service: str = "api") -> str:
        made = await asyncio.to_thread(self._stack.service, service, ["/no/such/program"], start=False)
        try:
            await asyncio.to_thread(made.start)
        except APIError:
            return str(made.name)
        raise AssertionError("it started")

    async def eat_memory(self, name: str) -> None:
        await asyncio.to_thread(self._visit, name, "/eat?mb=300")

    async def eat_memory_in_child(self, name: str) -> None:
        await asyncio.to_thread(self._visit, name, "/eat_child?mb=300")

    async def set_health(self, name: str, *, is_healthy: bool) -> None:
        await asyncio.to_thread(self._visit, name, "/well" if is_healthy else "/sick", "POST")

    async def kill(self, name: str, signal: int = 9) -> None:
        await asyncio.to_thread(self._container(name).kill, signal)

    async def pause(self, name: str) -> None:
        await asyncio.to_thread(self._container(name).pause)

    async def remove(self, name: str) -> None:
        await asyncio.to_thread(self._container(name).remove, force=True)

    def _service(self, name: str) -> str:
        return next(service for service, one in self._stack.containers.items() if one.name == name)

    def _container(self, name: str) -> Container:
        return self._stack.containers[self._service(name)]

    def _visit(self, name: str, path: str, method: str = "GET") -> None:
        """Ask for a page; that the service dies over it is what some of them are for."""
        request = urllib.request.Request(self._stack.url(self._service(name), path), method=method)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                answer.read()
        except OSError:
            return

    async def _until_it_says(self, container: Container, word: bytes) -> None:
        await self._until(lambda: word in container.logs())

    async def _until(self, holds: Callable[[], bool]) -> None:
        async def asked() -> bool:
            return await asyncio.to_thread(holds)

        await eventually(asked, 30)

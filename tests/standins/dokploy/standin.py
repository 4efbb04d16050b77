"""A Dokploy for tests: speaks the recorded protocol and really runs composes on the test's Docker engine."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Self, TypeVar

from aiohttp import web

from tests.standins.dokploy import jobs
from tests.standins.dokploy.arrangement import Arrangement
from tests.standins.dokploy.engine import Engine
from tests.standins.dokploy.faults import Faults
from tests.standins.dokploy.keys import Member
from tests.standins.dokploy.mischief import Mischief
from tests.standins.dokploy.notify import Notifier
from tests.standins.dokploy.queue import Queue
from tests.standins.dokploy.shell import Shell
from tests.standins.dokploy.stage import Stage
from tests.standins.dokploy.state import State
from tests.standins.dokploy.transport import Transport

T = TypeVar("T")
CALL_LIMIT_S = 60.0
REQUEST_LIMIT = 8 * 1024 * 1024


class DokployStandin(Arrangement, Mischief):
    """`with DokployStandin(docker_host=…, docker_config=…, home=tmp_path) as dokploy: … dokploy.url, dokploy.api_key`.

    Lives in a thread with a loop of its own, so that tests of any kind and other processes can use it. What its
    methods change is changed in that loop; they return when it is done.
    """

    def __init__(self, *, docker_host: str, docker_config: str, home: Path) -> None:
        self.home = home
        self.state = State()
        self.faults = Faults()
        self._docker_host = docker_host
        self._docker_config = docker_config
        self._port = 0
        self._runner: web.AppRunner | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="dokploy-stand-in", daemon=True)

    # -- life --------------------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listen on a free port of loopback, with one owner and an unlimited key of theirs."""
        self._thread.start()
        self._wait(self._start())
        self.owner = Member(organization_id=self.state.organization_id)
        self.api_key = self.add_key(member=self.owner, rate_limit=None)

    async def _start(self) -> None:
        shell = Shell(bin_dir=self.home / "bin", docker_host=self._docker_host, docker_config=self._docker_config)
        shell.prepare()
        self.notifier = Notifier(state=self.state)
        self.queue = Queue(run=self._run_job, concurrency=self._concurrency)
        self.stage = Stage(
            state=self.state,
            shell=shell,
            engine=Engine(self._docker_host),
            notifier=self.notifier,
            queue=self.queue,
            home=self.home,
        )
        self.stage.may_run.set()
        await self._listen()

    async def _run_job(self, job: Any) -> None:
        await jobs.run(self.stage, job)

    def _concurrency(self, server_id: str | None) -> int:
        server = self.state.servers.get(server_id or "")
        return int(server["buildsConcurrency"]) if server else self.state.builds_concurrency

    async def _listen(self) -> None:
        transport = Transport(stage=self.stage, faults=self.faults)
        app = web.Application(client_max_size=REQUEST_LIMIT)
        app.router.add_route("*", "/api/{procedure:.*}", transport.answer)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=False, shutdown_timeout=0.05)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def _close_port(self) -> None:
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()

    def stop(self) -> None:
        """Stop listening, end what runs, and remove everything of its services from the engine."""
        try:
            self._wait(self._stop())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(CALL_LIMIT_S)
            self._loop.close()

    async def _stop(self) -> None:
        self.faults.is_released.set()
        await self._close_port()
        await self.queue.lose()
        await self.notifier.close()
        names = {row["appName"] for row in self._services()} | self.stage.deleted
        await asyncio.gather(*(self.stage.engine.remove_everything_of(name) for name in names if self._was_run(name)))
        self.stage.engine.close()
        await self._loop.shutdown_default_executor()

    def _services(self) -> list[Any]:
        tables = [self.state.composes, self.state.applications, *self.state.databases.values()]
        return [row for table in tables for row in table.values()]

    def _was_run(self, app_name: str) -> bool:
        """Rows that were only listed have left nothing on the engine."""
        return (self.home / "compose" / app_name).exists() or app_name in self._swarm_names()

    def _swarm_names(self) -> set[str]:
        tables = [self.state.applications, *self.state.databases.values()]
        return {row["appName"] for table in tables for row in table.values()}

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something in the loop of the stand-in and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(CALL_LIMIT_S)

    def _do(self, act: Callable[[], T]) -> T:
        async def inside() -> T:
            return act()

        return self._wait(inside())

    # -- looking at it -----------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._port}"

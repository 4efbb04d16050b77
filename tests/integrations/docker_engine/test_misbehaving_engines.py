"""Engines that hang, are old, go away and come back."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.errors import NotFound, SettingsError, SystemUnavailable, TimeLimitExceeded
from core.monitoring.snapshot import EngineEvent, EventKind
from core.settings import EngineSettings
from integrations.docker_engine.client.engine_link import choose_api_version
from integrations.docker_engine.client.real_engine import RealEngine
from integrations.docker_engine.host_source import EngineSnapshotSource
from tests.integrations.docker_engine.real_stage import RealStage
from tests.integrations.docker_engine.stand_in import Server, forward_to, hang, on_socket
from tests.testbed.world import eventually

VERSION = {"Version": "1.12.6", "ApiVersion": "1.24"}
MACHINE = {"NCPU": 4, "MemTotal": 8 * 1024**3, "KernelVersion": "3.10.0"}
CONTAINER = {
    "Id": "a" * 64,
    "Name": "/web",
    "Image": "sha256:1",
    "Created": "2017-01-02T03:04:05.123456789Z",
    "Config": {"Image": "web:1", "Labels": {}, "Env": ["A=b"]},
    "HostConfig": {"Memory": 0},
    "State": {"Status": "running", "StartedAt": "2017-01-02T03:04:06.1Z", "FinishedAt": "0001-01-01T00:00:00Z"},
    "NetworkSettings": {"Networks": {"bridge": {"Aliases": None}}, "Ports": {"80/tcp": None}},
}


MakeEngine = Callable[..., RealEngine]


@pytest.fixture
async def engine_at() -> AsyncIterator[MakeEngine]:
    """Give a factory of engines named remote, closed afterwards."""
    made: list[RealEngine] = []

    def make(path: Path, **settings: object) -> RealEngine:
        made.append(RealEngine("remote", EngineSettings.model_validate({"url": f"unix://{path}", **settings})))
        return made[-1]

    yield make
    for engine in made:
        await engine.close()


@pytest.fixture
def socket_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("s") / "d.sock"


async def test_an_engine_that_never_answers_costs_only_its_time(engine_at: MakeEngine, socket_path: Path) -> None:
    engine = engine_at(socket_path, timeout_s=0.3)
    async with on_socket(socket_path, hang):
        began = time.monotonic()
        calls = [engine.info(), engine.containers(), engine.sample(), engine.restart("web"), engine.logs("web")]
        answers = await asyncio.gather(*calls, return_exceptions=True)
        assert time.monotonic() - began < 2
        assert all(isinstance(answer, TimeLimitExceeded) for answer in answers), answers
        with pytest.raises(TimeLimitExceeded, match="Docker engine 'remote'"):
            await anext(engine.events(None))


async def test_a_call_that_hangs_does_not_block_others(engine_at: MakeEngine, socket_path: Path) -> None:
    server = Server({"/version": VERSION, "/info": MACHINE, "/containers/json": [CONTAINER], "/json": CONTAINER})
    server.hanging.add("/restart")
    engine = engine_at(socket_path, timeout_s=0.5, threads=4)
    async with on_socket(socket_path, server):
        hung = [engine.restart("web", grace_s=0) for _ in range(6)]
        looks = [engine.containers() for _ in range(20)]
        answers = await asyncio.gather(*hung, *looks, return_exceptions=True)
        assert all(isinstance(answer, TimeLimitExceeded) for answer in answers[:6]), answers[:6]
        assert all(isinstance(answer, list) and answer[0].name == "web" for answer in answers[6:])

        began = time.monotonic()
        with pytest.raises(SystemUnavailable, match="calls to it are stuck"):
            await engine.start("web")
        assert time.monotonic() - began < 0.2, "with every thread stuck it fails at once"
        assert (await engine.info()).cpus == 4

    async with on_socket(socket_path, Server({"/version": VERSION, "/start": {}})):
        await eventually(lambda: is_free(engine), 10)


async def is_free(engine: RealEngine) -> bool:
    try:
        await engine.start("web")
    except SystemUnavailable:
        return False
    return True


@pytest.mark.parametrize(
    ("newest", "oldest", "spoken"),
    [
        ("1.24", "1.12", "1.24"),
        ("1.41", "", "1.41"),
        ("1.52", "1.44", "1.47"),
        ("1.60", "1.50", "1.50"),
        ("2.0", "1.24", "1.47"),
    ],
)
def test_the_newest_api_version_that_both_support_is_used(newest: str, oldest: str, spoken: str) -> None:
    assert choose_api_version(newest, oldest) == spoken


async def test_an_engine_that_is_too_old_is_named_without_a_crash(engine_at: MakeEngine, socket_path: Path) -> None:
    version = {**VERSION, "Version": "1.0.0", "ApiVersion": "1.12", "MinAPIVersion": "1.12"}
    engine = engine_at(socket_path)
    async with on_socket(socket_path, Server({"/version": version})):
        with pytest.raises(SystemUnavailable, match=r"supports Docker API 1\.12 at most, but 1\.24 is needed"):
            await engine.info()


async def test_an_old_engine(engine_at: MakeEngine, socket_path: Path) -> None:
    server = Server({"/version": VERSION, "/info": MACHINE, "/containers/json": [CONTAINER], "/json": CONTAINER})
    engine = engine_at(socket_path)
    async with on_socket(socket_path, server):
        info = await engine.info()
        assert (info.api_version, info.version, info.cgroup_version) == ("1.24", "1.12.6", "1")
        assert (info.is_local, info.memory_free_bytes) == (False, None)
        [found] = await engine.containers()
        assert (found.name, found.service, found.stack, found.ports) == ("web", "web", None, ("80/tcp",))
        assert found.finished_at is None
        assert found.started_at is not None
        assert all("/v1.24/" in asked for asked in server.asked if not asked.endswith(" /version"))
        with pytest.raises(NotFound, match="restart 'web'"):
            await engine.restart("web")
        snapshot = await EngineSnapshotSource(engine).look()
        assert (snapshot.host.name, snapshot.host.engine_version, [*snapshot.containers]) == (
            "remote",
            "1.12.6",
            ["web"],
        )


async def test_a_server_that_is_no_docker_engine_is_named(engine_at: MakeEngine, socket_path: Path) -> None:
    engine = engine_at(socket_path)
    async with on_socket(socket_path, Server({"/nothing": {}})):
        with pytest.raises(SystemUnavailable, match="isn't a Docker engine"):
            await engine.info()


async def test_an_address_that_refuses_connections_is_named(engine_at: MakeEngine, socket_path: Path) -> None:
    engine = engine_at(socket_path)
    with pytest.raises(SystemUnavailable, match="Docker engine 'remote' is unavailable"):
        await engine.containers()


async def test_an_engine_goes_and_comes_back(
    engine_at: MakeEngine, socket_path: Path, docker_host: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "integrations.docker_engine")
    real = docker_host.removeprefix("unix://")
    engine = engine_at(socket_path, timeout_s=5)
    async with on_socket(socket_path, forward_to(real)):
        assert (await engine.info()).version
    for _ in range(3):
        with pytest.raises(SystemUnavailable):
            await engine.info()
    async with on_socket(socket_path, forward_to(real)):
        assert (await engine.info()).version
        assert await engine.containers(only=["nobody"]) == []
    said = [record.getMessage() for record in caplog.records]
    assert [("gone" in line, "back" in line) for line in said] == [(True, False), (False, True)], said


async def test_the_api_version_is_negotiated_again_after_an_upgrade(engine_at: MakeEngine, socket_path: Path) -> None:
    engine = engine_at(socket_path)
    async with on_socket(socket_path, Server({"/version": VERSION, "/info": MACHINE})):
        assert (await engine.info()).api_version == "1.24"
    newer = {"Version": "29.0.0", "ApiVersion": "1.52", "MinAPIVersion": "1.44"}
    async with on_socket(socket_path, Server({"/version": newer, "/info": MACHINE})):
        info = await engine.info()
        assert (info.api_version, info.version) == ("1.47", "29.0.0")


async def test_the_event_stream_breaks_and_goes_on(
    engine_at: MakeEngine, socket_path: Path, docker_host: str, real_stage: RealStage
) -> None:
    real = docker_host.removeprefix("unix://")
    engine = engine_at(socket_path, timeout_s=5)
    began = datetime.now(UTC)
    async with on_socket(socket_path, forward_to(real)):
        name = await real_stage.crashes(exit_code=5)
        first = await next_of(engine, name, EventKind.START, began)
        stream = engine.events(datetime.now(UTC))
        waiting = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
    with pytest.raises(SystemUnavailable):
        while True:
            await waiting
            waiting = asyncio.ensure_future(anext(stream))
    async with on_socket(socket_path, forward_to(real)):
        died = await next_of(engine, name, EventKind.DIE, first.at)
        assert died.exit_code == 5


async def next_of(engine: RealEngine, name: str, kind: EventKind, since: datetime) -> EngineEvent:
    async with asyncio.timeout(10):
        async for event in engine.events(since):
            if event.name == name and event.kind is kind:
                return event
    raise AssertionError("the stream ended")


async def test_a_cancelled_listener_hangs_up(
    engine_at: MakeEngine, socket_path: Path, docker_host: str, real_stage: RealStage
) -> None:
    engine = engine_at(socket_path)
    began = datetime.now(UTC)
    await real_stage.runs("api")
    heard = asyncio.Event()

    async def listen() -> None:
        async for _ in engine.events(began):
            heard.set()

    async with on_socket(socket_path, forward_to(docker_host.removeprefix("unix://"))) as connections:
        task = asyncio.create_task(listen(), name="listener")
        await asyncio.wait_for(heard.wait(), 10)
        assert connections.open == 1
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await eventually(lambda: connections.open == 0)


async def test_an_exec_that_does_not_end_is_stopped_at_its_limit(engine: RealEngine, real_stage: RealStage) -> None:
    name = await real_stage.runs("api")
    began = time.monotonic()
    with pytest.raises(TimeLimitExceeded, match=f"exec in '{name}'"):
        await engine.exec(name, ["sleep", "60"], time_limit_s=0.5)
    assert time.monotonic() - began < 5


async def test_exec_output_that_is_too_long_is_cut(engine: RealEngine, real_stage: RealStage) -> None:
    name = await real_stage.runs("api")
    done = await engine.exec(name, ["python3", "-c", "print('y' * 5_000_000)"])
    assert (done.exit_code, done.was_cut, len(done.stdout)) == (0, True, 1_000_000)


async def test_a_container_name_cannot_reach_another_api_path(engine: RealEngine) -> None:
    for name in ("../info", "a/../../version", "x?all=1", "é\n", "-rf"):
        assert await engine.containers(only=[name]) == []
        for call in (engine.logs, engine.top, engine.restart, engine.start, engine.stop, engine.unpause):
            with pytest.raises(NotFound, match="isn't a valid container name"):
                await call(name)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"url": "unix://run/docker.sock"}, "absolute path"),
        ({"url": "tcp://:2376"}, "has no host"),
        ({"url": "ssh://-oProxyCommand=evil"}, "has no host"),
        ({"url": "tcp://h:2376", "tls_cert": "/c", "tls_key": "/k"}, "needs tls_ca"),
        ({"url": "tcp://h:2376", "tls_ca": "/no/such/ca.pem"}, "isn't a file"),
    ],
)
def test_a_wrong_address_is_named(settings: dict[str, object], problem: str) -> None:
    make: Callable[[], RealEngine] = lambda: RealEngine("far", EngineSettings.model_validate(settings))  # noqa: E731
    with pytest.raises(SettingsError, match=f"(?s)'far'.*{problem}"):
        make()

"""Samples of a real engine, out of the kernel's files and through its API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from core.errors import NotFound
from core.monitoring.inventory import ContainerState
from core.monitoring.snapshot import Sample
from core.settings import EngineSettings
from integrations.docker_engine.client.real_engine import RealEngine
from tests.integrations.docker_engine.contract import has_ended, until
from tests.integrations.docker_engine.real_stage import RealStage
from tests.testbed.stack import Stack
from tests.testbed.world import eventually

MB = 1024 * 1024
BURN = "while True: sum(range(1000))"


@pytest.fixture
async def without_files(docker_host: str, tmp_path: Path) -> AsyncIterator[RealEngine]:
    """Give an engine that has to ask the API, as for a machine far away."""
    real = RealEngine("local", EngineSettings(url=docker_host, cgroup_root=tmp_path))
    yield real
    await real.close()


async def steady(engine: RealEngine, name: str) -> Sample:
    """A sample over a whole interval between two readings."""
    first = (await engine.sample())[name]

    async def later() -> bool:
        return (await engine.sample())[name].at - first.at > timedelta(seconds=1)

    await eventually(later, 10)
    return (await engine.sample())[name]


async def test_files_and_api_agree(
    engine: RealEngine, without_files: RealEngine, real_stage: RealStage, stack: Stack
) -> None:
    name = await real_stage.runs("api", memory_mb=256)
    await asyncio.to_thread(stack.service, "load", ["curl", "-s", stack.url("api", "/eat?mb=100")])
    await until(real_stage, f"{stack.project}-load-1", has_ended)
    by_file, by_api = (await engine.sample())[name], (await without_files.sample())[name]
    assert 100 * MB < by_file.memory_bytes < 130 * MB
    assert abs(by_file.memory_bytes - by_api.memory_bytes) < 4 * MB
    assert by_file.memory_limit_bytes == by_api.memory_limit_bytes == 256 * MB
    assert 0 < by_file.network_rx_bytes <= by_api.network_rx_bytes
    assert by_file.disk_read_bytes <= by_api.disk_read_bytes
    assert by_file.pids == by_api.pids
    assert await without_files.oom_kills() == {}


@pytest.mark.parametrize("source", ["files", "api"])
async def test_a_throttled_container_shows_its_share(
    source: str, engine: RealEngine, without_files: RealEngine, stack: Stack
) -> None:
    burner = await asyncio.to_thread(stack.service, "burner", ["python3", "-c", BURN], nano_cpus=200_000_000)
    sample = await steady(engine if source == "files" else without_files, str(burner.name))
    assert 10 < sample.cpu_pct < 30
    assert sample.throttled_pct > 50


@pytest.mark.parametrize("source", ["files", "api"])
async def test_a_restart_between_two_rounds(
    source: str, engine: RealEngine, without_files: RealEngine, real_stage: RealStage, stack: Stack
) -> None:
    sampled = engine if source == "files" else without_files
    burner = await asyncio.to_thread(stack.service, "burner", ["python3", "-c", BURN], nano_cpus=500_000_000)
    name = str(burner.name)
    await steady(sampled, name)
    await engine.restart(name, grace_s=0)
    after = (await sampled.sample())[name]
    assert 0 <= after.cpu_pct < 120
    await real_stage.remove(name)
    assert name not in await sampled.sample()


async def test_a_short_name_is_not_taken_for_an_id(engine: RealEngine, real_stage: RealStage) -> None:
    name = await real_stage.runs("api")
    [found] = await engine.containers(only=[name])
    beginning = found.id[:6]
    assert await engine.containers(only=[beginning]) == []
    for call in (engine.restart, engine.stop, engine.start, engine.unpause, engine.top, engine.logs):
        with pytest.raises(NotFound, match=beginning):
            await call(beginning)
    with pytest.raises(NotFound, match=beginning):
        await engine.exec(beginning, ["true"])
    with pytest.raises(NotFound, match=beginning):
        await engine.update_memory(beginning, limit_bytes=64 * MB)
    [same] = await engine.containers(only=[found.id[:12]])
    assert (same.state, same.started_at) == (ContainerState.RUNNING, found.started_at)

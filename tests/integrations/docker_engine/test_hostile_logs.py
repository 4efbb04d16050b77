"""Logs that are huge, foreign or missing, read from a real engine."""

from __future__ import annotations

import asyncio
import time
import tracemalloc
from datetime import timedelta

import pytest
from docker.types import LogConfig

from core.errors import ActionFailed
from integrations.docker_engine.client.real_engine import RealEngine
from tests.integrations.docker_engine.real_stage import RealStage
from tests.testbed.stack import Stack
from tests.testbed.world import eventually

MB = 1024 * 1024


async def chat(engine: RealEngine, stack: Stack, **env: str) -> str:
    """Start the chatty service; its name once it has said everything."""
    container = await asyncio.to_thread(stack.service, "chat", "chatty.py", env=env)
    name = str(container.name)

    async def has_ended() -> bool:
        return [line.text for line in await engine.logs(name, tail=1)] == ["end of chat"]

    await eventually(has_ended, 30)
    return name


async def test_a_line_of_10_mb_is_cut_without_being_held(engine: RealEngine, stack: Stack) -> None:
    name = await chat(engine, stack, LONG_LINE_BYTES=str(10 * MB))
    tracemalloc.start()
    began = time.monotonic()
    lines = await engine.logs(name)
    took_s, (_, peak) = time.monotonic() - began, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    huge = [line for line in lines if line.was_cut]
    assert [len(line.text) for line in huge] == [4000]
    assert lines[-1].text == "end of chat"
    assert took_s < 5
    assert peak < 4 * MB, "a chunk of the connection and the kept lines, not the line"


async def test_the_chatty_service_is_understood(engine: RealEngine, stack: Stack) -> None:
    name = await chat(engine, stack, LINES="3000")
    assert [line.text for line in await engine.logs(name, tail=3)] == ["line 2998", "line 2999", "end of chat"]
    everything = await engine.logs(name, tail=2000, grep="l")
    assert len(everything) == 2000
    [coloured] = await engine.logs(name, grep="coloured")
    assert coloured.text == "ERROR coloured failure"
    [error] = await engine.logs(name, grep="on stderr")
    assert error.stream == "stderr"
    assert error.at is not None
    later = await engine.logs(name, since=error.at + timedelta(hours=1))
    assert later == []


@pytest.mark.parametrize("driver", ["json-file", "local"])
async def test_log_bytes_that_are_not_text_are_shown_readably(real_stage: RealStage, driver: str) -> None:
    config = LogConfig(type=driver)
    name = await real_stage.prints([("stdout", b"caf\xe9 ok"), ("stderr", b"\xff\xfe\xfd")], log_config=config)
    lines = await real_stage.engine.logs(name)
    replaced = "\N{REPLACEMENT CHARACTER}"
    assert sorted((line.stream, line.text) for line in lines) == [
        ("stderr", replaced * 3),
        ("stdout", f"caf{replaced} ok"),
    ]


async def test_a_container_with_a_terminal(real_stage: RealStage) -> None:
    name = await real_stage.prints([("stdout", b"one"), ("stderr", b"two")], has_terminal=True)
    lines = await real_stage.engine.logs(name)
    assert [(line.stream, line.text) for line in lines] == [("stdout", "one"), ("stdout", "two")]
    assert all(line.at is not None for line in lines)


async def test_a_container_without_a_readable_log(real_stage: RealStage) -> None:
    name = await real_stage.prints([("stdout", b"gone")], log_config=LogConfig(type="none"))
    with pytest.raises(ActionFailed, match=f"logs of '{name}'.*driver"):
        await real_stage.engine.logs(name)

"""kill -9 at any moment: the incident ends well, the action runs at most once, every message reaches the chat."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from playground import Fault
from tests.e2e.engine_proxy import EngineProxy
from tests.e2e.records import Records
from tests.e2e.world import World


@pytest.fixture
async def proxy(world: World, tmp_path: Path) -> AsyncIterator[EngineProxy]:
    """The engine as the program sees it, with a hand on the line."""
    async with EngineProxy(world.docker_host, tmp_path / "engine.sock") as made:
        world.settings["INFRAGUARDIAN_ENGINES__LOCAL__URL"] = made.url
        yield made


async def _asked(world: World) -> None:
    """An incident that waits for a decision: a service killed through the API."""
    container = world.stack.service("api")
    await world.start()
    container.kill(signal="SIGKILL")
    await world.card("Approve", "api", timeout_s=20)


async def _ends_well(world: World) -> None:
    await world.card("Resolved", timeout_s=60)
    assert world.stack.state("api")["Running"]
    assert world.events("api", "start") == 2  # the first start, and the one repair


async def test_killed_in_the_middle_of_the_verification(world: World) -> None:
    """The window is counted from when all was well, across the death, and the graph's file keeps nothing of it."""
    world.settings["INFRAGUARDIAN_VERIFICATION__WINDOW_S"] = "12"
    await _asked(world)
    await world.tap("Approve", "api")
    records = Records(world.home / "data")
    good_since = "SELECT unixepoch(json_extract(body, '$.verification.good_since')) FROM incidents"
    await world.until(lambda: records.scalar(good_since), what="all looking well")
    before = records.scalar(good_since)
    await world.kill()
    await world.start()
    await _ends_well(world)
    assert records.scalar(good_since) == before
    held_s = "SELECT unixepoch(closed_at) - unixepoch(json_extract(body, '$.verification.good_since')) FROM incidents"
    assert records.scalar(held_s) >= 12
    graph = Records(world.home / "data", "graph.db")
    await world.until(lambda: not graph.scalar("SELECT count(*) FROM checkpoints"), what="the thread dropped")


async def test_killed_between_asked_and_tapped(world: World) -> None:
    await _asked(world)
    await world.kill()
    await world.start()
    await world.tap("Approve")
    await _ends_well(world)


async def test_tapped_while_the_program_is_down(world: World) -> None:
    await _asked(world)
    await world.kill()
    message = await world.card("Approve")
    await world.ada.tap(message, "Approve", chat=world.ops)
    await world.start()
    await _ends_well(world)


async def test_killed_while_the_graph_runs(world: World, proxy: EngineProxy) -> None:
    container = world.stack.service("api")
    await world.start()
    held = proxy.hold(r"GET .*/logs")
    container.kill(signal="SIGKILL")
    await asyncio.wait_for(held.reached.wait(), 20)
    await world.kill()
    proxy.release()
    await world.start()
    await world.tap("Approve", timeout_s=30)
    await _ends_well(world)


@pytest.mark.parametrize("delay_ms", [0, 5, 20, 80])
async def test_killed_around_the_tap(world: World, delay_ms: int) -> None:
    """Between the update received and handled, between the tap and the action, during the action: whatever it hits."""
    await _asked(world)
    records = Records(world.home / "data")
    message = await world.card("Approve")
    known = records.inbox_size()
    await world.ada.tap(message, "Approve", chat=world.ops)
    await world.until(lambda: records.inbox_size() > known, what="the tap committed to the inbox")
    await asyncio.sleep(delay_ms / 1000)
    await world.kill()
    await world.start()
    await _ends_well(world)


async def test_killed_before_the_engine_hears_of_it(world: World, proxy: EngineProxy) -> None:
    """It never reached the engine: the world says so, and what was approved is carried out after all, once."""
    await _asked(world)
    held = proxy.hold(r"POST .*/start")
    await world.tap("Approve")
    await asyncio.wait_for(held.reached.wait(), 20)
    await world.kill()
    await proxy.cut()
    proxy.release()
    assert world.events("api", "start") == 1
    await world.start()
    await _ends_well(world)


async def test_killed_after_the_engine_acted(world: World, proxy: EngineProxy) -> None:
    """The answer was lost: the world is asked, and shows that it took effect."""
    await _asked(world)
    held = proxy.hold(r"POST .*/start", answers=True)
    await world.tap("Approve")
    await asyncio.wait_for(held.reached.wait(), 20)
    await world.kill()
    proxy.release()
    await world.start()
    await _ends_well(world)


async def test_killed_before_the_card_is_edited(world: World) -> None:
    await _asked(world)
    card = await world.card("Approve")
    world.chat_server.faults.add("editMessageText", _never(), times=50)
    await world.ada.tap(card, "Approve", chat=world.ops)
    await world.until(lambda: world.events("api", "start") == 2, 30, "the repair")
    await world.kill()
    world.chat_server.faults.clear()
    await world.start()
    await _ends_well(world)
    assert "Approve" not in world.ops.message(card.id).labels


def _never() -> Fault:
    return Fault.slow(30, stage="before")


@pytest.mark.parametrize("delay_ms", [0, 5, 20, 60])
async def test_a_restart_command_is_carried_out_once(world: World, delay_ms: int) -> None:
    world.stack.service("api")
    await world.start()
    records = Records(world.home / "data")
    known = records.inbox_size()
    await world.ada.say(f"/restart {world.stack.project} api")
    await world.until(lambda: records.inbox_size() > known, what="the command committed to the inbox")
    await asyncio.sleep(delay_ms / 1000)
    await world.kill()
    await world.start()
    await world.card("restart", "api", timeout_s=60, chat=world.ada.chat)
    await world.until(lambda: world.restarts("api") == 1, 30, "the restart")
    await world.card("Restarted", timeout_s=60, chat=world.ada.chat)
    assert world.restarts("api") == 1


async def test_a_restart_whose_answer_was_lost_is_not_repeated(world: World, proxy: EngineProxy) -> None:
    world.stack.service("api")
    await world.start()
    held = proxy.hold(r"POST .*/restart", answers=True)
    await world.ada.say(f"/restart {world.stack.project} api")
    await asyncio.wait_for(held.reached.wait(), 20)
    await world.kill()
    proxy.release()
    await world.start()
    await world.card("took effect", timeout_s=60, chat=world.ada.chat)
    assert world.restarts("api") == 1

"""A repair that does not help is undone on the real engine, and then a person is asked."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.e2e.world import World, get

MB = 1024 * 1024
LONGER = {"INFRAGUARDIAN_VERIFICATION__WINDOW_S": "8"}
"""What its policy brought back counts as recovered after this long; a person taps before."""


async def test_more_memory_that_does_not_help_is_undone(world: World) -> None:
    """It asks for more than any limit: the doubled limit is put back, the last try fails too, a person is told."""
    world.stack.service("api", mem_limit="64m", restart="always")
    await world.start(**LONGER)
    await get(world.stack.url("api", "/eat?mb=300"))
    await world.tap("Approve", "limit", timeout_s=40)
    await world.card("Checking that the repair holds", timeout_s=30)
    assert _limit(world) == 128, world.ops.transcript()
    await world.until(lambda: world.stack.state("api")["Running"], 20, "its policy has brought it back")
    await get(world.stack.url("api", "/eat?mb=300"))  # the same again: the repair did not help
    await world.card("Someone needs to take over", timeout_s=90)
    await world.until(lambda: _limit(world) == 64, 20, "the old limit is back")
    assert len(world.cards()) == 1, world.ops.transcript()


async def test_a_limit_that_helps_stays(world: World) -> None:
    world.stack.service("api", mem_limit="64m", restart="always")
    await world.start(**LONGER)
    await get(world.stack.url("api", "/eat?mb=100"))
    await world.tap("Approve", "limit", timeout_s=40)
    await world.card("Resolved", timeout_s=90)
    assert _limit(world) == 128


@pytest.mark.timeout(180)
async def test_a_repair_must_hold_for_the_real_window(world: World) -> None:
    """The default of thirty seconds, once: nothing is called solved before."""
    container = world.stack.service("api")
    await world.start(INFRAGUARDIAN_VERIFICATION__WINDOW_S="30", INFRAGUARDIAN_VERIFICATION__POLL_S="2")
    container.kill(signal="SIGKILL")
    card = await world.card("Approve", timeout_s=40)
    await world.tap("Approve")
    checking = await world.card("Checking that the repair holds", timeout_s=30)
    assert checking.id == card.id
    solved = await world.card("Resolved after", timeout_s=90)
    started = datetime.fromisoformat(world.stack.state("api")["StartedAt"][:19] + "+00:00")
    assert (datetime.now(UTC) - started).total_seconds() >= 30
    assert solved.id == card.id
    assert world.events("api", "start") == 2


def _limit(world: World) -> int:
    return int(world.stack.inspect("api")["HostConfig"]["Memory"]) // MB

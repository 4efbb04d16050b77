"""Real containers really die; one card with the true cause comes, a tap repairs, the success is proved."""

from __future__ import annotations

from tests.e2e.world import World, get
from tests.testbed.stack import HTTP_PROBE


async def test_a_container_killed_for_memory_is_repaired_once_approved(world: World) -> None:
    world.stack.service("api", mem_limit="64m")
    await world.start()
    await get(world.stack.url("api", "/eat?mb=200"))

    card = await world.card("Approve", "memory")
    assert "api" in card.text
    assert world.events("api", "start") == 1  # nothing disruptive without a person

    answer = await world.tap("Approve", by=world.stranger)
    assert answer
    assert world.events("api", "start") == 1

    await world.tap("Approve")
    await world.card("Solved", timeout_s=40)
    assert world.stack.state("api")["Running"]
    assert world.events("api", "start") == 2


async def test_an_unhealthy_service_is_restarted_once_approved(world: World) -> None:
    await _healthy_api(world)
    await get(world.stack.url("api", "/hang"), method="POST")
    await world.tap("Approve", "health check", timeout_s=30)
    await world.card("Solved", timeout_s=60)
    assert world.restarts("api") == 1


async def test_a_restart_that_does_not_help_is_handed_to_a_person(world: World) -> None:
    await _healthy_api(world)
    await get(world.stack.url("api", "/sick"), method="POST")  # lasts beyond a restart
    await world.tap("Approve", "health check", timeout_s=30)
    card = await world.card("A person is needed", timeout_s=60)
    assert "Solved" not in card.text
    assert world.restarts("api") == 1


async def _healthy_api(world: World) -> None:
    world.stack.service("api", healthcheck=HTTP_PROBE)
    await world.until(lambda: world.stack.state("api")["Health"]["Status"] == "healthy")
    await world.start()


async def test_a_stop_by_a_person_is_no_alarm(world: World) -> None:
    container = world.stack.service("api", "stubborn.py")
    other = world.stack.service("other")
    await world.start()
    container.stop(timeout=1)
    other.kill(signal="SIGKILL")  # this one is an alarm: once its card is there, the first one's would have been
    await world.card("other", timeout_s=30)
    assert not world.cards_about("/api")

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
    await world.card("Resolved", timeout_s=40)
    assert world.stack.state("api")["Running"]
    assert world.events("api", "start") == 2


async def test_an_unhealthy_service_is_restarted_once_approved(world: World) -> None:
    await _healthy_api(world)
    await get(world.stack.url("api", "/hang"), method="POST")
    await world.tap("Approve", "health check", timeout_s=30)
    await world.card("Resolved", timeout_s=60)
    assert world.restarts("api") == 1


async def test_a_restart_that_does_not_help_is_escalated(world: World) -> None:
    await _healthy_api(world)
    await get(world.stack.url("api", "/sick"), method="POST")  # lasts beyond a restart
    await world.tap("Approve", "health check", timeout_s=30)
    card = await world.card("Someone needs to take over", timeout_s=60)
    assert "Resolved" not in card.text
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


async def test_the_incident_of_an_engine_that_was_taken_out_of_the_settings_is_closed(world: World) -> None:
    """The same engine under two names: what one says is closed, what the other says still asks."""
    container = world.stack.service("api")
    await world.start(INFRAGUARDIAN_ENGINES__FAR__URL=world.docker_host)
    container.kill(signal="SIGKILL")
    await world.card("Approve", " · far", timeout_s=40)
    await world.card("Approve", " · local", timeout_s=40)
    await world.stop()
    del world.settings["INFRAGUARDIAN_ENGINES__FAR__URL"]
    await world.start()
    closed = await world.card("is no longer in the settings", " · far", timeout_s=40)
    assert "Approve" not in " ".join(closed.labels)
    await world.card("Approve", " · local", timeout_s=40)
    await world.ask(world.linus, "/status", "open incidents: 1")

"""Every kind of trouble on the real engine: one card, the true cause, and the repair that fits, or none."""

from __future__ import annotations

from pathlib import Path

import pytest
from docker.models.containers import Container

from tests.e2e.engine_proxy import EngineProxy
from tests.e2e.world import World, get
from tests.testbed.stack import FILE_PROBE


async def test_a_process_killed_out_of_memory_asks_for_more_memory_and_never_restarts(world: World) -> None:
    world.stack.service("api", mem_limit="64m")
    await world.start(INFRAGUARDIAN_VERIFICATION__WINDOW_S="10")  # so long it must be calm to recover by itself
    await get(world.stack.url("api", "/eat_child?mb=200"))

    card = await world.card("Approve", "a process inside", timeout_s=20)
    assert "still running" in card.text
    await world.tap("Approve")
    await world.card("Resolved", timeout_s=40)
    assert world.stack.inspect("api")["HostConfig"]["Memory"] == 128 * 1024 * 1024
    assert world.events("api", "die") == 0


@pytest.mark.parametrize("how", ["killed", "crashed"])
async def test_a_dependency_that_is_gone_is_the_root_of_one_card(world: World, how: str) -> None:
    """The database alarms first, its victim joins: one card about the root, with the root's evidence alone."""
    database = await _worker_on_database(world)
    if how == "killed":
        database.kill(signal="SIGKILL")
    else:
        await get(world.stack.url("db", "/crash"))

    card = await world.card("Approve", "/db", timeout_s=30)
    await world.until(lambda: "worker" in world.ops.message(card.id).text, 40, "the victim on the root's card")
    assert f"events local/{world.stack.project}-worker-1" not in world.ops.message(card.id).text
    await _is_repaired(world)


async def test_a_stopped_dependency_is_named_by_its_victim(world: World) -> None:
    """A person stopped the database: that is no alarm; what suffers from it is, and the card names the root."""
    database = await _worker_on_database(world)
    database.stop(timeout=3)

    card = await world.card("/db", "Approve", timeout_s=60)
    assert f"Root cause: {world.stack.project}/db" in card.text, card.text
    assert "can't find the host" in card.text
    await _is_repaired(world)


async def _worker_on_database(world: World) -> Container:
    database = world.stack.service("db")
    environment = {"DB_HOST": "db", "INTERVAL_S": "0.3"}
    world.stack.service("worker", "client.py", depends_on=["db"], env=environment, healthcheck=FILE_PROBE)
    await world.until(lambda: world.stack.state("worker")["Health"]["Status"] == "healthy")
    await world.start()
    return database


async def _is_repaired(world: World) -> None:
    assert len(world.cards()) == 1, world.ops.transcript()
    await world.tap("Approve")
    await world.card("Resolved", timeout_s=60)
    assert world.stack.state("db")["Running"]
    assert world.stack.state("worker")["Health"]["Status"] == "healthy"
    assert world.events("worker", "start") == 1


async def test_a_crash_loop_is_escalated_with_its_error_and_never_restarted(world: World) -> None:
    await world.start(INFRAGUARDIAN_VERIFICATION__WINDOW_S="10")
    world.stack.service("worker", "crash.py", restart="always")
    card = await world.card("worker", "DATABASE_URL", "Someone needs to take over", timeout_s=40)
    assert "Approve" not in card.labels
    assert world.restarts("worker") == 0
    assert len(world.cards()) == 1, world.ops.transcript()


async def test_a_container_that_cannot_start_shows_what_the_engine_says(world: World) -> None:
    await world.start()
    container = world.stack.service("api", ["/no/such/program"], start=False)
    await world.fails(container.start)
    card = await world.card("can't start", "Someone needs to take over", timeout_s=30)
    assert "127" in card.text
    assert "/no/such/program" in card.text
    assert world.restarts("api") == 0


async def test_a_paused_container_is_resumed_without_asking(world: World) -> None:
    container = world.stack.service("api")
    await world.start()
    container.pause()
    await world.card("paused", "Resolved after", timeout_s=60)
    assert not world.stack.state("api")["Paused"]


async def test_a_container_killed_through_the_api_is_reported_as_such(world: World) -> None:
    container = world.stack.service("api")
    await world.start()
    container.kill(signal="SIGKILL")
    card = await world.card("Approve", "killed", "Docker API", timeout_s=20)
    assert "memory limit" not in card.text
    await world.tap("Approve")
    await world.card("Resolved", timeout_s=40)
    assert world.events("api", "start") == 2


async def test_a_container_that_finishes_as_intended_raises_no_alert(world: World) -> None:
    """A finished job, a stop, a removal by force, a restart by hand: nothing; the alarm that follows shows it."""
    stopped, removed = world.stack.service("stopped"), world.stack.service("removed")
    restarted, last = world.stack.service("restarted"), world.stack.service("last")
    await world.start()
    world.stack.service("job", "oneshot.py")
    stopped.stop(timeout=3)
    removed.remove(force=True)
    restarted.restart(timeout=3)
    await world.until(lambda: not world.stack.state("job")["Running"], what="the job to end")
    last.kill(signal="SIGKILL")
    await world.card("/last", "Approve", timeout_s=30)
    assert len(world.cards()) == 1, world.ops.transcript()


async def test_an_engine_that_is_gone_is_one_incident_and_no_flood(world: World, tmp_path: Path) -> None:
    for name in ("api", "web", "db"):
        world.stack.service(name)
    async with EngineProxy(world.docker_host, tmp_path / "engine.sock") as engine:
        await world.start(
            INFRAGUARDIAN_ENGINES__LOCAL__URL=engine.url,
            INFRAGUARDIAN_ENGINES__LOCAL__TIMEOUT_S="3",
            INFRAGUARDIAN_WATCH__UNREACHABLE_AFTER_S="2",
        )
        await engine.unplug()
        await world.card("isn't responding", timeout_s=30)
        answer = await world.ask(world.ada, "/status")
        assert "isn't responding" in answer.text

        engine.plug()
        await world.card("Recovered on its own", timeout_s=40)
        assert len(world.cards()) == 1, world.ops.transcript()

"""The simulated engine keeps the contract of the real one, and its repairs really change the outcome."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from core.monitoring.inventory import ContainerState, Health
from integrations.docker_engine.simulated.container_spec import MIB, ContainerSpec, HealthCheck
from integrations.docker_engine.simulated.demo_host import demo_engine
from integrations.docker_engine.simulated.simulated_engine import SimulatedEngine
from tests.integrations.docker_engine.contract import EngineContract, recorded
from tests.integrations.docker_engine.simulated_stage import SimulatedStage
from tests.testbed.world import eventually


class TestSimulatedEngine(EngineContract):
    @pytest.fixture
    async def stage(self) -> AsyncIterator[SimulatedStage]:
        engine = SimulatedEngine("local")
        yield SimulatedStage(engine)
        await engine.close()


@pytest.fixture
async def demo() -> AsyncIterator[SimulatedEngine]:
    engine = demo_engine()
    yield engine
    await engine.close()


async def state_of(engine: SimulatedEngine, name: str) -> ContainerState:
    [found] = await engine.containers(only=[name])
    return found.state


async def test_the_demo_is_healthy_and_marked_as_simulated(demo: SimulatedEngine) -> None:
    assert (await demo.info()).is_simulated
    found = await demo.containers()
    assert {one.stack for one in found} == {"granada", "automation"}
    assert all(one.is_running and one.health is Health.HEALTHY for one in found)
    assert all(line.text for line in await demo.logs("granada-api-1"))
    samples = await demo.sample()
    assert all(0 < samples[one.name].memory_bytes < one.memory_limit_bytes for one in found)


async def test_a_memory_peak_is_over_after_a_restart(demo: SimulatedEngine) -> None:
    demo.oom("granada-api-1", over_s=0.05)
    await eventually(lambda: _has_state(demo, ContainerState.EXITED), 5)
    await demo.restart("granada-api-1")
    [found] = await demo.containers(only=["granada-api-1"])
    assert (found.is_running, found.oom_killed) == (True, False)


async def _has_state(engine: SimulatedEngine, state: ContainerState, name: str = "granada-api-1") -> bool:
    return await state_of(engine, name) is state


async def test_a_recurring_memory_kill_stops_after_a_higher_limit() -> None:
    engine = SimulatedEngine("local")
    name = engine.create(ContainerSpec(stack="shop", service="api", memory_mb=64))
    async with recorded(engine) as seen:
        engine.oom(name, extra_mb=100, over_s=0.05, recurs=True)
        await eventually(lambda: _has_state(engine, ContainerState.EXITED, name), 5)
        await engine.restart(name)
        await eventually(lambda: _has_state(engine, ContainerState.EXITED, name), 5, what="killed again")
        await engine.update_memory(name, limit_bytes=256 * MIB)
        await engine.start(name)
        await eventually(lambda: engine.logs(name, grep="bulk insert"), 5)

        async def has_grown() -> bool:
            return (await engine.sample())[name].memory_bytes > 100 * MIB

        await eventually(has_grown, 5, what="it has what it wants")
        assert await state_of(engine, name) is ContainerState.RUNNING
    assert [event.exit_code for event in seen.of(name) if event.exit_code] == [137, 137]
    await engine.close()


async def test_a_dependent_of_a_stopped_container_turns_unhealthy_and_recovers() -> None:
    check = HealthCheck(interval_s=0.05, retries=2)
    engine = SimulatedEngine("local")
    database = engine.create(ContainerSpec(stack="shop", service="db"))
    name = engine.create(ContainerSpec(stack="shop", service="api", depends_on=("db",), health=check, chatter_s=0.05))

    async def has_health(health: Health) -> bool:
        [found] = await engine.containers(only=[name])
        return found.health is health

    await eventually(lambda: has_health(Health.HEALTHY), 5)
    await engine.stop_dependency(database)
    await eventually(lambda: has_health(Health.UNHEALTHY), 5)
    assert any('host name "db"' in line.text for line in await engine.logs(name))
    await engine.start(database)
    await eventually(lambda: has_health(Health.HEALTHY), 5)
    await engine.close()


async def test_a_crash_loop_ends_only_when_its_cause_does() -> None:
    engine = SimulatedEngine("local")
    name = engine.create(ContainerSpec(stack="shop", service="api", restart="always"))
    engine.crash_loop(name)

    async def restarts() -> int:
        [found] = await engine.containers(only=[name])
        return found.restart_count

    assert await eventually(restarts, 5)
    await engine.restart(name)
    assert await eventually(restarts, 5), "a restart does not help"
    assert any("KeyError" in line.text for line in await engine.logs(name))
    engine.mend(name)
    await engine.restart(name)
    assert await state_of(engine, name) is ContainerState.RUNNING
    await engine.close()

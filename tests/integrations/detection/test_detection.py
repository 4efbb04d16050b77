"""What the watcher says of real and simulated trouble, and where it keeps still."""

from __future__ import annotations

from datetime import UTC, datetime

from core.monitoring.inventory import ContainerState, Health
from core.monitoring.snapshot import EventKind, OwnAct
from tests.core.scripted_watcher import Heard
from tests.integrations.detection.conftest import Watched, watcher
from tests.integrations.docker_engine.contract import is_up, recorded, until
from tests.integrations.docker_engine.stage import Stage
from tests.testbed.world import eventually


async def test_the_kernel_kills_a_container(watched: Watched) -> None:
    name = await watched.stage.runs("api", memory_mb=48)
    await watched.stage.eat_memory(name)
    found = await watched.alarm(name, "container_died")
    facts = found.facts()
    assert (facts["oom_killed"], facts["exit_code"], facts["stopped_by"]) == (True, 137, "memory_killer")
    assert facts["memory_limit_mb"] == 48
    await watched.settles()
    assert watched.heard.kinds(name) == ["container_died"]
    assert not watched.watcher.is_quiet(found.fingerprint, found.at)

    acted_at = datetime.now(UTC)
    await watched.stage.engine.restart(name)
    await watched.settles()
    assert watched.watcher.is_quiet(found.fingerprint, acted_at)
    await watched.clears(found.fingerprint)


async def test_the_kernel_kills_a_child(watched: Watched) -> None:
    name = await watched.stage.runs("api", memory_mb=64)
    await watched.stage.eat_memory_in_child(name)
    found = await watched.alarm(name, "child_oom")
    assert found.facts()["oom_killed"] is False
    assert watched.heard.kinds(name) == ["child_oom"]


async def test_a_crash_loop_raises_an_alert(watched: Watched) -> None:
    name = await watched.stage.crashes(exit_code=3, restart="always")
    found = await watched.alarm(name, "crash_loop")
    assert found.facts()["exit_code"] == 3
    assert int(str(found.facts()["restarts_in_window"])) >= 3
    assert not watched.watcher.is_quiet(found.fingerprint, found.at)
    # somebody ends it for good: no trouble any more
    await watched.stage.engine.stop(name)
    await watched.clears(found.fingerprint)


async def test_a_single_crash_that_restarts_is_reported_once(watched: Watched) -> None:
    name = await watched.stage.runs("api", memory_mb=48, restart="always")
    await watched.stage.eat_memory(name)
    found = await watched.alarm(name, "container_died")
    await until(watched.stage, name, is_up)
    await watched.clears(found.fingerprint)
    assert set(watched.heard.kinds(name)) == {"container_died"}
    assert {one.at for one in watched.heard.of(name)} == {found.at}, "once, perhaps in better words"


async def test_an_unhealthy_container_raises_an_alert_that_clears_when_healthy(watched: Watched) -> None:
    name = await watched.stage.runs("api", has_health_check=True)
    await until(watched.stage, name, lambda one: one.health is Health.HEALTHY)
    await watched.stage.set_health(name, is_healthy=False)
    found = await watched.alarm(name, "unhealthy")
    assert found.facts()["health_output"]
    assert not watched.watcher.is_quiet(found.fingerprint, found.at)
    await watched.stage.set_health(name, is_healthy=True)
    await watched.clears(found.fingerprint)
    await watched.settles()
    assert watched.watcher.is_quiet(found.fingerprint, found.at)


async def test_a_kill_through_the_api_raises_an_alert(watched: Watched) -> None:
    name = await watched.stage.runs("api", restart="always")
    await watched.stage.kill(name)
    found = await watched.alarm(name, "killed_by_api")
    assert (found.facts()["stopped_by"], found.facts()["oom_killed"]) == ("kill", False)
    assert watched.heard.kinds(name) == ["killed_by_api"]


async def test_a_stop_is_no_alarm_even_when_it_ends_in_137(watched: Watched) -> None:
    polite, stubborn = await watched.stage.runs("api"), await watched.stage.ignores_sigterm()
    async with recorded(watched.stage.engine) as seen:
        await watched.stage.engine.stop(polite)
        await watched.stage.engine.stop(stubborn, grace_s=1)
        await seen.wait_for(stubborn, EventKind.STOP)
    found = await until(watched.stage, stubborn, lambda one: one.state is ContainerState.EXITED)
    assert found.exit_code == 137
    await watched.settles()
    assert watched.heard.of(polite) == watched.heard.of(stubborn) == []


async def test_a_restart_and_a_forced_removal_are_no_alarm(watched: Watched) -> None:
    name, other = await watched.stage.runs("api"), await watched.stage.runs("web")
    await watched.stage.engine.restart(name)
    async with recorded(watched.stage.engine) as seen:
        await watched.stage.remove(other)
        await seen.wait_for(other, EventKind.DESTROY)
    await watched.settles()
    assert watched.heard.of(name) == watched.heard.of(other) == []
    assert other not in watched.watcher.snapshot().containers


async def test_our_own_act_is_no_alarm(watched: Watched) -> None:
    name = await watched.stage.runs("api")
    ref = f"{watched.stage.engine.name}/{name}"
    watched.own_acts.append(OwnAct(at=datetime.now(UTC), ref=ref, action="docker.stop", by="Ada"))
    await watched.stage.engine.stop(name)
    await watched.settles()
    assert watched.heard.of(name) == []


async def test_a_container_that_cannot_start_raises_an_alert(watched: Watched) -> None:
    name = await watched.stage.cannot_start()
    found = await watched.alarm(name, "cannot_start")
    assert "no such file" in str(found.facts()["state_error"])
    assert watched.heard.kinds(name) == ["cannot_start"]


async def test_a_paused_container_raises_an_alert(watched: Watched) -> None:
    name = await watched.stage.runs("api")
    await watched.stage.pause(name)
    found = await watched.alarm(name, "paused")
    await watched.stage.engine.unpause(name)
    await watched.clears(found.fingerprint)


async def test_a_finished_job_is_no_alarm_and_a_failed_one_is(watched: Watched) -> None:
    good = await watched.stage.crashes("good", exit_code=0)
    bad = await watched.stage.crashes("bad", exit_code=4)
    await watched.alarm(bad, "container_died")
    await watched.settles()
    assert watched.heard.of(good) == []


async def test_trouble_from_before_the_start_is_found_at_the_start(stage: Stage) -> None:
    looping = await stage.crashes("worker", restart="always")
    name = await stage.runs("api", restart="on-failure", memory_mb=48)
    stopped = await stage.runs("web", restart="always")
    await until(stage, looping, lambda one: one.restart_count >= 4)
    await stage.engine.stop(stopped)
    await stage.kill(name)
    heard = Heard()
    async with watcher(stage, heard, []) as eyes:
        await eventually(eyes.has_looked.is_set, 20)
        await eventually(lambda: "killed_by_api" in heard.kinds(name), 10)
        await eventually(lambda: "crash_loop" in heard.kinds(looping), 10)
    assert heard.of(stopped) == []


async def test_an_alert_from_before_a_restart_stays_or_clears(stage: Stage) -> None:
    dead, well = await stage.runs("api"), await stage.runs("web")
    heard = Heard()
    async with watcher(stage, heard, []) as eyes:
        await eventually(eyes.has_looked.is_set, 20)
        await stage.kill(dead)
        await stage.kill(well)
        await eventually(lambda: heard.of(dead) and heard.of(well), 20)
        known = [one.alert for one in eyes.firing() if one.alert.container in (dead, well)]
    await stage.engine.start(well)
    later = Heard()
    second = watcher(stage, later, [])
    second.adopt(known)
    prints = {alert.container: alert.fingerprint for alert in known}
    async with second as eyes:
        await eventually(lambda: prints[well] in later.cleared, 20)
        assert later.of(dead) == later.of(well) == []
        assert eyes.is_firing(prints[dead])


async def test_an_alert_follows_the_event_at_once(watched: Watched) -> None:
    names = [await watched.stage.runs(f"api{number}") for number in range(5)]
    await watched.settles()
    delays = []
    for name in names:
        await watched.stage.kill(name)
        found = await watched.alarm(name, "killed_by_api")
        heard_at = next(at for at, alert in watched.heard.raised if alert is found)
        delays.append((heard_at - found.at).total_seconds())
    assert sorted(delays)[len(delays) // 2] < 1.0, delays

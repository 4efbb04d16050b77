"""A deploy is followed to its verdict: on a stand-in for Dokploy that really deploys, on a real engine."""

import asyncio
from datetime import UTC, datetime
from functools import partial

import pytest

from core.actions.calls import CallState
from core.deployments.deploys import DeployPhase, VersionVerdict
from core.deployments.platform import Deployment, DeployStatus
from core.incidents.alert_kinds import AlertKind
from core.incidents.alerts import Alert, Severity
from core.text import text
from tests.agent.deploy_world import FOREVER, DeployWorld, compose_file, say
from tests.testbed.world import eventually

CRASH = "import sys; sys.exit(3)"
ONCE = (
    "import os,sys,time; p='/tmp/ran'; again=os.path.exists(p); open(p,'w').close(); "
    "time.sleep(600 if again else {}); sys.exit(4)"
)
"""Crashes the first time it runs in its container."""


async def test_a_good_deploy_is_called_good_after_the_whole_window(world: DeployWorld) -> None:
    world.add("granada", compose_file(world.image, api=FOREVER, job="print('done')"))
    async with world.running():
        deploy = await world.deploy("granada")
        assert deploy.phase is DeployPhase.GOOD
        assert world.phases()[-2:] == ["settling", "good"]
        assert deploy.good_since is not None
        assert deploy.over_at is not None
        assert (deploy.over_at - deploy.good_since).total_seconds() >= world.window_s
        assert say(deploy.message).startswith("granada is up: 2 of 2 services healthy for 2 s, ")
        assert deploy.log_tail[-1] == "Docker Compose Deployed: ✅"
        record = await world.ended()
        assert record.state is CallState.OK
        assert record.result is not None
        assert record.result.message == deploy.message
        (version,) = await world.knowledge.versions.of(deploy.managed_id)
        assert version.verdict == "good"
        assert set(version.image_ids) == {"api", "job"}
        assert all(one.startswith("sha256:") for one in version.image_ids.values())
        assert await world.knowledge.start_times.typical("granada/api") is None, "it was well at the first look"
        assert world.opened() == []


async def test_a_bad_image_is_reported_with_its_true_line_at_once(world: DeployWorld) -> None:
    world.add("granada")
    async with world.running():
        await world.deploy("granada", key="k0")
        deploy = await world.deploy("granada", compose_file("127.0.0.1:9/nosuch:v9", api=FOREVER))
        assert deploy.phase is DeployPhase.FAILED
        assert "127.0.0.1:9" in deploy.error_line
        assert deploy.error_class in ("image_not_found", "network")
        assert say(deploy.message).endswith("What ran before is still running (1 of 1 service).")
        row = world.dokploy.deployments(world.service("granada"))[0]
        assert deploy.over_at is not None
        assert deploy.platform_ended_at is not None
        assert row["status"] == "error"
        assert (deploy.over_at - deploy.platform_ended_at).total_seconds() < 2
        assert (await world.ended()).state is CallState.FAILED
        assert await world.good_versions("granada") == 1


@pytest.mark.parametrize("moment_s", [0.0, 0.4, 1.2])
async def test_a_crash_within_the_window_fails_the_deploy(world: DeployWorld, moment_s: float) -> None:
    world.add("granada", compose_file(world.image, api=f"import time,sys; time.sleep({moment_s}); sys.exit(3)"))
    async with world.running():
        deploy = await world.deploy("granada")
        assert deploy.phase is DeployPhase.CRASHED
        assert deploy.crashed == ("api",)
        assert "granada came up, then crashed: api exited (code 3)" in say(deploy.message)
        assert (await world.ended()).state is CallState.FAILED
        assert await world.good_versions("granada") == 0


async def test_bad_yaml_is_reported_and_nothing_is_called_up(world: DeployWorld) -> None:
    world.add("granada", "services:\n  web:\n   image: [unclosed\n")
    async with world.running():
        deploy = await world.deploy("granada")
        assert (deploy.phase, deploy.error_class) == (DeployPhase.FAILED, "bad_yaml")
        assert deploy.error_line.startswith("Flow sequence in block collection must be")
        (version,) = await world.knowledge.versions.of(deploy.managed_id)
        assert version.verdict is VersionVerdict.BAD


@pytest.mark.parametrize("moment_s", [0.0, 0.5, 1.1])
async def test_a_crash_that_the_engine_repairs_is_a_crash(world: DeployWorld, moment_s: float) -> None:
    world.add("granada", compose_file(world.image, restart="always", api=ONCE.format(moment_s)))
    async with world.running():
        deploy = await world.deploy("granada")
        assert (deploy.phase, deploy.crashed) == (DeployPhase.CRASHED, ("api",)), say(deploy.message)


async def test_twenty_of_twenty_that_crash_within_the_window_are_not_good(world: DeployWorld) -> None:
    moments = [0.14 * number for number in range(10)]
    for number, moment_s in enumerate(moments):
        dies = f"import time,sys; time.sleep({moment_s}); sys.exit(1)"
        world.add(f"once-{number}", compose_file(world.image, api=dies))
        world.add(f"again-{number}", compose_file(world.image, restart="always", api=ONCE.format(moment_s)))
    world.dokploy.state.builds_concurrency = 3
    async with world.running():
        for name in world.services:
            await world.order(name, key=name)
        ended = [await world.verdict(name, within_s=90) for name in world.services]
        assert {one.stack: one.phase for one in ended} == dict.fromkeys(world.services, DeployPhase.CRASHED)


async def test_an_unhealthy_service_is_no_good_deploy(world: DeployWorld) -> None:
    check = "    healthcheck: {test: ['CMD', 'false'], interval: 300ms, retries: 2}\n"
    world.add("granada", compose_file(world.image, api=FOREVER) + check)
    async with world.running():
        deploy = await world.deploy("granada")
        assert deploy.phase is DeployPhase.CRASHED
        assert say(deploy.message) == "granada came up, then crashed: api is unhealthy."


async def test_a_slow_health_check_is_waited_for_and_its_time_learnt(world: DeployWorld) -> None:
    check = "    healthcheck: {test: ['CMD', 'test', '-f', '/tmp/up'], interval: 300ms, retries: 9}\n"
    program = "import time; time.sleep(2); open('/tmp/up','w').close(); time.sleep(600)"
    world.add("granada", compose_file(world.image, api=program) + check)
    async with world.running():
        deploy = await world.deploy("granada")
        assert deploy.phase is DeployPhase.GOOD
        learnt = await world.knowledge.start_times.typical("granada/api")
        assert learnt is not None
        assert 1.5 < learnt < 5
        assert deploy.window_s >= 0.3 * 9
        assert any("api hasn't passed its health check yet" in one for one in world.said())


async def test_in_a_queue_of_three_each_says_its_place(world: DeployWorld) -> None:
    for name in ("granada", "shop", "blog"):
        world.add(name)
    world.dokploy.hold_queue()
    async with world.running():
        for name in world.services:
            await world.order(name, key=name)
            await eventually(partial(world.is_in_line, name))
        await eventually(lambda: "blog is number 3 in Dokploy's queue, behind granada, shop." in world.said("blog"))
        assert world.said("granada")[-1] == "granada is next in Dokploy's queue."
        assert world.said("shop")[-1] == "shop is number 2 in Dokploy's queue, behind granada."
        world.dokploy.release_queue()
        for name in world.services:
            assert (await world.verdict(name)).phase is DeployPhase.GOOD


@pytest.mark.parametrize("how", ["clean", "restart"])
async def test_a_deploy_that_left_the_queue_without_running_is_reported(world: DeployWorld, how: str) -> None:
    granada = world.add("granada")
    world.dokploy.hold_queue()
    async with world.running():
        await world.order("granada")
        await eventually(lambda: "granada is next in Dokploy's queue." in world.said())
        if how == "clean":
            await world.client.composes.clean_queue(granada.id)
        else:
            await asyncio.to_thread(world.dokploy.restart)
        deploy = await world.verdict()
        assert deploy.phase is DeployPhase.CANCELLED
        assert "left Dokploy's queue without running" in say(deploy.message)
        assert (await world.ended()).state is CallState.FAILED
        assert world.dokploy.deployments(granada) == []


async def test_a_lost_answer_is_looked_for_and_not_repeated(world: DeployWorld) -> None:
    granada = world.add("granada")
    world.dokploy.lose_answer("compose.deploy")
    async with world.running():
        assert (await world.deploy("granada")).phase is DeployPhase.GOOD
        assert (await world.ended()).state is CallState.OK
        assert len(world.dokploy.deployments(granada)) == len(world.dokploy.asked("compose.deploy")) == 1


async def test_a_deploy_that_never_arrived_is_reported_as_such(world: DeployWorld) -> None:
    granada = world.add("granada")
    world.dokploy.drop("compose.deploy")
    async with world.running():
        deploy = await world.deploy("granada")
        assert deploy.phase is DeployPhase.NEVER
        assert (await world.ended()).state is CallState.FAILED
        assert "Dokploy never got the deployment of granada" in say(deploy.message)
        assert world.dokploy.deployments(granada) == []


@pytest.mark.parametrize("marks", [True, False])
async def test_a_restart_of_dokploy_in_the_middle_is_said(world: DeployWorld, marks: bool) -> None:
    """`marks`: it marks what it left behind as cancelled; else the row says `running` for ever."""
    world.add("granada")
    async with world.running():
        await world.deploy("granada", key="k0")
        world.dokploy.hold_running()
        await world.order("granada", compose_file(world.image, api=FOREVER, web=FOREVER))
        await world.phase(["running"])
        await asyncio.to_thread(world.dokploy.restart, marks_leftovers=marks)
        deploy = await world.verdict()
        assert deploy.phase is DeployPhase.CANCELLED
        assert "before it changed anything" in say(deploy.message)


async def test_what_a_restart_of_dokploy_leaves_half_done_is_judged(world: DeployWorld) -> None:
    world.limit_s = 3.0
    half = compose_file(world.image, api=FOREVER, web=FOREVER)
    half += "    healthcheck: {test: ['CMD', 'false'], interval: 60s, retries: 9}\n"
    half += f"  last:\n    image: {world.image}\n    depends_on: {{web: {{condition: service_healthy}}}}\n"
    granada = world.add("granada", half)
    async with world.running():
        await world.order("granada")
        await world.phase(["running"])
        await eventually(lambda: len(world.watch.inventory().containers) == 3)
        await asyncio.to_thread(world.dokploy.restart)
        deploy = await world.verdict()
        assert deploy.phase is DeployPhase.CRASHED
        assert "granada didn't come up" in say(deploy.message)
        assert world.dokploy.deployments(granada)[0]["status"] == "cancelled"


async def test_dokploy_may_be_away_while_a_deploy_runs(world: DeployWorld) -> None:
    world.dokploy_settings["breaker_rest_s"] = 1.0
    world.add("granada")
    world.dokploy.hold_running()
    async with world.running():
        await world.order("granada")
        await world.phase(["running"])
        await asyncio.to_thread(world.dokploy.go_down)
        await eventually(lambda: any("I can't see how far granada is right now" in one for one in world.said()))
        world.dokploy.release_running()
        await asyncio.to_thread(world.dokploy.come_back)
        deploy = await world.verdict()
        assert deploy.phase is DeployPhase.GOOD
        assert deploy.window_s == world.window_s, "that it was seen late teaches nothing about its start"


async def test_a_restart_of_the_bot_while_it_runs_loses_nothing(world: DeployWorld) -> None:
    granada = world.add("granada")
    world.dokploy.hold_running()
    async with world.running():
        await world.order("granada")
        await world.phase(["running"])
    world.dokploy.release_running()
    await eventually(lambda: world.dokploy.deployments(granada)[0]["status"] == "done")
    async with world.running():
        assert (await world.verdict()).phase is DeployPhase.GOOD
        assert len(world.dokploy.asked("compose.deploy")) == 1


@pytest.mark.parametrize("restart", ["no", "always"])
async def test_a_crash_while_the_bot_was_away_is_seen(world: DeployWorld, restart: str) -> None:
    world.window_s = 8.0
    granada = world.add("granada", compose_file(world.image, restart=restart, api=ONCE.format(4)))
    async with world.running():
        await world.order("granada")
        await eventually(lambda: any(one.deploy.good_since for one in world.told))
        engine = world.engine
        (before,) = await world.containers(granada)
    async with world.running():
        await world.knowledge.runs.stop()

        async def crashed() -> bool:
            (now,) = await world.containers(granada)
            return not now.is_running or now.restart_count > 0

        await eventually(crashed)
    assert engine is not world.engine
    assert before.restart_count == 0
    async with world.running():
        deploy = await world.verdict()
        assert (deploy.phase, deploy.crashed) == (DeployPhase.CRASHED, ("api",))


@pytest.mark.parametrize(("program", "phase"), [(FOREVER, DeployPhase.GOOD), (CRASH, DeployPhase.CRASHED)])
async def test_a_host_that_is_not_watched_is_seen_through_dokploy(
    world: DeployWorld, program: str, phase: DeployPhase
) -> None:
    world.is_watched = False
    world.add("granada", compose_file(world.image, api=program))
    async with world.running():
        deploy = await world.deploy("granada")
        assert deploy.phase is phase, say(deploy.message)
        assert world.dokploy.asked("docker.getConfig")


async def test_a_rollback_that_crashes_goes_back_to_where_it_was(world: DeployWorld) -> None:
    good = compose_file(world.image, api=FOREVER)
    granada = world.add("granada", good)
    async with world.running():
        await world.deploy("granada", key="k0")
        deploy = await world.deploy("granada", compose_file(world.image, api=CRASH), what="rollback")
        assert deploy.phase is DeployPhase.CRASHED
        assert say(deploy.message).endswith("Rolling back to where it was.")
        undone = await world.verdict("k1:undo")
        assert undone.phase is DeployPhase.GOOD
        assert say(undone.message).startswith("granada is back to where it was: 1 of 1 service healthy")
        assert granada.row["composeFile"] == good
        call = await world.ended("k1:undo")
        assert (call.state, call.call.undo_of, call.call.actor.id) == (CallState.OK, "k1", "deploy")
        assert await world.knowledge.ledger.get("k1:undo:undo") is None


async def test_a_run_delivered_twice_is_done_once(world: DeployWorld) -> None:
    world.is_twice = True
    granada = world.add("granada")
    async with world.running():
        await world.deploy("granada", key="k0")
        deploy = await world.deploy("granada", compose_file(world.image, api=CRASH), what="rollback")
        assert deploy.phase is DeployPhase.CRASHED
        assert (await world.verdict("k1:undo")).phase is DeployPhase.GOOD
        assert len(world.dokploy.asked("compose.deploy")) == 3
        assert [one.verdict for one in await world.knowledge.versions.of(granada.id)] == ["good", "bad", "good"]


async def test_a_failed_rollback_asks_for_someone_to_look(world: DeployWorld) -> None:
    world.add("granada", compose_file(world.image, api=CRASH))
    async with world.running():
        await world.deploy("granada", key="k0")
        await world.deploy("granada", compose_file(world.image, api=CRASH, web=FOREVER), what="update")
        undone = await world.verdict("k1:undo")
        assert undone.phase is DeployPhase.CRASHED
        assert say(undone.message).endswith("The rollback failed too: someone needs to look.")
        assert await world.knowledge.ledger.get("k1:undo:undo") is None


async def test_another_deployment_within_the_window_leaves_the_verdict_open(world: DeployWorld) -> None:
    world.window_s = 8.0
    granada = world.add("granada")
    async with world.running():
        await world.order("granada")
        await eventually(lambda: any(one.deploy.good_since for one in world.told))
        await world.client.composes.update(granada.id, compose_file=compose_file(world.image, api=FOREVER + " "))
        await world.client.composes.deploy(granada.id, title="by somebody else")
        deploy = await world.verdict()
        assert deploy.phase is DeployPhase.UNKNOWN
        assert "Another deployment of granada started" in say(deploy.message)
        assert await world.good_versions("granada") == 0


# -- the quiet window --------------------------------------------------------------------------------------------------


async def test_a_crash_in_the_window_is_raised_at_the_verdict_and_not_before(world: DeployWorld) -> None:
    world.add("granada", compose_file(world.image, api="import time,sys; time.sleep(1); sys.exit(3)", web=FOREVER))
    async with world.running():
        deploy = await world.deploy("granada")
        assert deploy.phase is DeployPhase.CRASHED
        await eventually(world.opened)
        (opened,) = world.opened()
        assert opened.incident.target == "granada/api"
        assert deploy.over_at is not None
        assert opened.incident.opened_at >= deploy.over_at


async def test_a_good_deploy_over_running_containers_opens_nothing(world: DeployWorld) -> None:
    world.add("granada", compose_file(world.image, api=FOREVER))
    async with world.running():
        await world.deploy("granada", key="k0")
        await world.deploy("granada", compose_file(world.image, api=FOREVER + " ", web=FOREVER))
        assert world.opened() == []


def _alert(kind: AlertKind = AlertKind.CONTAINER_DIED, stack: str | None = "granada") -> Alert:
    when = datetime.now(UTC)
    return Alert(kind=kind, severity=Severity.CRITICAL, host="local", stack=stack, at=when, message=text("x.y"))


async def test_what_a_deploy_explains_is_planned_while_it_is_at_work(world: DeployWorld) -> None:
    world.add("granada")
    world.dokploy.hold_running()
    async with world.running():
        assert not world.runtime.is_planned(_alert())
        await world.order("granada")
        await world.phase(["running"])
        assert world.runtime.is_planned(_alert())
        assert not world.runtime.is_planned(_alert(stack="shop"))
        assert not world.runtime.is_planned(_alert(stack=None))
        assert not world.runtime.is_planned(_alert(AlertKind.DEPLOY_STUCK))
    async with world.running():
        assert world.runtime.is_planned(_alert()), "remembered over a restart"
        world.dokploy.release_running()
        await world.verdict()
        assert not world.runtime.is_planned(_alert())


async def test_somebody_elses_deployment_is_planned_too_until_it_is_stuck(world: DeployWorld) -> None:
    world.add("granada")
    now = datetime.now(UTC)
    running = Deployment(id="d", status=DeployStatus.RUNNING, started_at=now)
    world.others["granada"] = (running,)
    async with world.running():
        assert world.runtime.is_planned(_alert())
    world.dokploy_settings["stuck_after_s"] = 0.001
    async with world.running():
        assert not world.runtime.is_planned(_alert())
    world.others["granada"] = (Deployment(id="d", status=DeployStatus.DONE, started_at=now),)
    async with world.running():
        assert not world.runtime.is_planned(_alert())

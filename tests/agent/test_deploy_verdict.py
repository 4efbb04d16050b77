"""What is said of containers and of looks at the platform, in the cases that a real engine shows rarely."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from agent.deploys.deploy_progress import JOBLESS_LOOKS_LIMIT, DeployFollowState, advance_deploy
from agent.deploys.deploy_verdict import (
    DeployHealth,
    deploy_health,
    has_same_containers,
    running_image_ids,
    with_earlier_containers,
)
from core.deployments.deploys import Deploy, DeployObservation, DeployPhase
from core.deployments.platform import DeployStatus, ManagedKind
from core.monitoring.inventory import Container, ContainerState, Health
from core.settings import DokploySettings
from tests.agent.deploy_world import say
from tests.core.scripted_watcher import at, container

SETTINGS = DokploySettings.model_validate({"url": "http://127.0.0.1:3000", "api_key": "k-e-y", "never_after_s": 20})
TASK = "com.docker.swarm.task.name"


def a_deploy(**more: Any) -> Deploy:
    values: dict[str, Any] = {"managed_id": "c1", "stack": "shop", "app_name": "shop-x7", "type": "docker-compose"}
    values |= {"requested_by": "tg:1", "requested_name": "Ada", "ordered_at": at(0), "started_at": at(1)}
    values |= {"phase": DeployPhase.SETTLING, "platform_ended_at": at(10), "platform_status": DeployStatus.DONE}
    return Deploy(key="k1", title="mine", **{**values, **more})


def one(name: str = "shop-api-1", *, made_s: float = 5, **more: Any) -> Container:
    """A container that this deploy made."""
    return container(name, **{"created_at": at(made_s), "started_at": at(made_s), **more})


def ended(code: int = 1, *, when_s: float = 12, name: str = "shop-api-1", **more: Any) -> Container:
    return one(name, state=ContainerState.EXITED, exit_code=code, finished_at=at(when_s), **more)


def says(found: DeployHealth) -> str:
    return say(found.troubles[0].message) if found.troubles else ""


@pytest.mark.parametrize(
    ("seen", "sentence"),
    [
        (ended(3), "api exited (code 3) after 7 s"),
        (ended(137, oom_killed=True), "api was killed (out of memory, exit code 137)"),
        (ended(0, restart_policy="unless-stopped"), "api stopped although it should keep running"),
        (ended(143, restart_policy="always"), "api stopped although it should keep running"),
        (ended(143), "api exited (code 143) after 7 s"),
        (one(state=ContainerState.RESTARTING, exit_code=2), "api keeps restarting (last exit code 2)"),
        (one(state=ContainerState.DEAD, exit_code=1), "api exited (code 1)"),
        (one(health=Health.UNHEALTHY), "api is unhealthy"),
        (one(restart_count=1, started_at=at(11)), "api crashed and was restarted (1 time)"),
    ],
)
def test_a_container_that_failed_after_the_deploy_is_named(seen: Container, sentence: str) -> None:
    found = deploy_health(a_deploy(), [seen, one("shop-web-1")])
    assert says(found) == sentence
    assert (found.well, found.total) == (1, 2)


@pytest.mark.parametrize(
    "seen",
    [
        one(),
        one(health=Health.HEALTHY),
        ended(0),
        ended(0, restart_policy="on-failure"),
        one(restart_count=2, started_at=at(9)),
        ended(1, when_s=-50, made_s=-90),
        ended(1, labels={"com.docker.compose.oneoff": "True"}),
    ],
    ids=["runs", "healthy", "job done", "job done at last", "tried while others came up", "ended before", "one-off"],
)
def test_healthy_or_unrelated_containers_do_not_fail_a_deploy(seen: Container) -> None:
    assert deploy_health(a_deploy(), [seen, one("shop-web-1")]).is_well


def test_a_starting_container_is_waited_for() -> None:
    starting = deploy_health(a_deploy(), [one(health=Health.STARTING), one("shop-web-1")])
    assert (starting.is_well, starting.troubles, starting.well) == (False, (), 1)
    assert say(starting.pending) == "api hasn't passed its health check yet"
    created = deploy_health(a_deploy(), [one(state=ContainerState.CREATED)])
    assert say(created.pending) == "api is created"
    assert say(deploy_health(a_deploy(), []).pending) == "there is no container yet"


def test_after_the_first_look_no_restart_and_no_new_start_is_overlooked() -> None:
    known = one(restart_count=2)
    deploy = a_deploy(restarts={known.id: 2}, starts={known.id: at(5)})
    assert deploy_health(deploy, [known]).is_well
    assert (
        says(deploy_health(deploy, [one(restart_count=3, started_at=at(20))]))
        == "api crashed and was restarted (1 time)"
    )
    assert says(deploy_health(deploy, [one(restart_count=2, started_at=at(20))])) == "api was started again"
    gone = deploy_health(deploy, [one("shop-web-1")])
    assert says(gone) == "1 container disappeared"
    late = one("shop-web-1", restart_count=1, started_at=at(6))
    assert says(deploy_health(deploy, [known, late])) == "web crashed and was restarted (1 time)"


def test_an_untouched_container_may_not_gain_restarts() -> None:
    old = one(made_s=-100, restart_count=4)
    assert deploy_health(a_deploy(containers_before={old.id: 4}), [old]).is_well
    assert not deploy_health(a_deploy(containers_before={old.id: 3}), [old]).is_well


def task(slot: int, letter: str, **more: Any) -> Container:
    name = f"shop-x7_api.{slot}.{letter * 8}"
    return one(name, service="api", labels={TASK: name}, **more)


def test_swarm_replaces_tasks_in_its_own_time() -> None:
    swarm = a_deploy(type="stack")
    old = task(1, "a", made_s=-100, state=ContainerState.EXITED, exit_code=143, finished_at=at(11))
    new = task(1, "b", made_s=11)
    assert deploy_health(with_earlier_containers(swarm, [old, new]), [old, new]).is_well
    assert deploy_health(a_deploy(type="stack", restarts={old.id: 0}, containers_before={old.id: 0}), [new]).is_well
    crashed = task(1, "c", made_s=6, state=ContainerState.EXITED, exit_code=1, finished_at=at(9))
    assert says(deploy_health(swarm, [crashed, new])) == "api exited (code 1) after 3 s"
    assert says(deploy_health(a_deploy(type="stack", restarts={crashed.id: 0}), [new])) == "1 container disappeared"
    both = deploy_health(a_deploy(type="", managed_kind=ManagedKind.APPLICATION), [task(1, "d"), task(2, "e")])
    assert (both.is_well, len(both.containers), both.total) == (True, 2, 1)


def test_what_a_cut_off_deploy_left_untouched_is_told_from_what_it_changed() -> None:
    old, new = one(made_s=-100), one("shop-web-1")
    deploy = a_deploy(containers_before={old.id: 0})
    assert has_same_containers(deploy, [old])
    assert not has_same_containers(deploy, [old, new])
    assert not has_same_containers(deploy, [])
    assert not has_same_containers(deploy, [one(made_s=-100, restart_count=1)])
    assert has_same_containers(with_earlier_containers(a_deploy(), [old]), [old]), (
        "what ran before could not be seen then"
    )
    assert not has_same_containers(with_earlier_containers(a_deploy(), [new]), [new])
    assert has_same_containers(a_deploy(), [])


def test_the_images_that_ran_are_told_by_service() -> None:
    seen = [one(image_id="sha256:1"), one("shop-web-1", image_id="sha256:2"), one("shop-db-1")]
    assert running_image_ids(seen) == {"api": "sha256:1", "web": "sha256:2"}


# -- looks at the platform ---------------------------------------------------------------------------------------------


def look(**more: Any) -> DeployObservation:
    return DeployObservation(at=at(0), **more)


def step(deploy: Deploy, seen: DeployFollowState, now_s: float, **more: Any) -> Deploy:
    return advance_deploy(deploy, look(**more), seen, at(now_s), (), SETTINGS)


def waiting(**more: Any) -> Deploy:
    none: dict[str, Any] = {"started_at": None, "platform_ended_at": None, "platform_status": DeployStatus.UNKNOWN}
    return a_deploy(**{"phase": DeployPhase.WAITING, **none, **more})


def test_a_deploy_counts_as_never_arrived_only_after_long_enough() -> None:
    assert step(waiting(), DeployFollowState(answers_since=at(0)), 19).phase is DeployPhase.WAITING
    assert step(waiting(), DeployFollowState(answers_since=at(0)), 20).phase is DeployPhase.NEVER
    assert step(waiting(), DeployFollowState(answers_since=at(90)), 100).phase is DeployPhase.WAITING, (
        "it did not answer till then"
    )


def test_a_deploy_counts_as_cancelled_after_two_looks_without_it() -> None:
    seen = DeployFollowState(answers_since=at(0))
    known = step(waiting(), seen, 1, job_seen=True, ahead=2)
    assert (known.job_seen_at, known.ahead) == (at(1), 2)
    once = step(known, seen, 2)
    assert once.phase is DeployPhase.WAITING
    assert step(once, seen, 3).phase is DeployPhase.CANCELLED
    begun = step(once, seen, 3, deployment_id="d1", status=DeployStatus.RUNNING, job_seen=True)
    assert (begun.phase, begun.deployment_id, begun.ahead) == (DeployPhase.RUNNING, "d1", None)


def test_a_row_that_runs_without_a_job_is_given_up_and_the_containers_are_asked() -> None:
    seen, deploy = DeployFollowState(answers_since=at(0)), waiting(job_seen_at=at(1))
    for number in range(JOBLESS_LOOKS_LIMIT):
        assert deploy.phase is not DeployPhase.SETTLING
        deploy = step(deploy, seen, number, deployment_id="d1", status=DeployStatus.RUNNING)
    assert (deploy.phase, deploy.platform_status) == (DeployPhase.SETTLING, DeployStatus.RUNNING)


def test_a_row_that_vanishes_leaves_the_containers_to_be_asked() -> None:
    seen, deploy = (
        DeployFollowState(answers_since=at(0)),
        waiting(job_seen_at=at(1), deployment_id="d1", phase=DeployPhase.RUNNING),
    )
    deploy = step(step(deploy, seen, 2), seen, 3)
    assert (deploy.phase, deploy.platform_status) == (DeployPhase.SETTLING, DeployStatus.UNKNOWN)


def test_a_failure_without_a_line_says_so() -> None:
    deploy = step(waiting(), DeployFollowState(), 5, deployment_id="d1", status=DeployStatus.ERROR)
    assert (deploy.phase, deploy.over_at) == (DeployPhase.FAILED, at(5))
    assert say(deploy.message) == "The deployment of shop failed, and its log gives no reason."


def test_the_moment_of_the_end_is_the_platforms() -> None:
    moment: datetime = at(0) + timedelta(seconds=4)
    deploy = step(waiting(), DeployFollowState(), 5, deployment_id="d1", status=DeployStatus.DONE, finished_at=moment)
    assert (deploy.phase, deploy.platform_ended_at) == (DeployPhase.SETTLING, moment)


@pytest.mark.parametrize("ahead_s", [600, -600])
@pytest.mark.parametrize("engine_s", [0, 600, -600])
def test_what_crashed_in_the_deploy_counts_whatever_the_clocks_say(ahead_s: float, engine_s: float) -> None:
    """The platform's clock is ten minutes off, and so may be that of the machine it deploys on."""
    ordered = a_deploy(phase=DeployPhase.WAITING, started_at=None, platform_ended_at=None, containers_before={"old": 0})
    look = DeployObservation(at=at(4), deployment_id="d1", status=DeployStatus.RUNNING, started_at=at(1 + ahead_s))
    running = advance_deploy(ordered, look, DeployFollowState(), at(4), (), SETTINGS)
    done = DeployObservation(
        at=at(9),
        deployment_id="d1",
        status=DeployStatus.DONE,
        started_at=at(1 + ahead_s),
        finished_at=at(8 + ahead_s),
    )
    settling = advance_deploy(running, done, DeployFollowState(), at(9), (), SETTINGS)
    crashed = ended(1, made_s=5 + engine_s, when_s=8 + engine_s)
    assert "api exited (code 1)" in says(deploy_health(settling, [crashed, one("shop-web-1")]))

"""One table says what a container's facts mean; every place that judges or shows one keeps to it."""

from __future__ import annotations

from typing import Any

import pytest

from core.monitoring.inventory import ContainerState, Health, Service, Stack
from core.monitoring.status import ONE_OFF, Status, status_of, status_of_all, worst_of
from tests.core.scripted_watcher import container

RUNNING, EXITED, CREATED = ContainerState.RUNNING, ContainerState.EXITED, ContainerState.CREATED
ALWAYS, UNLESS, ON_FAILURE = "always", "unless-stopped", "on-failure"

TABLE: list[tuple[Status, dict[str, Any]]] = [
    (Status.WELL, {"state": RUNNING}),
    (Status.WELL, {"state": RUNNING, "health": Health.HEALTHY}),
    (Status.WELL, {"state": RUNNING, "restart_count": 7}),
    (Status.STARTING, {"state": RUNNING, "health": Health.STARTING}),
    (Status.UNHEALTHY, {"state": RUNNING, "health": Health.UNHEALTHY}),
    (Status.PAUSED, {"state": ContainerState.PAUSED}),
    (Status.PAUSED, {"state": ContainerState.PAUSED, "health": Health.UNHEALTHY}),
    (Status.RESTARTING, {"state": ContainerState.RESTARTING, "exit_code": 0, "restart_policy": ALWAYS}),
    (Status.RESTARTING, {"state": ContainerState.RESTARTING, "exit_code": 1, "restart_policy": ON_FAILURE}),
    (Status.REMOVING, {"state": ContainerState.REMOVING, "exit_code": 137}),
    (Status.FAILED, {"state": ContainerState.DEAD, "exit_code": 0}),
    (Status.CREATED, {"state": CREATED}),
    (Status.FAILED, {"state": CREATED, "error": "no such file", "exit_code": 127}),
    (Status.FINISHED, {"state": EXITED, "exit_code": 0}),
    (Status.FINISHED, {"state": EXITED, "exit_code": 0, "restart_policy": ""}),
    (Status.FINISHED, {"state": EXITED, "exit_code": 0, "restart_policy": ON_FAILURE}),
    (Status.FINISHED, {"state": EXITED, "exit_code": 0, "restart_policy": ALWAYS, "labels": {ONE_OFF: "True"}}),
    (Status.STOPPED, {"state": EXITED, "exit_code": 0, "restart_policy": ALWAYS}),
    (Status.STOPPED, {"state": EXITED, "exit_code": 0, "restart_policy": UNLESS}),
    (Status.STOPPED, {"state": EXITED, "exit_code": 143}),
    (Status.STOPPED, {"state": EXITED, "exit_code": 130, "restart_policy": UNLESS}),
    (Status.STOPPED, {"state": EXITED, "exit_code": None}),
    (Status.FAILED, {"state": EXITED, "exit_code": 1}),
    (Status.FAILED, {"state": EXITED, "exit_code": 137, "restart_policy": UNLESS}),
    (Status.FAILED, {"state": EXITED, "exit_code": 0, "oom_killed": True}),
    (Status.FAILED, {"state": EXITED, "exit_code": 0, "error": "mount failed"}),
]


@pytest.mark.parametrize(("expected", "facts"), TABLE, ids=[f"{one}-{place}" for place, (one, _) in enumerate(TABLE)])
def test_a_container_is_what_its_facts_say(expected: Status, facts: dict[str, Any]) -> None:
    assert status_of(container(**facts)) is expected


def test_every_status_stands_in_the_table() -> None:
    assert {one for one, _ in TABLE} == set(Status)


def test_what_is_fine_and_what_others_may_rely_on() -> None:
    assert {one for one in Status if one.is_fine} == {Status.WELL, Status.FINISHED}
    assert {one for one in Status if one.is_serving} == {Status.WELL, Status.STARTING}


def test_a_service_and_a_stack_are_as_their_worst_container_is() -> None:
    well = container("shop-web-1")
    job = container("shop-job-1", state=EXITED, exit_code=0)
    down = container("shop-api-1", state=EXITED, exit_code=0, restart_policy=ALWAYS)
    sick = container("shop-api-2", health=Health.UNHEALTHY)
    web, jobs = (Service(host="local", stack="shop", name=one.service, containers=(one,)) for one in (well, job))
    api = Service(host="local", stack="shop", name="api", containers=(down, sick))
    assert (status_of_all(web), status_of_all(jobs), status_of_all(api)) == ("well", "finished", "unhealthy")
    assert worst_of(api.containers) == sick
    assert status_of_all(Stack(host="local", name="shop", services=(web, jobs))) is Status.FINISHED
    assert status_of_all(Stack(host="local", name="shop", services=(web, jobs, api))) is Status.UNHEALTHY
    assert status_of_all(Stack(host="local", name="shop", services=())) is None

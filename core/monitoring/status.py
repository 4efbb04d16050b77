"""The status of a container, and of what consists of several: well, starting, finished, down; one rule for all.

| status     | when                                                                                                  |
|------------|-------------------------------------------------------------------------------------------------------|
| well       | it runs; its health check has passed, or it has none                                                  |
| starting   | it runs; its health check has not passed yet                                                          |
| unhealthy  | it runs; its health check fails                                                                       |
| paused     | frozen until somebody resumes it                                                                      |
| restarting | the engine waits before it starts it again                                                            |
| failed     | it ended with an error or for want of memory, could not be started, or is dead                        |
| stopped    | it ended on request: by SIGINT or SIGTERM, or with 0 although its restart policy would bring it back  |
| finished   | a job that is done: it ended with 0, and no restart policy brings it back                             |
| created    | it was made and has never been started                                                                |
| removing   | on its way out                                                                                        |

137 is `failed`: a kill for memory, a kill by hand, and a stop of a program that does not listen all leave it, and only
events tell them apart (`core.endings`). A repair is for something that is to run: there, `finished` is not enough.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from core.monitoring.inventory import Container, ContainerState, Health, Stack, Target

ONE_OFF = "com.docker.compose.oneoff"  # label of what `docker compose run` made
JOB_POLICIES = ("", "no", "on-failure")
"""Restart policies that leave a container alone after exit code 0."""
ENDED_ON_REQUEST = (130, 143)
"""128 + SIGINT, 128 + SIGTERM."""


class Status(StrEnum):
    """How a container is, the worst first."""

    RESTARTING = "restarting"
    FAILED = "failed"
    UNHEALTHY = "unhealthy"
    PAUSED = "paused"
    STARTING = "starting"
    REMOVING = "removing"
    STOPPED = "stopped"
    CREATED = "created"
    FINISHED = "finished"
    WELL = "well"

    @property
    def is_fine(self) -> bool:
        """Whether it is as it should be, now and for good."""
        return self in (Status.WELL, Status.FINISHED)

    @property
    def is_serving(self) -> bool:
        """Whether it runs and nothing speaks against it: others may rely on it, or soon will."""
        return self in (Status.WELL, Status.STARTING)


_SEVERITY = {status: place for place, status in enumerate(Status)}
_OF_STATE = {
    ContainerState.PAUSED: Status.PAUSED,
    ContainerState.RESTARTING: Status.RESTARTING,
    ContainerState.REMOVING: Status.REMOVING,
    ContainerState.DEAD: Status.FAILED,
}
_OF_HEALTH = {Health.UNHEALTHY: Status.UNHEALTHY, Health.STARTING: Status.STARTING}


def status_of(container: Container) -> Status:
    """The status by the table above."""
    if container.is_running:
        return _OF_HEALTH.get(container.health, Status.WELL)
    if container.state is ContainerState.CREATED:
        return Status.FAILED if container.error else Status.CREATED
    return _OF_STATE.get(container.state) or _of_exited(container)


def _of_exited(container: Container) -> Status:
    if container.oom_killed or container.error:
        return Status.FAILED
    if container.exit_code == 0 and (container.restart_policy in JOB_POLICIES or is_one_off(container)):
        return Status.FINISHED
    if container.exit_code in (0, None, *ENDED_ON_REQUEST):
        return Status.STOPPED
    return Status.FAILED


def is_one_off(container: Container) -> bool:
    """Whether `docker compose run` made it: nothing that its stack has to keep up."""
    return container.labels.get(ONE_OFF, "").casefold() == "true"


def worst_of(containers: Iterable[Container]) -> Container | None:
    """The container that is worst off, the first of several; None: there is none."""
    return min(containers, key=lambda one: _SEVERITY[status_of(one)], default=None)


def status_of_all(target: Target) -> Status | None:
    """A service or stack is as its worst container is; None: it has none."""
    services = target.services if isinstance(target, Stack) else (target,)
    worst = worst_of(container for service in services for container in service.containers)
    return None if worst is None else status_of(worst)

"""Status of a container, and of a service or stack: well, starting, finished, down; one rule for all.

| status     | condition                                                                                             |
|------------|-------------------------------------------------------------------------------------------------------|
| well       | it runs; its health check has passed, or it has none                                                  |
| starting   | it runs; its health check has not passed yet                                                          |
| unhealthy  | it runs; its health check fails                                                                       |
| paused     | frozen until somebody resumes it                                                                      |
| restarting | the engine waits before it starts it again                                                            |
| failed     | it ended with an error, was killed for memory, could not be started, or is dead                       |
| stopped    | it ended on request: by SIGINT or SIGTERM, or with 0 although its restart policy would restart it     |
| finished   | a job that is done: it ended with 0, and no restart policy restarts it                                |
| created    | it was created and has never been started                                                             |
| removing   | it is being removed                                                                                   |

137 is `failed`: an OOM kill, a kill by hand, and a stop of a program that ignores the signal all leave it, and only
events tell them apart (`core/monitoring/exits.py`). `finished` is not enough for a repaired service, which must run.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from core.monitoring.inventory import Container, ContainerState, Health, Stack, Target

ONE_OFF = "com.docker.compose.oneoff"  # label of what `docker compose run` made
JOB_POLICIES = ("", "no", "on-failure")
"""Restart policies that do not restart a container after exit code 0."""
ENDED_ON_REQUEST = (130, 143)
"""128 + SIGINT, 128 + SIGTERM."""


class Status(StrEnum):
    """Status of a container, the worst first."""

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
        """True if it is as it should be and will stay so."""
        return self in (Status.WELL, Status.FINISHED)

    @property
    def is_serving(self) -> bool:
        """True if it runs and nothing contradicts that: dependants can use it, or soon will."""
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
    """Return the status by the table above."""
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
    """Return whether `docker compose run` created it, so that its stack does not need it."""
    return container.labels.get(ONE_OFF, "").casefold() == "true"


def worst_of(containers: Iterable[Container]) -> Container | None:
    """Return the container with the worst status, the first of several; None: there is none."""
    return min(containers, key=lambda one: _SEVERITY[status_of(one)], default=None)


def status_of_all(target: Target) -> Status | None:
    """Return the status of a service or stack, which is its worst container's; None: it has none."""
    services = target.services if isinstance(target, Stack) else (target,)
    worst = worst_of(container for service in services for container in service.containers)
    return None if worst is None else status_of(worst)

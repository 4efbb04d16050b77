"""Judges a deploy by its containers, from the platform's end to the end of the window."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from agent.deploys.deploy_progress import DeployFollowState, ended_deploy
from agent.incident.incident_deps import LearntStartTimes, WatchedHosts
from agent.incident.verification import verification_window_s
from core.clock import Clock
from core.deployments.deploys import Deploy, DeployKind, DeployPhase, DeployPlatform
from core.deployments.platform import DeployStatus, ManagedKind
from core.errors import GuardianError
from core.monitoring.inventory import Container, ContainerState
from core.monitoring.status import JOB_POLICIES, Status, is_one_off, status_of
from core.settings import VerificationSettings
from core.text import Text, text

DETAILS_LIMIT_S = 1.0
"""Longest delay of a verdict for details that only explain it."""
NO_CONTAINERS_AFTER_S = 6.0
"""`up` creates its containers before it ends: none this long after means none at all."""
OTHERS_NAMED = 4
TASK_NAME_LABEL = "com.docker.swarm.task.name"
SIGNAL_EXIT_CODES = (137, 143)
"""Exit codes of containers ended by a signal. The engine restarts a crashed container, not a stopped one."""
_ENDED = (ContainerState.EXITED, ContainerState.DEAD)


@dataclass(frozen=True, kw_only=True)
class DeployJudge:
    """Judges the containers of deploys."""

    platform: DeployPlatform
    watch: WatchedHosts
    start_times: LearntStartTimes
    clock: Clock
    settings: VerificationSettings

    async def look(self, deploy: Deploy, seen: DeployFollowState) -> tuple[Deploy, tuple[Container, ...]]:
        """Judge by the containers: bad as soon as one fails, good only by a look after the whole window."""
        began = self.clock.now()
        containers = await self.containers(deploy)
        now = self.clock.now()
        seen.blind_since = seen.refused_since = None
        seen.settling_since = seen.settling_since or now
        is_first = not deploy.restarts
        deploy = with_earlier_containers(deploy, containers)
        if is_first and deploy.platform_status is not DeployStatus.DONE and has_same_containers(deploy, containers):
            message = text("deploys.cancelled_untouched", stack=deploy.stack)
            return ended_deploy(deploy, DeployPhase.CANCELLED, self.clock.now(), message), ()
        found = deploy_health(deploy, containers)
        _note(found, seen, now)
        if found.troubles:
            return await self._bad(deploy, found), found.containers
        if is_first:
            deploy = _with_baseline(deploy, found)
        if found.pending is not None:
            late_s = (now - seen.settling_since).total_seconds()
            return self._pending(deploy, found, found.pending, late_s), found.containers
        return await self._holding(deploy, found, seen, began, now), found.containers

    async def containers(self, deploy: Deploy) -> Sequence[Container]:
        """Return the containers as of now, from the watched host or else from the platform."""
        watch = self.watch
        hosts = [one.name for one in watch.inventory().hosts if not one.is_platform]
        wanted = [one for one in hosts if deploy.host in (None, one)]
        await asyncio.gather(*(watch.refresh(one) for one in wanted))
        inventory = watch.inventory()
        seen_hosts = {one.name for one in inventory.hosts if one.is_reachable and not one.is_platform}
        if deploy.host is not None:
            seen_hosts &= {deploy.host}
        found = [one for one in inventory.containers if one.project == deploy.app_name and one.host in seen_hosts]
        return found or await self.platform.containers(deploy)

    async def _bad(self, deploy: Deploy, found: DeployHealth) -> Deploy:
        what = _what(found)
        deploy = replace(deploy, crashed=tuple(dict.fromkeys(one.service for one in found.troubles if one.service)))
        if await self._is_superseded(deploy):
            message = text("deploys.superseded", stack=deploy.stack, what=what)
            return ended_deploy(deploy, DeployPhase.UNKNOWN, self.clock.now(), message)
        message = text("deploys.crashed", stack=deploy.stack, what=what)
        return ended_deploy(deploy, DeployPhase.CRASHED, self.clock.now(), message)

    async def _is_superseded(self, deploy: Deploy) -> bool:
        """Return whether another's deployment is replacing its containers; their end is no crash then."""
        try:
            async with asyncio.timeout(DETAILS_LIMIT_S):
                return (await self.platform.look(deploy)).is_superseded
        except (GuardianError, TimeoutError):
            return False

    def _pending(self, deploy: Deploy, found: DeployHealth, waits: Text, late_s: float) -> Deploy:
        is_nothing = not found.containers and not is_swarm_deploy(deploy)
        limit_s = NO_CONTAINERS_AFTER_S if is_nothing else self.settings.limit_s
        if late_s <= limit_s:
            message = text("deploys.comes_up", stack=deploy.stack, well=found.well, total=found.total, what=waits)
            return replace(deploy, good_since=None, message=message)
        if is_nothing:
            return ended_deploy(
                deploy, DeployPhase.FAILED, self.clock.now(), text("deploys.nothing", stack=deploy.stack)
            )
        what = text("deploys.bad.never_up", limit=round(limit_s), what=waits)
        message = text("deploys.not_up", stack=deploy.stack, what=what)
        return ended_deploy(deploy, DeployPhase.CRASHED, self.clock.now(), message)

    async def _holding(
        self, deploy: Deploy, found: DeployHealth, seen: DeployFollowState, began: datetime, now: datetime
    ) -> Deploy:
        """Judge healthy containers by how long they have held, up to the start of this look."""
        since = deploy.good_since
        if since is None or {one.id for one in found.containers} != set(deploy.restarts):
            since = now
            deploy = _with_baseline(deploy, found)
            await self._learn(deploy, found, seen)
        learnt = [await self.start_times.typical(_service(deploy, one)) for one in found.containers]
        window = verification_window_s(
            list(found.containers), max((one or 0.0 for one in learnt), default=0.0), self.settings
        )
        window = max(window, deploy.window_s)
        values: dict[str, str | int] = {"stack": deploy.stack, "well": found.well, "total": found.total}
        deploy = replace(
            deploy,
            good_since=since,
            window_s=window,
            message=Text("deploys.settles", {**values, "window": round(window)}),
        )
        held_s = (began - since).total_seconds()
        if held_s < window:
            return deploy
        if deploy.platform_status is not DeployStatus.DONE:
            return ended_deploy(deploy, DeployPhase.UNKNOWN, self.clock.now(), Text("deploys.cut_off_well", values))
        took = round((now - deploy.ordered_at).total_seconds())
        key = "deploys.good_back" if deploy.what is DeployKind.ROLLBACK else "deploys.good"
        message = Text(key, {**values, "held": round(held_s), "took": took})
        return ended_deploy(deploy, DeployPhase.GOOD, self.clock.now(), message)

    async def _learn(self, deploy: Deploy, found: DeployHealth, seen: DeployFollowState) -> None:
        """Learn the start times of the containers that were seen both before and after they were well."""
        for one in found.containers:
            at = seen.well_at.get(one.id)
            if at is not None and one.started_at is not None:
                took_s = max((at - one.started_at).total_seconds(), 0.0)
                await self.start_times.learn(_service(deploy, one), took_s)


def _note(found: DeployHealth, seen: DeployFollowState, now: datetime) -> None:
    """Note which containers are coming up and when they were well, except those well at the first look."""
    for one in found.containers:
        if status_of(one) in (Status.STARTING, Status.UNHEALTHY):
            seen.coming_up.add(one.id)
        elif one.id in seen.coming_up and is_container_up(one):
            seen.well_at.setdefault(one.id, now)


def _with_baseline(deploy: Deploy, found: DeployHealth) -> Deploy:
    """Return the deploy with a baseline of its containers, after which none may restart."""
    return replace(
        deploy,
        restarts={one.id: one.restart_count for one in found.containers},
        starts={one.id: one.started_at for one in found.containers if one.started_at is not None},
    )


def _service(deploy: Deploy, container: Container) -> str:
    return f"{deploy.stack}/{container.service}"


def _what(found: DeployHealth) -> Text:
    """Describe the first problem and name the other services that have one."""
    first, *others = found.troubles
    names = list(dict.fromkeys(one.service for one in others if one.service and one.service != first.service))
    if not names:
        return first.message
    return text("deploys.bad.and_others", what=first.message, others=", ".join(names[:OTHERS_NAMED]))


# -- one look ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class DeployProblem:
    """A service that failed, or whose container is gone."""

    service: str
    """Empty when the container's service is unknown."""
    message: Text


@dataclass(frozen=True, kw_only=True)
class DeployHealth:
    """Health of the containers at one look."""

    containers: tuple[Container, ...]
    """The containers that are judged."""
    total: int
    """Number of services."""
    well: int
    troubles: tuple[DeployProblem, ...]
    pending: Text | None
    """The first thing that is not well yet but may become so, or None."""

    @property
    def is_well(self) -> bool:
        """Return whether every container is well."""
        return not self.troubles and self.pending is None


def deploy_health(deploy: Deploy, containers: Iterable[Container]) -> DeployHealth:
    """Judge one look against the baseline of the first one, `deploy.restarts` and `deploy.starts`."""
    seen = [one for one in containers if not is_one_off(one)]
    counted, replaced = _counted(deploy, seen)
    troubles = [found for one in counted if (found := _trouble(deploy, one)) is not None]
    troubles += [_exited(one) for one in replaced]
    troubles += _gone(deploy, seen)
    services: dict[str, bool] = defaultdict(lambda: True)
    bad = {trouble.service for trouble in troubles}
    waits = {one.service: wait for one in counted if (wait := _waits_for(one)) is not None}
    for one in counted:
        services[one.service] &= one.service not in bad and one.service not in waits
    pending = next(iter(waits.values()), None) if counted else text("deploys.wait.nothing")
    return DeployHealth(
        containers=tuple(counted),
        total=len(services),
        well=sum(services.values()),
        troubles=tuple(troubles),
        pending=pending,
    )


def with_earlier_containers(deploy: Deploy, containers: Iterable[Container]) -> Deploy:
    """Return the deploy with the containers made before it began, if they could not be seen then."""
    if deploy.containers_before:
        return deploy
    before = {one.id: one.restart_count for one in containers if _is_after(_began(deploy), one.created_at)}
    return replace(deploy, containers_before=before)


def has_same_containers(deploy: Deploy, containers: Iterable[Container]) -> bool:
    """Return whether the containers are those from before the deploy, untouched."""
    before = deploy.containers_before
    now = {one.id: one for one in containers if not is_one_off(one)}
    made = [one for key, one in now.items() if key not in before and not _ended_before(one, deploy)]
    return not made and all(key in now and now[key].restart_count == count for key, count in before.items())


def is_container_up(container: Container) -> bool:
    """Return whether it runs and its health check, if it has one, has passed."""
    return status_of(container) is Status.WELL


def is_swarm_deploy(deploy: Deploy) -> bool:
    """Return whether Swarm brings it up, in its own time after the platform's command has ended."""
    return deploy.type == "stack" or deploy.managed_kind is ManagedKind.APPLICATION


def running_image_ids(containers: Iterable[Container]) -> dict[str, str]:
    """Return the id of the running image by service."""
    return {one.service: one.image_id for one in containers if one.image_id}


def _counted(deploy: Deploy, containers: Sequence[Container]) -> tuple[list[Container], list[Container]]:
    """Return the containers to judge, and those of this deploy that ended and were replaced by Swarm.

    Left out: what had ended before the deploy and was not touched by it, and Swarm's history of earlier tasks.
    """
    living = [one for one in containers if not _ended_before(one, deploy)]
    if not is_swarm_deploy(deploy):
        return living, []
    newest = {_slot(one): one for one in sorted(living, key=_made)}
    kept = list(newest.values())
    before = [one for one in living if one not in kept]
    return kept, [one for one in before if one.id not in deploy.containers_before and one.state in _ENDED]


def _began(deploy: Deploy) -> datetime:
    return deploy.started_at or deploy.ordered_at


def _ended_before(one: Container, deploy: Deploy) -> bool:
    """Return whether it ended before the deploy began; one that was not there then did not, whatever the clocks say."""
    may_have = not deploy.containers_before or one.id in deploy.containers_before
    return may_have and one.state in _ENDED and _is_after(_began(deploy), one.finished_at)


def _slot(container: Container) -> str:
    """Return the slot of a task named `<service>.<slot>.<task id>`."""
    return container.labels.get(TASK_NAME_LABEL, container.name).rpartition(".")[0] or container.name


def _made(container: Container) -> float:
    return container.created_at.timestamp() if container.created_at else 0.0


def _trouble(deploy: Deploy, one: Container) -> DeployProblem | None:
    if one.state is ContainerState.RESTARTING:
        return DeployProblem(
            service=one.service, message=text("deploys.bad.restarting", service=one.service, code=one.exit_code)
        )
    if one.state in _ENDED:
        is_finished = status_of(one) is Status.FINISHED
        return None if is_finished and not _has_restarted(deploy, one) else _exited(one)
    if (count := _has_restarted(deploy, one)) > 0:
        return DeployProblem(
            service=one.service, message=text("deploys.bad.restarted", service=one.service, count=count)
        )
    began = deploy.starts.get(one.id)
    if began is not None and one.started_at is not None and one.started_at != began:
        return DeployProblem(service=one.service, message=text("deploys.bad.started_again", service=one.service))
    if status_of(one) is Status.UNHEALTHY:
        return DeployProblem(service=one.service, message=text("deploys.bad.unhealthy", service=one.service))
    return None


def _has_restarted(deploy: Deploy, one: Container) -> int:
    """Return how often it was restarted since the judging began.

    At the first look this is counted from the run before; for a new container only when its present run began
    after the platform was done: its attempts before that, while others came up, are no crashes.
    """
    known = deploy.restarts.get(one.id, deploy.containers_before.get(one.id))
    if known is None:
        is_new = bool(deploy.restarts) or _is_after(one.started_at, deploy.platform_ended_at)
        known = 0 if is_new else one.restart_count
    return max(one.restart_count - known, 0)


def _is_after(one: datetime | None, other: datetime | None) -> bool:
    return one is not None and other is not None and one > other


def _exited(one: Container) -> DeployProblem:
    values: dict[str, str | int | float | None] = {"service": one.service, "code": one.exit_code}
    if one.started_at and one.finished_at and one.finished_at > one.started_at:
        values["seconds"] = round((one.finished_at - one.started_at).total_seconds(), 1)
    if one.oom_killed:
        return DeployProblem(service=one.service, message=text("deploys.bad.out_of_memory", **values))
    if one.exit_code == 0 or (one.exit_code in SIGNAL_EXIT_CODES and one.restart_policy not in JOB_POLICIES):
        return DeployProblem(service=one.service, message=text("deploys.bad.stopped", **values))
    key = "deploys.bad.exited" if "seconds" in values else "deploys.bad.exited_at_once"
    return DeployProblem(service=one.service, message=text(key, **values))


def _gone(deploy: Deploy, containers: Sequence[Container]) -> list[DeployProblem]:
    """Return a problem for each container gone since the first look, except old ones that Swarm removes later."""
    expected = set(deploy.restarts) - (set(deploy.containers_before) if is_swarm_deploy(deploy) else set())
    missing = expected - {one.id for one in containers}
    if not missing:
        return []
    return [DeployProblem(service="", message=text("deploys.bad.gone", count=len(missing)))]


def _waits_for(one: Container) -> Text | None:
    if status_of(one) is Status.STARTING:
        return text("deploys.wait.health", service=one.service)
    if one.state in (ContainerState.CREATED, ContainerState.PAUSED, ContainerState.REMOVING):
        return text("deploys.wait.state", service=one.service, state=one.state)
    return None

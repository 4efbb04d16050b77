"""Judges a deploy by its containers from the platform's end on, until they have held over the window or one did not."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from agent.deploys.deploy_progress import DeployFollowState, over
from agent.deploys.deploy_verdict import DeployHealth, is_swarm, is_unchanged, is_up, standing, with_before
from agent.incident.incident_deps import LearntStartTimes, WatchView
from agent.incident.verification import window_s
from core.clock import Clock
from core.deployments.deploys import Deploy, DeployKind, DeployPhase, DeployPlatform
from core.deployments.platform import DeployStatus
from core.errors import GuardianError
from core.monitoring.inventory import Container
from core.monitoring.status import Status, status_of
from core.settings import VerificationSettings
from core.text import Text, text

GLANCE_S = 1.0
"""How long a verdict may wait for what would only explain it."""
NOTHING_AFTER_S = 6.0
"""`up` has created its containers when it ends: none so long after is none at all."""
OTHERS_NAMED = 4


@dataclass(frozen=True, kw_only=True)
class DeployVerification:
    """Looks at the containers of deploys."""

    platform: DeployPlatform
    watch: WatchView
    start_times: LearntStartTimes
    clock: Clock
    settings: VerificationSettings

    async def look(self, deploy: Deploy, seen: DeployFollowState) -> tuple[Deploy, tuple[Container, ...]]:
        """Judge by the containers: bad as soon as one did not hold, good only by a look after the whole window."""
        began = self.clock.now()
        containers = await self.containers(deploy)
        now = self.clock.now()
        seen.blind_since = seen.refused_since = None
        seen.settling_since = seen.settling_since or now
        is_first = not deploy.restarts
        deploy = with_before(deploy, containers)
        if is_first and deploy.platform_status is not DeployStatus.DONE and is_unchanged(deploy, containers):
            says = text("deploys.cancelled_untouched", stack=deploy.stack)
            return over(deploy, DeployPhase.CANCELLED, self.clock.now(), says), ()
        found = standing(deploy, containers)
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
        """Looked at now: on the watched host, else as the platform sees them."""
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
            says = text("deploys.superseded", stack=deploy.stack, what=what)
            return over(deploy, DeployPhase.UNKNOWN, self.clock.now(), says)
        says = text("deploys.crashed", stack=deploy.stack, what=what)
        return over(deploy, DeployPhase.CRASHED, self.clock.now(), says)

    async def _is_superseded(self, deploy: Deploy) -> bool:
        """Whether somebody else's deployment is replacing its containers: it ends them, and that is no crash."""
        try:
            async with asyncio.timeout(GLANCE_S):
                return (await self.platform.look(deploy)).is_superseded
        except (GuardianError, TimeoutError):
            return False

    def _pending(self, deploy: Deploy, found: DeployHealth, waits: Text, late_s: float) -> Deploy:
        is_nothing = not found.containers and not is_swarm(deploy)
        limit_s = NOTHING_AFTER_S if is_nothing else self.settings.limit_s
        if late_s <= limit_s:
            says = text("deploys.comes_up", stack=deploy.stack, well=found.well, total=found.total, what=waits)
            return replace(deploy, good_since=None, says=says)
        if is_nothing:
            return over(deploy, DeployPhase.FAILED, self.clock.now(), text("deploys.nothing", stack=deploy.stack))
        what = text("deploys.bad.never_up", limit=round(limit_s), what=waits)
        says = text("deploys.not_up", stack=deploy.stack, what=what)
        return over(deploy, DeployPhase.CRASHED, self.clock.now(), says)

    async def _holding(
        self, deploy: Deploy, found: DeployHealth, seen: DeployFollowState, began: datetime, now: datetime
    ) -> Deploy:
        """All is well: since when, and is that long enough? Counted to the begin of this look, not to its end."""
        since = deploy.good_since
        if since is None or {one.id for one in found.containers} != set(deploy.restarts):
            since = now
            deploy = _with_baseline(deploy, found)
            await self._learn(deploy, found, seen)
        learnt = [await self.start_times.typical(_service(deploy, one)) for one in found.containers]
        window = window_s(list(found.containers), max((one or 0.0 for one in learnt), default=0.0), self.settings)
        window = max(window, deploy.window_s)
        values: dict[str, str | int] = {"stack": deploy.stack, "well": found.well, "total": found.total}
        deploy = replace(
            deploy,
            good_since=since,
            window_s=window,
            says=Text("deploys.settles", {**values, "window": round(window)}),
        )
        held_s = (began - since).total_seconds()
        if held_s < window:
            return deploy
        if deploy.platform_status is not DeployStatus.DONE:
            return over(deploy, DeployPhase.UNKNOWN, self.clock.now(), Text("deploys.cut_off_well", values))
        took = round((now - deploy.ordered_at).total_seconds())
        key = "deploys.good_back" if deploy.what is DeployKind.ROLLBACK else "deploys.good"
        says = Text(key, {**values, "held": round(held_s), "took": took})
        return over(deploy, DeployPhase.GOOD, self.clock.now(), says)

    async def _learn(self, deploy: Deploy, found: DeployHealth, seen: DeployFollowState) -> None:
        """How long containers took from their start to being well, of those that were seen before and after."""
        for one in found.containers:
            at = seen.well_at.get(one.id)
            if at is not None and one.started_at is not None:
                took_s = max((at - one.started_at).total_seconds(), 0.0)
                await self.start_times.learn(_service(deploy, one), took_s)


def _note(found: DeployHealth, seen: DeployFollowState, now: datetime) -> None:
    """Remember who comes up, and when it was well: one that was well at the first look may have been so for long."""
    for one in found.containers:
        if status_of(one) in (Status.STARTING, Status.UNHEALTHY):
            seen.coming_up.add(one.id)
        elif one.id in seen.coming_up and is_up(one):
            seen.well_at.setdefault(one.id, now)


def _with_baseline(deploy: Deploy, found: DeployHealth) -> Deploy:
    """With how each container is now: from here on none may be restarted."""
    return replace(
        deploy,
        restarts={one.id: one.restart_count for one in found.containers},
        starts={one.id: one.started_at for one in found.containers if one.started_at is not None},
    )


def _service(deploy: Deploy, container: Container) -> str:
    return f"{deploy.stack}/{container.service}"


def _what(found: DeployHealth) -> Text:
    """The first trouble, and who else has any."""
    first, *others = found.troubles
    names = list(dict.fromkeys(one.service for one in others if one.service and one.service != first.service))
    if not names:
        return first.says
    return text("deploys.bad.and_others", what=first.says, others=", ".join(names[:OTHERS_NAMED]))

"""Follows deploys to their verdict as durable runs: first the platform, then the containers over the window."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from agent.deploys.deploy_outcome import (
    DeployConcluder,
    deploy_call_result,
    deploy_undo_key,
    unrecorded_deploy_result,
)
from agent.deploys.deploy_outcome import with_second_sentence as saying_instead
from agent.deploys.deploy_progress import DeployFollowState, advance_deploy, ended_deploy
from agent.deploys.deploy_verdict import (
    DETAILS_LIMIT_S,
    DeployJudge,
    deploy_health,
    has_same_containers,
    with_earlier_containers,
)
from agent.incident.incident_deps import LearntStartTimes, WatchedHosts
from core.actions.executor import run_key
from core.actions.gateway import ActionGateway
from core.bus import Bus
from core.clock import Clock
from core.deployments.deploys import (
    FOLLOW_KIND,
    Deploy,
    DeployChanged,
    DeployObservation,
    DeployPhase,
    DeployPlatform,
    Deploys,
    Versions,
)
from core.deployments.platform import DeployStatus
from core.error_text import problem_of
from core.errors import GuardianError, SystemUnavailable
from core.incidents.alert_kinds import AlertKind
from core.incidents.alerts import Alert
from core.monitoring.inventory import Container, Inventory
from core.runs import Done, Run, Runs, Waiting
from core.settings import DokploySettings, VerificationSettings
from core.text import Text, text

DEPLOY_RUN_TRIES = 5
REFUSED_LIMIT_S = 60.0
"""Polling ends after the platform has refused to answer for this long."""
FAILURE_LOOK_LIMIT_S = 0.4
"""Longest delay of a failure's message for a look at the stack's state after it."""
LEAST_PAUSE = timedelta(milliseconds=50)
REPORTED_FOR = timedelta(days=2)
UNDO_START_LIMIT = timedelta(minutes=3)
"""Longest wait for the undo of a deploy to start; alerts of its stack are held back meanwhile."""
REPORTED_LIMIT = 500
_AT_WORK = (DeployPhase.RUNNING, DeployPhase.SETTLING)
log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class DeployDeps:
    """Collaborators of the deploy runtime."""

    runs: Runs
    deploys: Deploys
    versions: Versions
    platform: DeployPlatform
    watch: WatchedHosts
    start_times: LearntStartTimes
    gateway: ActionGateway
    bus: Bus
    clock: Clock
    settings: DokploySettings
    verification: VerificationSettings
    redact: Callable[[str], str]
    review: Callable[[], Awaitable[object]]
    """Makes the tracker review the alerts it holds back."""


class DeployRuntime:
    """Follows each of our deploys to a verdict, across restarts of this program and of the platform."""

    def __init__(self, parts: DeployDeps) -> None:
        self._parts = parts
        self._clock = parts.clock
        self._settling = DeployJudge(
            platform=parts.platform,
            watch=parts.watch,
            start_times=parts.start_times,
            clock=parts.clock,
            settings=parts.verification,
        )
        self._ending = DeployConcluder(versions=parts.versions, gateway=parts.gateway, redact=parts.redact)
        self._at_work: dict[str, Deploy] = {}
        self._told: dict[str, str] = {}
        """Stack → our last failed deployment of it, which has a card of its own."""
        self._going_back: dict[str, tuple[str, datetime]] = {}
        """Stack → key and start of the call that undoes its last deploy, until that one is under way."""
        self._seen: dict[str, DeployFollowState] = {}
        parts.runs.register(FOLLOW_KIND, self._advance, tries=DEPLOY_RUN_TRIES, on_dead=self._give_up)

    async def load(self) -> None:
        """Load unfinished and reported deploys after a start, for `is_planned`."""
        past = await self._parts.deploys.recent(REPORTED_LIMIT, since=self._clock.now() - REPORTED_FOR)
        for deploy in (*reversed(past), *await self._parts.deploys.unfinished()):
            self._remember(deploy)

    def is_planned(self, alert: Alert) -> bool:
        """Return whether a deploy under way, ours or another's, explains an alert until its verdict.

        A failed deploy of ours has a card of its own, which the alert would only repeat.
        """
        if alert.stack is None or not alert.kind.traits.is_explained_by_deploy:
            return False
        if any(one.stack == alert.stack for one in self._at_work.values()) or self._is_going_back(alert.stack):
            return True
        managed = self._parts.watch.inventory().managed_one(alert.stack)
        last = managed.last_deployment if managed is not None and managed.name == alert.stack else None
        if alert.kind is AlertKind.DEPLOY_FAILED:
            return last is not None and self._told.get(alert.stack) == last.id
        if last is None or last.status is not DeployStatus.RUNNING:
            return False
        began = last.started_at or last.created_at
        limit = timedelta(seconds=self._parts.settings.stuck_after_s)
        return began is not None and self._clock.now() - began < limit

    # -- one look ----------------------------------------------------------------------------------------------------

    async def _advance(self, run: Run) -> Done | Waiting:
        """Handle the run as far as possible for now."""
        deploy = await self._parts.deploys.get(str(run.payload["call"]))
        if deploy is None:
            return Done(result=unrecorded_deploy_result())
        self._remember(deploy)
        seen, began = self._seen.setdefault(run.key, DeployFollowState()), self._clock.now()
        while not deploy.phase.is_over:
            before = deploy
            containers: tuple[Container, ...] = ()
            if deploy.phase is DeployPhase.SETTLING:
                deploy, containers = await self._settle(deploy, seen)
            else:
                deploy = await self._ask(deploy, seen)
            if deploy.phase.is_over:
                deploy = await self._conclude(deploy, containers)
            await self._keep(deploy, before, seen)
            if deploy.phase is before.phase:
                return Waiting(until=self._next(deploy, began))
        self._seen.pop(run.key, None)
        return await self._finish(deploy)

    def _next(self, deploy: Deploy, began: datetime) -> datetime:
        """Return the moment of the next look: at an even pace, and at the end of the window."""
        due = max(began + timedelta(seconds=self._parts.settings.follow_s), self._clock.now() + LEAST_PAUSE)
        if deploy.good_since is None:
            return due
        return min(due, deploy.good_since + timedelta(seconds=deploy.window_s + 0.01))

    async def _settle(self, deploy: Deploy, seen: DeployFollowState) -> tuple[Deploy, tuple[Container, ...]]:
        """Look at the containers."""
        try:
            return await self._settling.look(deploy, seen)
        except GuardianError as error:
            return self._blind(deploy, seen, error), ()

    async def _ask(self, deploy: Deploy, seen: DeployFollowState) -> Deploy:
        """Look at the platform."""
        try:
            look = await self._parts.platform.look(deploy)
        except GuardianError as error:
            return self._blind(deploy, seen, error)
        now = self._clock.now()
        seen.answers_since = seen.answers_since or now
        seen.blind_since = seen.refused_since = None
        after = advance_deploy(deploy, look, seen, now, self._names(look), self._parts.settings)
        if after.phase is DeployPhase.FAILED:
            return await self._with_what_runs(after)
        if not after.phase.is_over and after.phase is not DeployPhase.SETTLING and self._is_too_late(after, now):
            return ended_deploy(after, DeployPhase.UNKNOWN, self._clock.now(), self._too_long(after))
        return after

    def _blind(self, deploy: Deploy, seen: DeployFollowState, error: GuardianError) -> Deploy:
        """Handle a platform that does not answer: keep trying, but not for ever."""
        now = self._clock.now()
        problem = problem_of(error, self._parts.redact)
        seen.answers_since = None
        seen.blind_since = seen.blind_since or now
        if not isinstance(error, SystemUnavailable):
            seen.refused_since = seen.refused_since or now
        is_refused = seen.refused_since is not None and now - seen.refused_since > timedelta(seconds=REFUSED_LIMIT_S)
        if is_refused or self._is_too_late(deploy, now):
            return ended_deploy(
                deploy, DeployPhase.UNKNOWN, now, text("deploys.unseen", stack=deploy.stack, problem=problem)
            )
        return replace(deploy, message=text("deploys.unreachable", stack=deploy.stack, problem=problem))

    def _is_too_late(self, deploy: Deploy, now: datetime) -> bool:
        return now - deploy.ordered_at > timedelta(seconds=self._parts.settings.deploy_limit_s)

    def _too_long(self, deploy: Deploy) -> Text:
        return text("deploys.too_long", stack=deploy.stack, limit=round(self._parts.settings.deploy_limit_s))

    def _names(self, look: DeployObservation) -> list[str]:
        inventory = self._parts.watch.inventory() if look.ahead_ids else Inventory()
        found = [inventory.managed_one(one) for one in look.ahead_ids]
        return [one.name for one in found if one is not None]

    async def _with_what_runs(self, deploy: Deploy) -> Deploy:
        """Return the failed deploy with the state of its stack, or without when it cannot be seen."""
        try:
            async with asyncio.timeout(FAILURE_LOOK_LIMIT_S):
                containers = await self._settling.containers(deploy)
        except (GuardianError, TimeoutError):
            return deploy
        deploy = with_earlier_containers(deploy, containers)
        found = deploy_health(deploy, containers)
        if not found.total or deploy.message is None:
            return deploy
        is_kept = has_same_containers(deploy, containers) and found.is_well
        key = "deploys.still_runs" if is_kept else "deploys.now_runs"
        second = Text(key, {"well": found.well, "total": found.total})
        return replace(deploy, message=text("deploys.two", first=deploy.message, second=second))

    # -- the verdict -------------------------------------------------------------------------------------------------

    async def _conclude(self, deploy: Deploy, containers: tuple[Container, ...]) -> Deploy:
        if deploy.phase in (DeployPhase.GOOD, DeployPhase.CRASHED) and deploy.commit is None:
            deploy = await self._with_commit(deploy)
        return await self._ending.worded(await self._ending.judged(deploy, containers))

    async def _with_commit(self, deploy: Deploy) -> Deploy:
        """Return the deploy with its commit: a git source names it only after the end."""
        try:
            async with asyncio.timeout(DETAILS_LIMIT_S):
                look = await self._parts.platform.look(deploy)
        except (GuardianError, TimeoutError):
            return deploy
        return replace(deploy, commit=look.commit, commit_message=look.commit_message)

    async def _keep(self, deploy: Deploy, before: Deploy | None, seen: DeployFollowState | None = None) -> None:
        """Save the deploy, then publish the change."""
        is_news = deploy != before or (seen is not None and not seen.is_told)
        if not is_news:
            return
        await self._parts.deploys.put(deploy)
        self._remember(deploy)
        known = before if seen is None or seen.is_told else None
        if seen is not None:
            seen.is_told = True
        await self._parts.bus.publish(DeployChanged(deploy=deploy, before=known))

    async def _finish(self, deploy: Deploy) -> Done:
        """Act on the verdict, safely repeatable; the call is woken last, when all else is done."""
        self._remember(deploy)
        refusal = await self._ending.taken_back(deploy)
        if refusal is not None and deploy.message != saying_instead(deploy, refusal).message:
            said = saying_instead(deploy, refusal)
            await self._keep(said, deploy)
            deploy = said
        if refusal is None and await self._ending.goes_back(deploy):
            self._going_back[deploy.stack] = (deploy_undo_key(deploy.key), self._clock.now())
        else:
            await self._parts.review()
        await self._parts.runs.wake(run_key(deploy.key))
        return Done(result=deploy_call_result(deploy))

    def _is_going_back(self, stack: str) -> bool:
        _, since = self._going_back.get(stack, ("", None))
        return since is not None and self._clock.now() - since < UNDO_START_LIMIT

    async def _give_up(self, run: Run) -> None:
        """Report the guardian's own failure."""
        key = str(run.payload["call"])
        self._seen.pop(run.key, None)
        log.error("a deploy could not be followed", deploy=key, error=run.error)
        deploy = await self._parts.deploys.get(key)
        if deploy is None or deploy.phase.is_over:
            return
        problem = self._parts.redact(run.error)[:300]
        message = text("deploys.own_failure", stack=deploy.stack, problem=problem)
        await self._keep(ended_deploy(deploy, DeployPhase.UNKNOWN, self._clock.now(), message), deploy)
        await self._parts.review()

    def _remember(self, deploy: Deploy) -> None:
        is_next = deploy.phase is DeployPhase.WAITING and not deploy.ahead  # it may begin between two looks
        if deploy.phase in _AT_WORK or is_next:
            self._at_work[deploy.key] = deploy
        else:
            self._at_work.pop(deploy.key, None)
        if self._going_back.get(deploy.stack, ("",))[0] == deploy.key and deploy.phase is not DeployPhase.WAITING:
            del self._going_back[deploy.stack]
        if deploy.phase is DeployPhase.FAILED and deploy.deployment_id is not None:
            self._told.pop(deploy.stack, None)
            self._told[deploy.stack] = deploy.deployment_id
            while len(self._told) > REPORTED_LIMIT:
                self._told.pop(next(iter(self._told)))

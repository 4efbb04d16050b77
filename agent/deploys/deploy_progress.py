"""Updates a deploy from a look at the platform: queued, running, done, failed, cancelled, or never there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from core.deployments.deploys import Deploy, DeployObservation, DeployPhase
from core.deployments.platform import DeployStatus
from core.settings import DokploySettings
from core.text import Text, text

MISSED_LOOKS_LIMIT = 2
"""Consecutive looks that must miss a deployment: one look may fall between two of the platform's own steps."""
JOBLESS_LOOKS_LIMIT = 5
"""Consecutive looks that must find a deployment running without a job in the queue."""


@dataclass(kw_only=True)
class DeployFollowState:
    """In-memory state between two looks; lost on a restart and then built anew."""

    answers_since: datetime | None = None
    """Start of the period in which the platform has answered every look."""
    blind_since: datetime | None = None
    refused_since: datetime | None = None
    """Start of the period in which it has answered that access is denied or the answer unknown."""
    settling_since: datetime | None = None
    """Start of the judging of its containers, by this program's clock."""
    missing: int = 0
    lost: int = 0
    is_told: bool = False
    coming_up: set[str] = field(default_factory=set)
    """Containers seen running before they were well."""
    well_at: dict[str, datetime] = field(default_factory=dict)
    """Moment at which each of those was first seen well."""


def advance_deploy(
    deploy: Deploy,
    look: DeployObservation,
    seen: DeployFollowState,
    now: datetime,
    behind: Sequence[str],
    settings: DokploySettings,
) -> Deploy:
    """Return the deploy after a look; `behind` names what is ahead of it in the queue, as far as known."""
    if look.deployment_id is not None:
        seen.missing = 0
        return _begun(deploy, look, seen, now)
    if look.job_seen:
        seen.missing = 0
        message = _place(deploy, look, behind)
        return replace(deploy, job_seen_at=deploy.job_seen_at or now, ahead=look.ahead, message=message)
    if deploy.deployment_id is None and deploy.job_seen_at is None:
        return _unseen(deploy, seen, now, settings)
    seen.missing += 1
    if seen.missing < MISSED_LOOKS_LIMIT:
        return deploy
    if deploy.deployment_id is not None:
        return interrupted_deploy(deploy, DeployStatus.UNKNOWN, now)
    return replace(
        deploy,
        phase=DeployPhase.CANCELLED,
        ahead=None,
        over_at=now,
        message=text("deploys.cancelled_in_line", stack=deploy.stack),
    )


def ended_deploy(deploy: Deploy, phase: DeployPhase, now: datetime, message: Text) -> Deploy:
    """Return the deploy with its final phase and verdict."""
    return replace(deploy, phase=phase, message=message, over_at=now)


def interrupted_deploy(deploy: Deploy, status: DeployStatus, now: datetime) -> Deploy:
    """Return the deploy as ended half-way: the containers that run now decide the verdict."""
    return replace(
        deploy,
        phase=DeployPhase.SETTLING,
        platform_status=status,
        platform_ended_at=deploy.platform_ended_at or now,
        message=text("deploys.cut_off", stack=deploy.stack),
    )


def _begun(deploy: Deploy, look: DeployObservation, seen: DeployFollowState, now: datetime) -> Deploy:
    after = replace(
        deploy,
        phase=DeployPhase.RUNNING,
        deployment_id=look.deployment_id,
        job_seen_at=deploy.job_seen_at or now,
        ahead=None,
        started_at=_started(deploy, look, now),
        commit=look.commit or deploy.commit,
        commit_message=look.commit_message or deploy.commit_message,
        platform_status=look.status,
        log_tail=look.log_tail or deploy.log_tail,
        message=text("deploys.runs", stack=deploy.stack),
    )
    if look.status is DeployStatus.DONE:
        message = text("deploys.done", stack=deploy.stack)
        return replace(after, phase=DeployPhase.SETTLING, platform_ended_at=look.finished_at or now, message=message)
    if look.status is DeployStatus.ERROR:
        return _failed(after, look, now)
    if look.status is DeployStatus.CANCELLED:
        return interrupted_deploy(after, DeployStatus.CANCELLED, now)
    is_lost = look.status is DeployStatus.RUNNING and not look.job_seen
    seen.lost = seen.lost + 1 if is_lost else 0
    return interrupted_deploy(after, DeployStatus.RUNNING, now) if seen.lost >= JOBLESS_LOOKS_LIMIT else after


def _started(deploy: Deploy, look: DeployObservation, now: datetime) -> datetime:
    """Return the start by the platform's clock, which is usually that of the containers too.

    One that is ahead of ours may be ahead of theirs: then what crashes would seem to have ended before. The order came
    before it in any case.
    """
    if look.started_at is not None and look.started_at > now:
        return deploy.started_at or deploy.ordered_at
    if deploy.deployment_id == look.deployment_id and deploy.started_at is not None:
        return deploy.started_at
    return look.started_at or now


def _failed(deploy: Deploy, look: DeployObservation, now: datetime) -> Deploy:
    if look.error_line:
        message = text("deploys.failed", stack=deploy.stack, error=look.error_line)
    else:
        message = text("deploys.failed_silently", stack=deploy.stack)
    return replace(
        deploy,
        phase=DeployPhase.FAILED,
        platform_ended_at=look.finished_at or now,
        error_line=look.error_line,
        error_class=look.error_class,
        over_at=now,
        message=message,
    )


def _unseen(deploy: Deploy, seen: DeployFollowState, now: datetime, settings: DokploySettings) -> Deploy:
    """Judge a deploy that is neither queued nor deployed: not there yet, or never arrived."""
    since = max(deploy.ordered_at, seen.answers_since or now)
    if now - since < timedelta(seconds=settings.never_after_s):
        return replace(deploy, message=text("deploys.ordered", stack=deploy.stack))
    return replace(
        deploy,
        phase=DeployPhase.NEVER,
        over_at=now,
        message=text("deploys.never", stack=deploy.stack, seconds=round(settings.never_after_s)),
    )


def _place(deploy: Deploy, look: DeployObservation, behind: Sequence[str]) -> Text:
    if look.ahead is None:
        return text("deploys.begins", stack=deploy.stack)
    if look.ahead == 0:
        return text("deploys.next", stack=deploy.stack)
    place = look.ahead + 1
    if len(behind) != look.ahead:
        return text("deploys.in_line", stack=deploy.stack, place=place)
    return text("deploys.behind", stack=deploy.stack, place=place, behind=", ".join(behind))

"""Detectors of deployments that fail, crash after `done`, never end, or wait behind a stuck one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from statistics import median

from core.deployments.platform import Deployment, DeployStatus, ManagedResource
from core.incidents.alert_kinds import AlertKind
from core.incidents.alerts import Alert, Severity
from core.monitoring.exits import SIGKILL_EXIT
from core.monitoring.inventory import Container
from core.monitoring.snapshot import Detector, PlatformView, View, detector
from core.monitoring.status import Status, status_of
from core.text import Text, text
from integrations.dokploy.platform_alerts import (
    began_at,
    containers_of,
    deploy_facts,
    ended_at,
    facts_as_evidence,
    last_finished_deployment,
    minutes_since,
    platform_now,
    platform_view,
    running_deployment,
    stack_alert,
    watched_resources,
    watched_since,
)

CRASH_WINDOW = timedelta(minutes=15)
"""Time after a deployment within which a crash counts as its result."""
CRASH_DELAY = timedelta(seconds=3)
RECOVERED_AFTER = timedelta(seconds=30)
"""Run time after which a restarted container counts as recovered."""
CLOCK_SKEW = timedelta(seconds=5)
"""Tolerated difference between the clocks of the platform and of an engine."""
STUCK_FLOOR_S = 600.0
USUAL_DURATION_FACTOR = 5
LEAST_KNOWN = 3


@detector(AlertKind.DEPLOY_FAILED)
def deploy_failed(view: View) -> Iterator[Alert]:
    """Yield an alert for each stack whose newest finished deployment failed while it was watched.

    A new deployment changes that only once it has ended. The old version usually keeps running: then it is a warning.
    """
    since = watched_since(view)
    for managed in watched_resources(view):
        last = last_finished_deployment(managed)
        at = ended_at(last) if last else None
        if last is None or at is None or last.status is not DeployStatus.ERROR or (since and at <= since):
            continue
        facts = deploy_facts(managed, last, view)
        yield stack_alert(
            managed,
            kind=AlertKind.DEPLOY_FAILED,
            severity=Severity.WARNING if facts["containers_running"] else Severity.CRITICAL,
            at=at,
            message=_says_failed(managed, last),
            facts={**facts, "deploy_error": last.error or None, "deploy_error_line": last.error_line or None},
            source=f"deployment {last.id}",
        )


def _says_failed(managed: ManagedResource, last: Deployment) -> Text:
    if last.error_line:
        return text("alert.deploy_failed.line", stack=managed.name, line=last.error_line)
    return text("alert.deploy_failed.plain", stack=managed.name, title=last.title or last.id)


@detector(AlertKind.DEPLOY_CRASHED)
def deploy_crashed(view: View) -> Iterator[Alert]:
    """Yield an alert for each stack that was deployed lately, is reported done, and whose containers crash.

    Starts within 15 minutes of the deployment's end and stays while they crash. A crash before the deployment, a stop,
    and a container that has recovered do not count.
    """
    kept = _load_memo("deploy_crashed", view)
    for managed in watched_resources(view):
        last = last_finished_deployment(managed)
        if last is None or last.status is not DeployStatus.DONE or running_deployment(managed) is not None:
            continue
        began, ended = began_at(last), ended_at(last)
        if began is None or ended is None or not _is_crash_time(last, ended, kept, view):
            continue
        crashed = [one for one in containers_of(managed, view) if _is_crashed(one, began, view.now.at)]
        if not crashed:
            continue
        kept.now.add(last.id)
        names = ", ".join(sorted({one.service for one in crashed}))
        yield stack_alert(
            managed,
            kind=AlertKind.DEPLOY_CRASHED,
            severity=Severity.CRITICAL,
            at=max((one.finished_at or one.started_at or ended for one in crashed), default=ended),
            message=text("alert.deploy_crashed", stack=managed.name, services=names, title=last.title or last.id),
            facts=deploy_facts(managed, last, view),
            source=f"deployment {last.id}",
        )


def _is_crash_time(last: Deployment, ended: datetime, kept: _DetectorMemo, view: View) -> bool:
    since_end = platform_now(view) - ended
    return last.id in kept.before or CRASH_DELAY <= since_end <= CRASH_WINDOW


def _is_crashed(container: Container, began: datetime, now: datetime) -> bool:
    """Return whether the container crashed, and was made or started by this deployment."""
    moments = [at for at in (container.created_at, container.started_at) if at is not None]
    if not moments or max(moments) < began - CLOCK_SKEW:
        return False
    status = status_of(container)
    if status is Status.FAILED:  # 137 alone: a stop of a program that does not listen leaves it too
        return container.oom_killed or container.exit_code != SIGKILL_EXIT
    if status in (Status.RESTARTING, Status.UNHEALTHY):
        return True
    if not container.is_running:
        return False
    is_new = container.created_at is not None and container.created_at >= began - CLOCK_SKEW
    is_young = container.started_at is not None and now - container.started_at < RECOVERED_AFTER
    return is_new and is_young and container.restart_count > 0


@detector(AlertKind.DEPLOY_STUCK)
def deploy_stuck(view: View) -> Iterator[Alert]:
    """Yield an alert for each deployment that runs far too long, or is reported running but forgotten by the platform.

    Too long: `stuck_after_s`, or five times what that stack's deployments usually take (10 minutes at least).
    Forgotten: after a restart of Dokploy the row stays `running` for ever; only another restart frees it.
    """
    forgotten = _forgotten(view)
    for managed in watched_resources(view):
        running = running_deployment(managed)
        began = began_at(running) if running else None
        if running is None or began is None:
            continue
        is_forgotten = running.id in forgotten
        if not is_forgotten and not _is_too_long(managed, began, view):
            continue
        usual = _usual_duration_s(managed)
        key = "forgotten" if is_forgotten else ("unusual" if usual else "long")
        took = minutes_since(began, platform_now(view))
        yield stack_alert(
            managed,
            kind=AlertKind.DEPLOY_STUCK,
            severity=Severity.WARNING,
            at=began,
            message=text(
                f"alert.deploy_stuck.{key}",
                stack=managed.name,
                title=running.title or running.id,
                minutes=took,
                usual=round(usual / 60, 1) if usual else None,
            ),
            facts={
                **deploy_facts(managed, running, view),
                "deployed_min": None,
                "deploy_running_min": took,
                "queue_waiting": sum(not one.is_active for one in platform_view(view).queue),
            },
            source=f"deployment {running.id}",
        )


def _is_too_long(managed: ManagedResource, began: datetime, view: View) -> bool:
    return (platform_now(view) - began).total_seconds() > _limit_s(managed, platform_view(view).stuck_after_s)


def _limit_s(managed: ManagedResource, stuck_after_s: float) -> float:
    usual = _usual_duration_s(managed)
    if usual is None:
        return stuck_after_s
    return max(min(stuck_after_s, max(STUCK_FLOOR_S, USUAL_DURATION_FACTOR * usual)), 2 * usual)


def _usual_duration_s(managed: ManagedResource) -> float | None:
    """Return the median duration of its deployments; None if too few are known."""
    lasted = [
        (one.finished_at - one.started_at).total_seconds()
        for one in managed.deployments
        if one.status is DeployStatus.DONE and one.finished_at is not None and one.started_at is not None
    ]
    return median(lasted) if len(lasted) >= LEAST_KNOWN else None


def _forgotten(view: View) -> set[str]:
    """Return the ids of deployments that are reported running but have no job in the queue.

    One must be seen running, then missing from the queue, then still be reported running: no clocks are compared.
    """
    kept = _load_memo("forgotten", view)
    now, before = platform_view(view), view.before.platform if view.before else None
    running = {
        one.id: managed.id for managed in view.inventory.managed if (one := running_deployment(managed)) is not None
    }
    worked_at = {one.managed_id for one in now.queue}
    idle = {key for key, managed_id in running.items() if managed_id not in worked_at}
    was_read_between = (
        before is not None
        and view.before is not None
        and now.queue_at is not None
        and now.queue_at > view.before.at
        and _is_own_queue(now)
    )
    ran_before = (
        {one.id for managed in before.managed if (one := running_deployment(managed)) is not None} if before else set()
    )
    kept.now |= idle & (kept.before | (ran_before if was_read_between else set()))
    return kept.now


def _is_own_queue(now: PlatformView) -> bool:
    """Return whether every job of the queue names its service."""
    return all(one.managed_id for one in now.queue)


@detector(AlertKind.QUEUE_BLOCKED)
def queue_blocked(view: View) -> Iterator[Alert]:
    """Yield one alert while deployments wait behind one that is stuck, or have waited for `stuck_after_s`.

    Its subject is the stuck stack, else the platform.
    """
    seen = platform_view(view)
    waiting = [one for one in seen.queue if not one.is_active]
    if not waiting:
        return
    stuck = next(iter(deploy_stuck(view)), None)
    oldest = min((one.queued_at for one in waiting if one.queued_at is not None), default=None)
    if stuck is None and (oldest is None or (platform_now(view) - oldest).total_seconds() <= seen.stuck_after_s):
        return
    at = oldest or view.now.at
    count = len(waiting)
    running_min = stuck.facts().get("deploy_running_min") if stuck else None
    yield Alert(
        kind=AlertKind.QUEUE_BLOCKED,
        severity=Severity.WARNING,
        host=stuck.host if stuck else view.now.host.name,
        stack=stuck.stack if stuck else None,
        at=at,
        message=text("alert.queue_blocked.behind", count=count, stack=stuck.stack)
        if stuck
        else text("alert.queue_blocked.long", count=count, minutes=minutes_since(oldest, platform_now(view))),
        evidence=facts_as_evidence({"queue_waiting": count, "deploy_running_min": running_min}, at, "queue"),
    )


class _DetectorMemo:
    """Values a detector keeps from one snapshot to the next, in their `memo`."""

    def __init__(self, before: set[str], now: set[str]) -> None:
        self.before = before
        self.now = now


def _load_memo(name: str, view: View) -> _DetectorMemo:
    before = view.before.memo.get(name) if view.before is not None else None
    now = view.now.memo.setdefault(name, set())
    assert isinstance(now, set)
    return _DetectorMemo(before if isinstance(before, set) else set(), now)


DEPLOY_DETECTORS: tuple[Detector, ...] = (deploy_failed, deploy_crashed, deploy_stuck, queue_blocked)
"""Detectors in the order in which their alerts are raised."""

"""Shared parts of the platform's detectors: the resources to watch, their containers, and building alerts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from fnmatch import fnmatchcase

from pydantic import JsonValue

from core.deployments.platform import Deployment, DeployStatus, ManagedResource
from core.incidents.alert_kinds import AlertKind
from core.incidents.alerts import Alert, Evidence, Severity
from core.monitoring.inventory import Container
from core.monitoring.snapshot import PlatformView, View
from core.monitoring.status import Status, is_one_off, status_of
from core.text import Text

_NOTHING = PlatformView()
_SWARM_TASK_NAME = re.compile(r"(.+\.\d+)\.[a-z0-9]{20,}")
"""Name of a Swarm container: service, slot and task. Finished tasks stay beside the one that replaced them."""


def platform_view(view: View) -> PlatformView:
    """Return the platform's view; an empty one before its first look."""
    return view.now.platform or _NOTHING


def platform_now(view: View) -> datetime:
    """Return the current time by the platform's clock, for comparison with the times it reports."""
    return view.now.at + platform_view(view).clock_ahead


def watched_since(view: View) -> datetime | None:
    """Return the start of watching by the platform's clock: earlier events are history. None before the first look."""
    since = platform_view(view).since
    return since + platform_view(view).clock_ahead if since is not None else None


def watched_resources(view: View) -> Iterator[ManagedResource]:
    """Yield the managed resources that the settings watch."""
    settings = view.settings
    for one in view.inventory.managed:
        if one.system != view.now.host.name or any(fnmatchcase(one.name, pattern) for pattern in settings.ignore):
            continue
        if not settings.only or any(fnmatchcase(one.name, pattern) for pattern in settings.only):
            yield one


def containers_of(managed: ManagedResource, view: View) -> tuple[Container, ...]:
    """Return its containers; of a Swarm slot only the newest, with its failed predecessors counted as restarts."""
    memo = view.now.memo.get("containers")
    if not isinstance(memo, dict):
        memo = view.now.memo["containers"] = _by_project(view)
    found: tuple[Container, ...] = memo.get(managed.app_name, ())
    return found


def _by_project(view: View) -> dict[str, tuple[Container, ...]]:
    grouped: dict[str, list[Container]] = {}
    for one in view.inventory.containers:
        if one.project is not None and not is_one_off(one):
            grouped.setdefault(one.project, []).append(one)
    return {project: _newest_tasks(own) for project, own in grouped.items()}


def _newest_tasks(containers: Sequence[Container]) -> tuple[Container, ...]:
    slots: dict[str, list[Container]] = {}
    for one in containers:
        task = _SWARM_TASK_NAME.fullmatch(one.name)
        slots.setdefault(task.group(1) if task else one.name, []).append(one)
    return tuple(_newest(own) for own in slots.values())


def _newest(tasks: list[Container]) -> Container:
    if len(tasks) == 1:
        return tasks[0]
    ordered = sorted(tasks, key=lambda one: (one.is_running, one.created_at.timestamp() if one.created_at else 0.0))
    ended = sum(status_of(one) is Status.FAILED for one in ordered[:-1])
    return replace(ordered[-1], restart_count=ordered[-1].restart_count + ended)


def are_containers_visible(managed: ManagedResource, view: View) -> bool:
    """Return whether its containers would be seen: its host answers and runs other containers of its server."""
    host = next((one for one in view.inventory.hosts if one.name == managed.host), None)
    if host is None or host.is_platform or not host.is_reachable:
        return False
    memo = view.now.memo.get("servers")
    if not isinstance(memo, set):
        memo = view.now.memo["servers"] = {one.server for one in view.inventory.managed if containers_of(one, view)}
    return managed.server in memo


def last_finished_deployment(managed: ManagedResource) -> Deployment | None:
    """Return the newest finished deployment."""
    return next((one for one in managed.deployments if one.status.is_final), None)


def running_deployment(managed: ManagedResource) -> Deployment | None:
    """Return the newest deployment if it is running."""
    last = managed.last_deployment
    return last if last is not None and last.status is DeployStatus.RUNNING else None


def ended_at(deployment: Deployment) -> datetime | None:
    """Return the time it ended; if that is unknown, its start or creation."""
    return deployment.finished_at or deployment.started_at or deployment.created_at


def began_at(deployment: Deployment) -> datetime | None:
    """Return the time it started; if that is unknown, its creation."""
    return deployment.started_at or deployment.created_at


def minutes_since(since: datetime | None, now: datetime) -> float | None:
    """Return the minutes since then, with one decimal; never below 0, because the platform's clock may be ahead."""
    return None if since is None else round(max(0.0, (now - since).total_seconds()) / 60, 1)


def deploy_facts(managed: ManagedResource, deployment: Deployment, view: View) -> dict[str, JsonValue]:
    """Return the evidence of a finished deployment and of what runs now."""
    containers = containers_of(managed, view)
    return {
        "deploy_status": str(deployment.status),
        "deploy_title": deployment.title or None,
        "deploy_commit": deployment.commit[:12] if deployment.commit else None,
        "deployed_min": minutes_since(ended_at(deployment), platform_now(view)),
        "platform_status": managed.status or None,
        "containers_running": sum(one.is_running for one in containers),
        "containers_total": len(containers),
    }


def stack_alert(
    managed: ManagedResource,
    *,
    kind: AlertKind,
    severity: Severity,
    at: datetime,
    message: Text,
    facts: Mapping[str, JsonValue],
    source: str,
    service: str | None = None,
) -> Alert:
    """Build a `state` alert about a managed resource; facts that are None are left out."""
    return Alert(
        kind=kind,
        severity=severity,
        host=managed.host or managed.system,
        stack=managed.name,
        service=service,
        at=at,
        message=message,
        evidence=facts_as_evidence(facts, at, source),
    )


def facts_as_evidence(facts: Mapping[str, JsonValue], at: datetime, source: str) -> tuple[Evidence, ...]:
    """Return the facts as evidence of one source; None is left out."""
    return tuple(
        Evidence(name=name, value=value, at=at, source=source) for name, value in facts.items() if value is not None
    )

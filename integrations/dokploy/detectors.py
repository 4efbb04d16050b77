"""Detectors of problems with what Dokploy manages; pure functions of its view and the running containers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from pydantic import JsonValue

from core.deployments.platform import DeployStatus, Domain, DomainState, ManagedKind, ManagedResource
from core.incidents.alert_kinds import AlertKind
from core.incidents.alerts import Alert, Severity
from core.monitoring.inventory import Container, ContainerState
from core.monitoring.snapshot import Detector, View, detector
from core.monitoring.status import Status, status_of
from core.text import text
from integrations.dokploy.deploy_detectors import DEPLOY_DETECTORS
from integrations.dokploy.platform_alerts import (
    are_containers_visible,
    containers_of,
    deploy_facts,
    ended_at,
    facts_as_evidence,
    last_finished_deployment,
    platform_now,
    platform_view,
    running_deployment,
    stack_alert,
    watched_resources,
    watched_since,
)

CONTRADICTION_AFTER = timedelta(seconds=60)
"""Time a contradiction must last: Dokploy writes its status after the containers have changed."""
REST_AFTER_DEPLOY = timedelta(minutes=2)
FAILURES_IN_A_ROW = 2
"""Failures in a row after which a domain raises an alert."""
PROBLEM_LIMIT = 300
_ROUTER = re.compile(r"traefik\.http\.routers\.[^.]+\.rule")


@detector(AlertKind.STATUS_CONTRADICTS)
def status_contradicts(view: View) -> Iterator[Alert]:
    """Yield an alert for each stack that Dokploy reports done while nothing of it runs, or idle while something does.

    Dokploy's status is what it did last, not the state of the containers. No alert during a deployment or just after
    one, after our own stop, or for a stack of jobs that have all succeeded.
    """
    before = view.before.memo if view.before is not None else {}
    held, pardoned = before.get("contradicts"), before.get("excused")
    since: dict[str, datetime] = {}
    excused: set[str] = set()
    view.now.memo["contradicts"], view.now.memo["excused"] = since, excused
    status_at = platform_view(view).status_at
    for managed in watched_resources(view):
        message = _contradiction(managed, view)
        if message is None:
            continue
        known = held.get(managed.id) if isinstance(held, dict) else None
        since[managed.id] = at = known or view.now.at
        if (isinstance(pardoned, set) and managed.id in pardoned) or _is_own_act(managed, view):
            excused.add(managed.id)
        elif view.now.at - at >= CONTRADICTION_AFTER and status_at is not None and status_at > at:
            yield _contradicting(managed, message, at, view)


def _contradicting(managed: ManagedResource, message: str, at: datetime, view: View) -> Alert:
    containers = containers_of(managed, view)
    running = sum(one.is_running for one in containers)
    last = last_finished_deployment(managed)
    facts: dict[str, JsonValue] = {
        "containers_running": running,
        "containers_total": len(containers),
        "platform_status": managed.status,
    }
    return stack_alert(
        managed,
        kind=AlertKind.STATUS_CONTRADICTS,
        severity=Severity.WARNING,
        at=at,
        message=text(message, stack=managed.name, running=running),
        facts={**(deploy_facts(managed, last, view) if last else {}), **facts},
        source=f"{managed.kind} {managed.id}",
    )


def _contradiction(managed: ManagedResource, view: View) -> str | None:
    last = last_finished_deployment(managed)
    ended = ended_at(last) if last else None
    if running_deployment(managed) is not None or (
        ended is not None and platform_now(view) - ended < REST_AFTER_DEPLOY
    ):
        return None
    if managed.kind is ManagedKind.DATABASE or not are_containers_visible(managed, view):
        return None  # the list of projects, which is read often, does not tell the status of databases
    if any(one.managed_id == managed.id for one in platform_view(view).queue):
        return None
    containers = containers_of(managed, view)
    is_up = any(one.state in (ContainerState.RUNNING, ContainerState.RESTARTING) for one in containers)
    if managed.status == "done" and not is_up and not _are_finished_jobs(containers):
        return "alert.status_contradicts.done" if containers else "alert.status_contradicts.gone"
    return "alert.status_contradicts.idle" if managed.status == "idle" and is_up else None


def _are_finished_jobs(containers: Iterable[Container]) -> bool:
    """Return whether they are jobs that have all succeeded."""
    own = tuple(containers)
    return bool(own) and all(status_of(one) is Status.FINISHED for one in own)


def _is_own_act(managed: ManagedResource, view: View) -> bool:
    """Return whether the guardian itself has just started or stopped it, for a person or a runbook."""
    refs = {f"stack:{managed.name}", *(one.ref for one in containers_of(managed, view))}
    return any(act.ref in refs for act in view.now.own_acts)


@detector(AlertKind.DOMAIN_FAILING)
def domain_failing(view: View) -> Iterator[Alert]:
    """Yield an alert for each service whose domain failed twice in a row, asked from here."""
    states = platform_view(view).domains
    for managed in watched_resources(view):
        failing: dict[str | None, list[tuple[Domain, DomainState]]] = {}
        for domain in managed.domains:
            state = states.get(domain.id)
            if state is None or not domain.is_enabled or not state.problem or state.failures < FAILURES_IN_A_ROW:
                continue
            if state.problem != "router" or not _is_routed(domain, managed, view):
                failing.setdefault(domain.service, []).append((domain, state))
        for service, own in failing.items():
            yield _domain_alert(managed, service, own)


def _is_routed(domain: Domain, managed: ManagedResource, view: View) -> bool:
    """Return whether a running container routes that host: then the 404 comes from it and not from Traefik.

    Programs in Go answer like Traefik for a missing page. Traefik leaves out what does not run or is not healthy.
    """
    return any(
        status_of(one) is Status.WELL and _ROUTER.fullmatch(name) and quoted in rule
        for quoted in (f"Host(`{domain.host}`)",)
        for one in containers_of(managed, view)
        for name, rule in one.labels.items()
    )


def _domain_alert(managed: ManagedResource, service: str | None, own: list[tuple[Domain, DomainState]]) -> Alert:
    domain, state = min(own, key=lambda one: (_severity(one[1]) is not Severity.CRITICAL, one[0].host))
    left = (state.certificate_ends - state.at).total_seconds() / 86400 if state.certificate_ends else None
    return stack_alert(
        managed,
        kind=AlertKind.DOMAIN_FAILING,
        severity=_severity(state),
        at=state.since or state.at,
        message=text(
            f"alert.domain_failing.{_domain_key(state)}",
            domain=domain.host,
            stack=managed.name,
            service=service or managed.name,
            port=domain.port,
            status=state.http_status,
            days=round(left, 1) if left is not None else None,
            detail=state.detail,
        ),
        facts={
            "domain": domain.host,
            "domain_problem": state.problem,
            "domain_http_status": state.http_status,
            "domain_port": domain.port,
            "domain_service": domain.service,
            "certificate_days": round(left, 1) if left is not None else None,
            "platform_status": managed.status or None,
        },
        source=f"domain {domain.id}",
        service=service,
    )


def _domain_key(state: DomainState) -> str:
    if state.problem != "certificate":
        return state.problem
    return "certificate_ends" if _is_still_good(state) else "certificate"


def _is_still_good(state: DomainState) -> bool:
    return state.problem == "certificate" and state.http_status is not None


def _severity(state: DomainState) -> Severity:
    """Return warning for faults that only this machine may see (names, network routes) or that are still to come."""
    is_mild = state.problem in ("dns", "unreachable", "http_error") or _is_still_good(state)
    return Severity.WARNING if is_mild else Severity.CRITICAL


@detector(AlertKind.BACKUP_FAILED)
def backup_failed(view: View) -> Iterator[Alert]:
    """Yield an alert for each service with a planned backup whose last run failed while it was watched."""
    seen, since = platform_view(view), watched_since(view)
    owners = {one.id: one for one in watched_resources(view)}
    for backup in seen.backups:
        if backup.status is not DeployStatus.ERROR or backup.at is None or (since and backup.at <= since):
            continue
        managed = owners.get(backup.managed_id or "")
        if managed is None and backup.managed_id is not None:
            continue
        facts = {"backup_name": backup.name, "backup_error": backup.detail or None}
        message = text(
            "alert.backup_failed.line" if backup.detail else "alert.backup_failed.plain",
            backup=backup.name,
            line=backup.detail,
        )
        yield Alert(
            kind=AlertKind.BACKUP_FAILED,
            severity=Severity.WARNING,
            host=(managed.host if managed else None) or view.now.host.name,
            stack=managed.name if managed else None,
            at=backup.at,
            message=message,
            evidence=facts_as_evidence(facts, backup.at, f"backup {backup.id}"),
        )


@detector(AlertKind.PLATFORM_UNREACHABLE)
def platform_unreachable(view: View) -> Iterator[Alert]:
    """Yield an alert if Dokploy has not answered, or not accepted the key, for `unreachable_after_s`."""
    since = view.now.unreachable_since
    if since is None or (view.now.at - since).total_seconds() < view.settings.unreachable_after_s:
        return
    problem = view.now.host.problem.removeprefix("Dokploy is unavailable: ")[:PROBLEM_LIMIT]
    silent_s = round((view.now.at - since).total_seconds(), 1)
    yield Alert(
        kind=AlertKind.PLATFORM_UNREACHABLE,
        severity=Severity.CRITICAL,
        host=view.now.host.name,
        at=since,
        message=text(
            f"alert.platform_unreachable.{unreachable_cause(problem)}", problem=view.now.host.message or problem
        ),
        evidence=facts_as_evidence({"platform_problem": problem, "platform_unreachable_s": silent_s}, since, "dokploy"),
    )


_UNREACHABLE_CAUSES = (
    ("key", re.compile(r"does not take the key|took the key for|\bkey may not\b")),
    ("limit", re.compile(r"limited to 10 checks a day")),
    ("proxy", re.compile(r"the proxy before")),
    ("elsewhere", re.compile(r"set `dokploy\.url`")),
    ("slow", re.compile(r"was not answered within|no answer within")),
)


def unreachable_cause(problem: str) -> str:
    """Return the class of the cause, from the client's message: key, limit, proxy, elsewhere, slow or network."""
    found = [name for name, pattern in _UNREACHABLE_CAUSES if pattern.search(problem)]
    return "limit" if "limit" in found else (found[0] if found else "network")


DOKPLOY_DETECTORS: tuple[Detector, ...] = (
    *DEPLOY_DETECTORS,
    status_contradicts,
    domain_failing,
    backup_failed,
    platform_unreachable,
)
"""Detectors in the order in which their alerts are raised."""

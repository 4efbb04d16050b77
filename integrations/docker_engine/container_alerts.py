"""Builds alerts with their evidence for the detectors."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from pydantic import JsonValue

from core.incidents.alert_kinds import AlertKind
from core.incidents.alerts import Alert, Evidence, Severity
from core.monitoring.exits import ContainerExit, ExitOrigin
from core.monitoring.inventory import Container
from core.monitoring.memory_trend import memory_shape
from core.monitoring.snapshot import EventKind, Snapshot, View
from core.text import Text

MIB = 1024 * 1024
OUTPUT_LIMIT = 500


def container_alert(
    container: Container,
    *,
    kind: AlertKind,
    severity: Severity,
    at: datetime,
    message: Text,
    facts: Mapping[str, JsonValue],
    source: str,
) -> Alert:
    """Return an alert about one container; facts that are None are left out."""
    return Alert(
        kind=kind,
        severity=severity,
        host=container.host,
        stack=container.stack,
        service=container.service,
        container=container.name,
        at=at,
        message=message,
        evidence=evidence_from(facts, at, f"{source} {container.ref}"),
    )


def evidence_from(facts: Mapping[str, JsonValue], at: datetime, source: str) -> tuple[Evidence, ...]:
    """Return the facts as evidence from one source; None is left out."""
    return tuple(
        Evidence(name=name, value=value, at=at, source=source) for name, value in facts.items() if value is not None
    )


def exit_facts(container: Container, end: ContainerExit, view: View) -> dict[str, JsonValue]:
    """Return the facts about the end of a run: exit, memory, timing."""
    return {
        "exit_code": end.exit_code,
        "signal": end.signal,
        "oom_killed": end.oom_killed,
        "oom_events": count_oom_events(container, view.now),
        "stopped_by": str(end.by),
        "stopped_by_person": end.by is ExitOrigin.STOP,
        "came_back": container.is_running and container.started_at is not None and container.started_at > end.at,
        "state_error": container.error or None,
        "restart_policy": container.restart_policy,
        "restart_count": container.restart_count,
        "restarts_in_window": view.now.restarts.get(container.name, 0),
        "run_seconds": run_seconds(container, end),
        **memory_facts(container, view, is_at_limit=end.oom_killed),
    }


def memory_facts(container: Container, view: View, *, is_at_limit: bool) -> dict[str, JsonValue]:
    """Return limit, peak and shape of the container's memory in the last minutes."""
    samples = view.now.samples.get(container.name, ())
    limit = container.memory_limit_bytes
    peak = max((sample.memory_bytes for sample in samples), default=0)
    if is_at_limit and limit:
        peak = limit
    points = [(sample.at.timestamp(), float(sample.memory_bytes)) for sample in samples]
    return {
        "memory_limit_mb": limit // MIB,
        "memory_peak_mb": peak // MIB if peak else None,
        "memory_shape": memory_shape(points, limit, ended_at_limit=is_at_limit) if limit else "unknown",
    }


def count_oom_events(container: Container, snapshot: Snapshot) -> int:
    """Return the number of `oom` events of this very container in the snapshot's window."""
    return sum(event.kind is EventKind.OOM for event in snapshot.events_of(container.id))


def run_seconds(container: Container, end: ContainerExit) -> float | None:
    """Return the length of the run that ended; None when its start is no longer known."""
    if container.started_at is None or container.started_at > end.at:
        return None
    return round((end.at - container.started_at).total_seconds(), 1)

"""Judges a repair by the detectors and the engine, never by the one who made it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol

from core.incidents.alerts import Alert, Severity
from core.incidents.incident import Incident
from core.monitoring.inventory import Container, Inventory
from core.monitoring.status import Status, status_of
from core.settings import VerificationSettings
from core.text import Text, text

BACKOFF_MARGIN_S = 10.0


class RepairSignals(Protocol):
    """The watchers' signals that a repair is judged by."""

    def inventory(self) -> Inventory:
        """Return the inventory as last seen."""
        ...

    def why_not_quiet(self, fingerprint: str, since: datetime) -> Text | None:
        """Return why the trouble is not over, or None."""
        ...

    def recurred(self, fingerprint: str, since: datetime) -> bool:
        """Return whether the trouble was seen again after that moment."""
        ...

    def firing(self) -> Sequence[Alert]:
        """Return all alerts that are firing."""
        ...


@dataclass(frozen=True, kw_only=True)
class VerificationState:
    """Progress of a verification."""

    acted_at: datetime
    good_since: datetime | None
    restarts: Mapping[str, int]
    """Restart counts at the first healthy look."""
    window_s: float
    containers: tuple[str, ...] = ()
    """Further containers (`host/name`) and services (`stack/service`) that must be well."""


@dataclass(frozen=True, kw_only=True)
class VerificationResult:
    """Result of one look."""

    verdict: Literal["pending", "held", "failed"]
    good_since: datetime | None = None
    restarts: Mapping[str, int]
    message: Text


def verification_window_s(
    containers: list[Container], learnt_start_s: float | None, settings: VerificationSettings
) -> float:
    """Return the window: max(setting, 2 × learnt start, start period, interval × retries, last back-off + 10 s)."""
    spans = [settings.window_s, 2.0 * (learnt_start_s or 0.0)]
    for one in containers:
        spans += [one.start_period_s, one.health_interval_s * one.health_retries]
        if one.restart_count > 0 and one.restart_policy != "no":
            spans.append(_last_backoff_s(one.restart_count) + BACKOFF_MARGIN_S)
    return min(max(spans), settings.limit_s)


def _last_backoff_s(restarts: int) -> float:
    """Return the engine's last wait before a restart: 100 ms at first, doubled up to a minute."""
    return float(min(0.1 * 2 ** min(restarts - 1, 10), 60.0))


def containers_to_verify(incident: Incident, inventory: Inventory, further: Sequence[str] = ()) -> list[Container]:
    """Return the containers that must be well: of the troubled services, of the culprit, and those in `further`.

    For trouble of a whole stack: all but completed jobs; for a failing domain: the containers that it leads to.
    """
    wanted = {(alert.host, alert.stack, alert.service) for alert in incident.alerts if alert.service}
    if incident.diagnosis is not None:
        culprit = incident.diagnosis.culprit.rpartition("/")[2]
        if inventory.service(incident.stack, culprit, incident.host) is not None:
            wanted.add((incident.host, incident.stack, culprit))
    served = [(alert.stack, alert.facts().get("domain_service")) for alert in incident.alerts]
    whole = {alert.stack for alert in incident.alerts if alert.stack and alert.kind.traits.needs_whole_stack}
    found = []
    for one in inventory.containers:
        is_named = (one.host, one.stack, one.service) in wanted or one.ref in further
        is_victim = f"{one.stack}/{one.service}" in further and not _was_down(one, incident)
        is_besides = is_victim or one.stack in whole or (one.stack, one.service) in served
        if is_named or (is_besides and one.stack is not None and status_of(one) is not Status.FINISHED):
            found.append(one)
    return found


def _was_down(container: Container, incident: Incident) -> bool:
    """Return whether it ended before the trouble came, so that the repair need not bring it back."""
    ended_at = container.finished_at
    return not container.is_running and ended_at is not None and ended_at < incident.occurred_at


def check_repair(
    incident: Incident,
    signals: RepairSignals,
    progress: VerificationState,
    now: datetime,
    settings: VerificationSettings,
) -> VerificationResult:
    """Judge one look: no recurrence, everything up, nothing else worse, and for how long."""
    inventory = signals.inventory()
    containers = containers_to_verify(incident, inventory, progress.containers)
    restarts = dict(progress.restarts) or {one.ref: one.restart_count for one in containers}
    bad = _recurrence(incident, signals, progress) or _restarted(containers, progress)
    bad = bad or _worse(incident, signals, progress)
    if bad is not None:
        return VerificationResult(verdict="failed", restarts=restarts, message=bad)
    not_yet = _not_yet(incident, containers, signals, progress)
    if not_yet is not None:
        late = now - progress.acted_at > timedelta(seconds=settings.limit_s)
        return VerificationResult(verdict="failed" if late else "pending", restarts={}, message=not_yet)
    since = progress.good_since or now
    held_s = (now - since).total_seconds()
    message = text("verify.holds", seconds=round(held_s), window=round(progress.window_s))
    return VerificationResult(
        verdict="held" if held_s >= progress.window_s else "pending",
        good_since=since,
        restarts=restarts,
        message=message,
    )


def alerts_are_quiet(incident: Incident, signals: RepairSignals, since: datetime) -> bool:
    """Return whether none of the incident's alerts came again after a moment, and none speaks against a recovery."""
    return not any(
        signals.recurred(alert.fingerprint, since) or signals.why_not_quiet(alert.fingerprint, since) is not None
        for alert in incident.alerts
    )


def _recurrence(incident: Incident, signals: RepairSignals, progress: VerificationState) -> Text | None:
    for alert in incident.alerts:
        if signals.recurred(alert.fingerprint, progress.acted_at):
            return text("verify.recurred", what=alert.message)
    return None


def _restarted(containers: list[Container], progress: VerificationState) -> Text | None:
    for one in containers:
        before = progress.restarts.get(one.ref)
        if before is not None and one.restart_count > before:
            return text("verify.restarted", service=one.service, count=one.restart_count - before)
    return None


def _worse(incident: Incident, signals: RepairSignals, progress: VerificationState) -> Text | None:
    own = {alert.fingerprint for alert in incident.alerts}
    for alert in signals.firing():
        is_new = alert.at > progress.acted_at and alert.fingerprint not in own
        if is_new and alert.stack == incident.stack and alert.host == incident.host and _counts(alert):
            return text("verify.worse", what=alert.message)
    return None


def _counts(alert: Alert) -> bool:
    return alert.severity is not Severity.INFO


def _not_yet(
    incident: Incident, containers: list[Container], signals: RepairSignals, progress: VerificationState
) -> Text | None:
    if not containers and incident.container is not None:
        return text("verify.gone", service=incident.target)
    for one in containers:
        status = status_of(one)
        if status in (Status.STARTING, Status.UNHEALTHY):
            return text("verify.not_healthy", service=one.service, health=one.health)
        if status is not Status.WELL:
            return text("verify.not_running", service=one.service, state=one.state)
    for alert in incident.alerts:
        unrest = signals.why_not_quiet(alert.fingerprint, progress.acted_at)
        if unrest is not None:
            return unrest
    return None

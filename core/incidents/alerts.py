"""Alerts: a detector's finding about one target, with its evidence; and silences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from pydantic import JsonValue

from core.incidents.alert_kinds import AlertKind, DetectorKind
from core.text import Text


class Severity(StrEnum):
    """Urgency of an alert, least first."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """One measured fact: `name` is in the list of `core/incidents/evidence.py`, `value` is plain JSON."""

    name: str
    value: JsonValue
    at: datetime
    source: str
    """Origin of the fact, so that a person can look again: `inspect local/api-1`, `events`, `logs …`."""


@dataclass(frozen=True, kw_only=True)
class Alert:
    """A problem of one target."""

    kind: AlertKind
    severity: Severity
    host: str
    stack: str | None = None
    service: str | None = None
    container: str | None = None
    """The container's name; `ref` gives host/name."""
    at: datetime
    """Time of the problem, by the system's own clock if it has one."""
    message: Text
    evidence: tuple[Evidence, ...] = ()
    reported_as: str = ""
    """`source/id` in the other system that reported it (core/incidents/external_alerts.py); empty: a watcher saw it."""

    @property
    def detector(self) -> DetectorKind:
        """Kind of its end; an alert from another system is quiet when that system reports it over."""
        return "state" if self.reported_as else self.kind.traits.detector

    @property
    def fingerprint(self) -> str:
        """Equal for repeats of the same problem: `kind:host/stack/service`, `kind@source/id:…` if reported."""
        kind = f"{self.kind}@{self.reported_as}" if self.reported_as else self.kind
        return f"{kind}:{self.host}/{self.stack or '-'}/{self.service or '-'}"

    @property
    def reported_by(self) -> str:
        """The other system that reported it; empty: a watcher saw it."""
        return self.reported_as.partition("/")[0]

    @property
    def ref(self) -> str | None:
        """`host/container`, or None if the alert is about a host."""
        return f"{self.host}/{self.container}" if self.container else None

    def facts(self) -> Mapping[str, JsonValue]:
        """Return its evidence by name."""
        return {item.name: item.value for item in self.evidence}


@dataclass(frozen=True, kw_only=True)
class Silence:
    """A mute on a target's alerts until a moment; `target` is a stack, a `stack/service` or a host."""

    id: int = 0
    target: str
    until: datetime
    by: str
    why: str = ""

    @property
    def stack(self) -> str:
        """The stack of the target; of a host, whatever a role on the whole installation covers."""
        return self.target.partition("/")[0]

    def covers(self, alert: Alert, now: datetime) -> bool:
        """Return whether it holds the alert back at `now`."""
        if now >= self.until:
            return False
        own = {alert.host, alert.stack or "", f"{alert.stack}/{alert.service}" if alert.stack else alert.service or ""}
        return self.target in own


@dataclass(frozen=True, kw_only=True)
class Firing:
    """An alert that is firing, as the tracker remembers it."""

    alert: Alert
    since: datetime
    last: datetime
    count: int = 1
    labels: Mapping[str, str] = field(default_factory=dict)

"""What a detector says: an alert about one thing, with the evidence it saw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import JsonValue

from core.text import Text


class Severity(StrEnum):
    """How loud, least first."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class AlertKind(StrEnum):
    """What can be wrong. The runbooks' `trigger.event` names one of these."""

    CONTAINER_DIED = "container_died"
    """Exited unexpectedly, whatever the cause (the kernel's memory killer too)."""
    CRASH_LOOP = "crash_loop"
    CHILD_OOM = "child_oom"
    """The kernel killed a process inside; the container itself runs on."""
    UNHEALTHY = "unhealthy"
    CANNOT_START = "cannot_start"
    KILLED_BY_API = "killed_by_api"
    PAUSED = "paused"
    MEMORY_NEAR_LIMIT = "memory_near_limit"
    CPU_PEGGED = "cpu_pegged"
    CPU_THROTTLED = "cpu_throttled"
    ENGINE_UNREACHABLE = "engine_unreachable"
    DEPLOY_FAILED = "deploy_failed"
    """A deployment ended with an error."""
    DEPLOY_CRASHED = "deploy_crashed"
    """A deployment was called done, and its containers crashed or never became well."""
    DEPLOY_STUCK = "deploy_stuck"
    """A deployment runs far longer than it should."""
    QUEUE_BLOCKED = "queue_blocked"
    """Deployments wait behind one that does not end."""
    STATUS_CONTRADICTS = "status_contradicts"
    """The platform says that a stack runs, and its containers do not, or the other way round."""
    DOMAIN_FAILING = "domain_failing"
    """A domain does not answer: its name, its router, its port or its certificate."""
    BACKUP_FAILED = "backup_failed"
    PLATFORM_UNREACHABLE = "platform_unreachable"
    """The platform (Dokploy) does not answer, or does not take the key."""
    DETECTOR_FAILED = "detector_failed"
    """A detector of the guardian's own raises errors: what it looks for goes unseen."""


UNREACHABLE_KINDS = frozenset({AlertKind.ENGINE_UNREACHABLE, AlertKind.PLATFORM_UNREACHABLE})
"""About the watched system itself: all that can still be said when it does not answer."""
ABOUT_THE_WATCH = UNREACHABLE_KINDS | {AlertKind.DETECTOR_FAILED}
"""About how a system is watched, not about what runs there: its own watcher alone says so."""


DetectorKind = Literal["state", "event"]
"""`state`: quiet when its condition is false. `event`: quiet when the target runs well and nothing recurred."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """One measured fact: `name` is in the list of `core/incidents/evidence.py`, `value` is plain JSON."""

    name: str
    value: JsonValue
    at: datetime
    source: str
    """Where it was read, so that a person can look again: `inspect local/api-1`, `events`, `logs …`."""


@dataclass(frozen=True, kw_only=True)
class Alert:
    """Something is wrong with one target."""

    kind: AlertKind
    detector: DetectorKind
    severity: Severity
    host: str
    stack: str | None = None
    service: str | None = None
    container: str | None = None
    """The container's name; `ref` gives host/name."""
    at: datetime
    """When it happened, by the system's own clock where it tells."""
    says: Text
    evidence: tuple[Evidence, ...] = ()
    reported_as: str = ""
    """`source/id` of the other system that reported it (core/incidents/external_alerts.py); empty: a watcher saw it."""

    @property
    def fingerprint(self) -> str:
        """Equal for repeats of the same trouble: `kind:host/stack/service`, reported ones `kind@source/id:…`."""
        kind = f"{self.kind}@{self.reported_as}" if self.reported_as else self.kind
        return f"{kind}:{self.host}/{self.stack or '-'}/{self.service or '-'}"

    @property
    def reported_by(self) -> str:
        """The other system that reported it; empty: a watcher saw it."""
        return self.reported_as.partition("/")[0]

    @property
    def ref(self) -> str | None:
        """`host/container`, or None when the alert is about a host."""
        return f"{self.host}/{self.container}" if self.container else None

    def facts(self) -> Mapping[str, JsonValue]:
        """Its evidence by name."""
        return {item.name: item.value for item in self.evidence}


@dataclass(frozen=True, kw_only=True)
class Silence:
    """No alarms for a target until a moment; `target` is a stack, a `stack/service` or a host."""

    id: int = 0
    target: str
    until: datetime
    by: str
    why: str = ""

    def covers(self, alert: Alert, now: datetime) -> bool:
        """Whether it holds the alert back at `now`."""
        if now >= self.until:
            return False
        own = {alert.host, alert.stack or "", f"{alert.stack}/{alert.service}" if alert.stack else alert.service or ""}
        return self.target in own


@dataclass(frozen=True, kw_only=True)
class Firing:
    """An alert that is on, as the desk remembers it."""

    alert: Alert
    since: datetime
    last: datetime
    count: int = 1
    labels: Mapping[str, str] = field(default_factory=dict)

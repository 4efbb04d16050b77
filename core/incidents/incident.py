"""Incidents: one problem with one card, from its detection to its end."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from pydantic import JsonValue

from core.incidents.alerts import Alert, Evidence, Severity
from core.text import Text


class IncidentState(StrEnum):
    """State of an incident."""

    DETECTED = "detected"
    DIAGNOSING = "diagnosing"
    NEEDS_APPROVAL = "needs_approval"
    ACTING = "acting"
    VERIFYING = "verifying"
    RESOLVED = "resolved"
    ROLLED_BACK = "rolled_back"
    ESCALATED = "escalated"
    RECOVERED = "recovered"
    """The alert cleared by itself; open approvals were withdrawn."""
    DENIED = "denied"
    """Denied by a person; stays open, left to people."""
    EXPIRED = "expired"
    """Nobody decided in time; stays open, left to people."""
    ACKNOWLEDGED = "acknowledged"
    """Taken over by a person; automation has stopped."""
    MERGED = "merged"
    """Belongs to an older incident, which goes on."""
    CLOSED = "closed"
    """Closed by hand, or its target is no longer watched; its alerts may still be firing."""


_OVER = frozenset({IncidentState.RESOLVED, IncidentState.RECOVERED, IncidentState.MERGED, IncidentState.CLOSED})
WITH_A_PERSON = frozenset(
    {IncidentState.ESCALATED, IncidentState.DENIED, IncidentState.EXPIRED, IncidentState.ACKNOWLEDGED}
)
"""Open, but automation has stopped: it ends when the alert clears or a person closes it."""

BUSY = frozenset({IncidentState.ACTING, IncidentState.VERIFYING})
"""A repair is under way: its result ends the incident, not a cleared alert."""
CULPRIT = "culprit:"
ALERT_IS_ON = "alert_is_on"
"""Tag of an incident closed by hand while one of its alerts was firing, until that clears."""


class Decider(StrEnum):
    """Author of the diagnosis."""

    RULE = "rule"
    MODEL = "model"
    PERSON = "person"


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """Cause of an incident; every sentence is backed by evidence."""

    cause: str
    """A cause class: memory_limit, missing_env, dependency_stopped …"""
    message: Text
    culprit: str
    """Service at the root of the problem, `stack/service`."""
    confidence: float
    """0–1."""
    evidence: tuple[str, ...]
    """Names (ids) of the evidence behind it."""
    affected: tuple[str, ...] = ()
    decided_by: Decider = Decider.RULE
    runbook: str | None = None
    explanation: str = ""
    """The model's explanation, if it was asked for one; free of secrets."""


@dataclass(frozen=True, kw_only=True)
class TimelineEntry:
    """One event in the incident's history."""

    at: datetime
    message: Text


@dataclass(frozen=True, kw_only=True)
class Verification:
    """Progress of a repair's verification; stored, so that a restart in its midst loses nothing of it."""

    acted_at: datetime
    """Time at which the repair took effect."""
    good_since: datetime | None = None
    """Start of the time for which all has been well; None: it is not yet."""
    restarts: dict[str, int] = field(default_factory=dict)
    """Restart counts at `good_since`, by container (`host/name`)."""


@dataclass(frozen=True, kw_only=True)
class Incident:
    """One problem with all its alerts. `id` is 0 until it is recorded."""

    id: int = 0
    state: IncidentState = IncidentState.DETECTED
    severity: Severity
    host: str
    stack: str | None
    service: str | None
    container: str | None
    message: Text
    """The problem in one sentence (the first alert's)."""
    kind: str
    """The first alert's kind."""
    opened_at: datetime
    occurred_at: datetime
    """Time of the problem, by the system's clock."""
    updated_at: datetime
    closed_at: datetime | None = None
    alerts: tuple[Alert, ...] = ()
    """All its alerts, one per fingerprint, in order of arrival."""
    repeats: int = 0
    """Number of times its alerts fired again."""
    is_flapping: bool = False
    gathered: tuple[Evidence, ...] = ()
    """Evidence that the agent gathered besides the alerts; stored whole, so that the incident can be replayed."""
    context: JsonValue = None
    """Results of the runbook's own gathering, by id."""
    attempt: int = 0
    """Number of plans tried so far."""
    verify_until: datetime | None = None
    """End of the verification window while it is open."""
    verification: Verification | None = None
    """Verification of the last repair."""
    diagnosis: Diagnosis | None = None
    plan: JsonValue = None
    """The rendered plan, as `agent/runbooks/plans.py` writes it."""
    plan_steps: tuple[Text, ...] = ()
    outcome: Text | None = None
    """Result of the repair, or reason of the end, in one sentence."""
    acknowledged_by: str | None = None
    merged_into: int | None = None
    is_simulated: bool = False
    timeline: tuple[TimelineEntry, ...] = ()
    tags: tuple[str, ...] = field(default=())
    """Marks such as `culprit:granada/postgres`."""

    @property
    def is_open(self) -> bool:
        """True until it has ended."""
        return self.state not in _OVER

    @property
    def key(self) -> str:
        """Key of its run and prefix of its calls' keys: `inc-7`."""
        return f"inc-{self.id}"

    @property
    def target(self) -> str:
        """`stack/service`, a service or a stack alone, or the host."""
        if self.service is None:
            return self.stack or self.host
        return f"{self.stack}/{self.service}" if self.stack else self.service

    @property
    def culprit(self) -> str | None:
        """`stack/service` of the root that grouping found; None: its own target, as far as grouping knows."""
        found = (tag.removeprefix(CULPRIT) for tag in reversed(self.tags) if tag.startswith(CULPRIT))
        return next(found, None)

    def with_culprit(self, title: str) -> Incident:
        """Return the incident with another root."""
        kept = tuple(tag for tag in self.tags if not tag.startswith(CULPRIT))
        return replace(self, tags=(*kept, f"{CULPRIT}{title}"))

    def facts(self) -> dict[str, JsonValue]:
        """Return all its evidence by name; later evidence wins."""
        return {item.name: item.value for item in self.evidence()}

    def evidence(self) -> Iterable[Evidence]:
        """Return the evidence of all its alerts in their order, then the gathered evidence."""
        return (*(item for alert in self.alerts for item in alert.evidence), *self.gathered)

    def closed(self, at: datetime, message: Text) -> Incident:
        """Return the incident closed for another reason than that its problem is over."""
        return replace(self, state=IncidentState.CLOSED, outcome=message, verify_until=None).note(at, message)

    def note(self, at: datetime, message: Text) -> Incident:
        """Return the incident with one more entry in its timeline (the last 100 are kept)."""
        return replace(self, updated_at=at, timeline=(*self.timeline, TimelineEntry(at=at, message=message))[-100:])

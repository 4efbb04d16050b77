"""An incident: one trouble with one card, from detected to its end."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from pydantic import JsonValue

from core.incidents.alerts import Alert, Evidence, Severity
from core.text import Text


class IncidentState(StrEnum):
    """Where an incident stands."""

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
    """A person said no; stays open, with a person."""
    EXPIRED = "expired"
    """Nobody decided in time; stays open, with a person."""
    ACKNOWLEDGED = "acknowledged"
    """A person has it; automation has stopped."""
    MERGED = "merged"
    """Belongs to an older incident, which goes on."""
    CLOSED = "closed"
    """Closed by hand, or nobody watches what it is about any more; its alerts may still be on."""


_OVER = frozenset({IncidentState.RESOLVED, IncidentState.RECOVERED, IncidentState.MERGED, IncidentState.CLOSED})
WITH_A_PERSON = frozenset(
    {IncidentState.ESCALATED, IncidentState.DENIED, IncidentState.EXPIRED, IncidentState.ACKNOWLEDGED}
)
"""Open, but the machine has stopped: only the world (the alert clears) or a person ends it."""

BUSY = frozenset({IncidentState.ACTING, IncidentState.VERIFYING})
"""A repair is under way: its own end decides, not the alert that clears."""
CULPRIT = "culprit:"
ALERT_IS_ON = "alert_is_on"
"""Tag of an incident that was closed by hand while an alert of it was on, until that clears."""


class Decider(StrEnum):
    """Who named the cause."""

    RULE = "rule"
    MODEL = "model"
    PERSON = "person"


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """Why it happened; every sentence rests on evidence."""

    cause: str
    """A cause class: memory_limit, missing_env, dependency_stopped …"""
    says: Text
    culprit: str
    """Service that is the root, `stack/service`."""
    confidence: float
    """0–1."""
    evidence: tuple[str, ...]
    """Names (ids) of the evidence it rests on."""
    affected: tuple[str, ...] = ()
    decided_by: Decider = Decider.RULE
    runbook: str | None = None
    explanation: str = ""
    """The model's own words, when it was asked to explain; free of secrets."""


@dataclass(frozen=True, kw_only=True)
class TimelineEntry:
    """One thing that happened to the incident."""

    at: datetime
    says: Text


@dataclass(frozen=True, kw_only=True)
class Verification:
    """How far the verification of a repair has come; kept, so that a restart in its midst loses nothing of it."""

    acted_at: datetime
    """When the repair took effect."""
    good_since: datetime | None = None
    """Since when all has been well; None: it is not yet."""
    restarts: dict[str, int] = field(default_factory=dict)
    """Restart counts when all was well first, by container (`host/name`)."""


@dataclass(frozen=True, kw_only=True)
class Incident:
    """One trouble. `id` is 0 until the records give it one."""

    id: int = 0
    state: IncidentState = IncidentState.DETECTED
    severity: Severity
    host: str
    stack: str | None
    service: str | None
    container: str | None
    says: Text
    """What is wrong, in one sentence (the first alert's)."""
    kind: str
    """The first alert's kind."""
    opened_at: datetime
    occurred_at: datetime
    """When it happened, by the system's clock."""
    updated_at: datetime
    closed_at: datetime | None = None
    alerts: tuple[Alert, ...] = ()
    """Every alert that belongs to it, one per fingerprint, first first."""
    repeats: int = 0
    """How often its alerts fired again."""
    is_flapping: bool = False
    gathered: tuple[Evidence, ...] = ()
    """What the agent found out besides the alerts; kept whole, so that the incident can be replayed."""
    context: JsonValue = None
    """Results of the runbook's own gathering, by id."""
    attempt: int = 0
    """Plans tried so far."""
    verify_until: datetime | None = None
    """End of the verification window while it is open."""
    verification: Verification | None = None
    """Of the last repair that was verified."""
    diagnosis: Diagnosis | None = None
    plan: JsonValue = None
    """The rendered plan, as `agent/runbooks/plans.py` writes it."""
    plan_says: tuple[Text, ...] = ()
    outcome_says: Text | None = None
    """How the repair ended, in one sentence."""
    acknowledged_by: str | None = None
    merged_into: int | None = None
    is_simulated: bool = False
    timeline: tuple[TimelineEntry, ...] = ()
    tags: tuple[str, ...] = field(default=())
    """Marks such as `culprit:granada/postgres`."""

    @property
    def is_open(self) -> bool:
        """Whether anything may still happen to it."""
        return self.state not in _OVER

    @property
    def key(self) -> str:
        """The key of its run and the stem of its calls' keys: `inc-7`."""
        return f"inc-{self.id}"

    @property
    def target(self) -> str:
        """`stack/service`, a service or a stack alone, or the host."""
        if self.service is None:
            return self.stack or self.host
        return f"{self.stack}/{self.service}" if self.stack else self.service

    @property
    def culprit(self) -> str | None:
        """`stack/service` of the root that grouping found; None: its own target, as far as grouping can tell."""
        found = (tag.removeprefix(CULPRIT) for tag in reversed(self.tags) if tag.startswith(CULPRIT))
        return next(found, None)

    def with_culprit(self, title: str) -> Incident:
        """The same incident with another root."""
        kept = tuple(tag for tag in self.tags if not tag.startswith(CULPRIT))
        return replace(self, tags=(*kept, f"{CULPRIT}{title}"))

    def facts(self) -> dict[str, JsonValue]:
        """All its evidence by name; what was found later wins."""
        return {item.name: item.value for item in self.evidence()}

    def evidence(self) -> Iterable[Evidence]:
        """The evidence of all its alerts in their order, then what was gathered."""
        return (*(item for alert in self.alerts for item in alert.evidence), *self.gathered)

    def closed(self, at: datetime, says: Text) -> Incident:
        """The same incident, ended for another reason than that its trouble is over."""
        return replace(self, state=IncidentState.CLOSED, outcome_says=says, verify_until=None).note(at, says)

    def note(self, at: datetime, says: Text) -> Incident:
        """The same incident with one more line in its timeline (the last 100 are kept)."""
        return replace(self, updated_at=at, timeline=(*self.timeline, TimelineEntry(at=at, says=says))[-100:])

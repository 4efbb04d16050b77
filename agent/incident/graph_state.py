"""State of the incident graph between its nodes: plain JSON only; anything large is kept in the records."""

from __future__ import annotations

from typing import Literal, TypedDict

from core.actions.catalog import JsonObject

PlanOutcome = Literal["ok", "failed", "unknown", "denied", "refused", "expired", "withdrawn"]
RepairOutcome = Literal["held", "failed"]


class IncidentGraphState(TypedDict, total=False):
    """One incident on its way through the graph."""

    incident_id: int
    attempt: int
    """Number of plans tried, including this one."""
    attempts_limit: int
    tried: list[str]
    """`runbook#solution` of each, so that none is tried twice."""
    culprit: str
    """The service at the root, by its name in the stack."""
    affected: list[str]
    offers: list[dict[str, str]]
    """Offered actions that the model chose."""
    tokens: int
    """Model tokens spent on this incident."""
    plan: JsonObject | None
    """JSON of a `Plan`; None when the machine has nothing to do."""
    call_keys: list[str]
    undo_keys: list[str]
    undo: PlanOutcome | None
    """Outcome of undoing the last plan; None when there was nothing to undo."""
    acted_at: str
    """Moment at which the plan was submitted, ISO 8601."""
    calls: PlanOutcome
    root_seen: str | None
    """The incident's root when the evidence was gathered; the plan is void once it changes."""
    is_over: bool
    verdict: RepairOutcome
    is_back: bool
    """True when the trouble came back between the verdict and the closing of the incident."""
    reason: JsonObject | None
    """Reason why the machine stops, as JSON of a Text."""


class RepairCheck(TypedDict):
    """Conditions that must hold after a plan was executed."""

    calls: list[str]
    """Keys of the plan's calls."""
    submitted_at: str
    """ISO 8601; used when none of the calls has ended."""
    window_s: float
    """Minimum time that the repair must hold, by the runbook."""
    containers: list[str]
    """Further containers (`host/name`) and services (`stack/service`) that must be well."""


class RepairVerdict(TypedDict):
    """The judgement of a repair."""

    verdict: RepairOutcome
    reason: JsonObject | None
    """Reason why it failed, as JSON of a Text."""


class GraphWait(TypedDict, total=False):
    """The one thing that a paused graph waits for."""

    calls: list[str]
    """Keys of calls that must all have ended."""
    repair: RepairCheck
    """A repair that must have held or failed."""

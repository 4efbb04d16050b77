"""What the incident graph remembers between its nodes: plain JSON only; big things are kept in the records."""

from __future__ import annotations

from typing import Literal, TypedDict

from core.actions.catalog import JsonObject

CallsEnd = Literal["ok", "failed", "unknown", "denied", "refused", "expired", "withdrawn"]
FixVerdict = Literal["held", "failed"]


class IncidentGraphState(TypedDict, total=False):
    """One incident on its way through the graph."""

    incident_id: int
    attempt: int
    """Plans tried, this one included."""
    attempts_limit: int
    tried: list[str]
    """`runbook#solution` of each, so that none is tried twice."""
    culprit: str
    """The service at the root, by its name in the stack."""
    affected: list[str]
    offers: list[dict[str, str]]
    """What the model chose of the offered actions."""
    tokens: int
    """Of the model, spent on this incident."""
    plan: JsonObject | None
    """As `agent/runbooks/plans.py` writes it; None: there is nothing to do by machine."""
    call_keys: list[str]
    undo_keys: list[str]
    undo: CallsEnd | None
    """How taking the last plan back ended; None: there was nothing to take back."""
    acted_at: str
    """When the plan was submitted, ISO 8601."""
    calls: CallsEnd
    root_seen: str | None
    """The incident's root when the evidence was gathered; another one since makes the plan void."""
    is_over: bool
    verdict: FixVerdict
    is_back: bool
    """True: the trouble came back between the verdict and the closing of the incident."""
    reason: JsonObject | None
    """Why the machine stops, as a Text."""


class RepairCheck(TypedDict):
    """What must hold after a plan was carried out."""

    calls: list[str]
    """Keys of what was done."""
    submitted_at: str
    """ISO 8601; counts where none of the calls has an end."""
    window_s: float
    """The least time that it must hold, by the runbook."""
    containers: list[str]
    """Further ones that must be well: containers (`host/name`) and services (`stack/service`)."""


class RepairVerdict(TypedDict):
    """How it turned out."""

    verdict: FixVerdict
    reason: JsonObject | None
    """What speaks against it, as a Text."""


class Wait(TypedDict, total=False):
    """What a paused graph waits for: one of them."""

    calls: list[str]
    """Until all of these calls have ended."""
    repair: RepairCheck
    """Until this has held or failed."""

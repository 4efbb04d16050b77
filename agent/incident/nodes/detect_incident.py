"""Starts work on the incident unless a person already has it."""

from __future__ import annotations

from dataclasses import replace

from agent.incident.graph_state import IncidentGraphState
from agent.incident.incident_deps import IncidentDeps
from core.incidents.incident import WITH_A_PERSON, Incident, IncidentState


async def detect_incident(state: IncidentGraphState, deps: IncidentDeps) -> IncidentGraphState:
    """Mark the incident as being diagnosed."""
    now = deps.clock.now()

    def looking(one: Incident) -> Incident:
        if not one.is_open or one.state in WITH_A_PERSON:
            return one
        return replace(one, state=IncidentState.DIAGNOSING, updated_at=now)

    await deps.tracker.update(state["incident_id"], looking)
    return {
        "attempt": 0,
        "attempts_limit": deps.settings.policy.attempts_per_incident,
        "tried": [],
        "tokens": 0,
        "call_keys": [],
        "undo_keys": [],
        "reason": None,
    }

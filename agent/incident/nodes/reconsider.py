"""Reconsiders the incident after its plan was withdrawn: it is over, or its root has become known."""

from __future__ import annotations

from dataclasses import replace

from agent.incident.graph_state import IncidentGraphState
from agent.incident.incident_deps import IncidentDeps
from core.incidents.incident import WITH_A_PERSON, Incident, IncidentState


async def reconsider(state: IncidentGraphState, deps: IncidentDeps) -> IncidentGraphState:
    """Start anew unless the incident is over or with a person; a plan that never ran does not count as tried."""
    incident = await deps.tracker.get(state["incident_id"])
    if incident is None or not incident.is_open or incident.state in WITH_A_PERSON:
        return {"is_over": True}

    def anew(one: Incident) -> Incident:
        is_machine = one.is_open and one.state not in WITH_A_PERSON
        return replace(one, state=IncidentState.DIAGNOSING, plan=None, plan_steps=()) if is_machine else one

    await deps.tracker.update(incident.id, anew)
    return {
        "is_over": False,
        "plan": None,
        "attempt": max(state.get("attempt", 1) - 1, 0),
        "tried": state.get("tried", [])[:-1],
        "call_keys": [],
    }

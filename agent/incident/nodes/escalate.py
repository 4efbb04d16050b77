"""Hands the incident to a person, with the reason and all that was found."""

from __future__ import annotations

from dataclasses import replace

from agent.incident.graph_state import IncidentGraphState
from agent.incident.incident_deps import IncidentDeps
from agent.incident.nodes.learn import teach
from core.incidents.incident import WITH_A_PERSON, Incident, IncidentState
from core.text import Text, text

_STATES = {"denied": IncidentState.DENIED, "expired": IncidentState.EXPIRED}
_REASONS = {"denied": "agent.denied", "expired": "agent.expired", "unknown": "agent.unknown"}


async def escalate(state: IncidentGraphState, mind: IncidentDeps) -> IncidentGraphState:
    """The machine stops; the world (the alert clears) or a person ends the incident."""
    incident = await mind.desk.get(state["incident_id"])
    if incident is None or not incident.is_open:
        return {}
    end = state.get("calls", "refused")
    raw = state.get("reason")
    reason = Text.from_json(raw) if raw else text(_REASONS.get(end, "agent.no_plan"))
    if end in _REASONS and end != "unknown":
        reason = text(_REASONS[end])
    now = mind.clock.now()
    next_state = _STATES.get(end, IncidentState.ESCALATED)

    def handed_over(one: Incident) -> Incident:
        if not one.is_open or one.state is IncidentState.ACKNOWLEDGED:
            return one
        if one.state in WITH_A_PERSON and one.state is not IncidentState.ROLLED_BACK:
            return one
        said = replace(one, state=next_state, outcome_says=reason, verify_until=None)
        return said.note(now, text("agent.escalated", reason=reason))

    pages = None if end == "denied" else text("agent.page.escalated", reason=reason)
    after = await mind.desk.update(incident.id, handed_over, pages=pages)
    if state.get("attempt", 0) > 0 and end in ("ok", "failed", "unknown"):
        await teach(after, mind, did_hold=False, call_keys=state.get("call_keys", []))
    return {}

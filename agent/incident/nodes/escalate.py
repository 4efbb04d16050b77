"""Hands the incident to a person, with the reason and all evidence."""

from __future__ import annotations

from dataclasses import replace

from agent.incident.graph_state import IncidentGraphState
from agent.incident.incident_deps import IncidentDeps
from agent.incident.nodes.learn import keep_lesson
from agent.incident.nodes.outcomes import call_records
from core.actions.approvals import ApprovalState
from core.incidents.incident import WITH_A_PERSON, Incident, IncidentState
from core.text import Text, text

_STATES = {"denied": IncidentState.DENIED, "expired": IncidentState.EXPIRED}


async def escalate(state: IncidentGraphState, deps: IncidentDeps) -> IncidentGraphState:
    """Stop work on the incident; from here a cleared alert or a person ends it."""
    incident = await deps.tracker.get(state["incident_id"])
    if incident is None or not incident.is_open:
        return {}
    end = state.get("calls", "refused")
    reason = await _reason(state, deps)
    now = deps.clock.now()
    next_state = _STATES.get(end, IncidentState.ESCALATED)

    def handed_over(one: Incident) -> Incident:
        if not one.is_open or one.state is IncidentState.ACKNOWLEDGED:
            return one
        if one.state in WITH_A_PERSON and one.state is not IncidentState.ROLLED_BACK:
            return one
        said = replace(one, state=next_state, outcome=reason, verify_until=None)
        is_refusal = next_state is not IncidentState.ESCALATED
        return said.note(now, reason if is_refusal else text("agent.escalated", reason=reason))

    pages = None if end == "denied" else text("agent.page.escalated", reason=reason)
    after = await deps.tracker.update(incident.id, handed_over, pages=pages)
    if state.get("attempt", 0) > 0 and end in ("ok", "failed", "unknown"):
        await keep_lesson(after, deps, did_hold=False, call_keys=state.get("call_keys", []))
    return {}


async def _reason(state: IncidentGraphState, deps: IncidentDeps) -> Text:
    """Return the reason: who denied the plan, that nobody decided, or what went wrong."""
    end = state.get("calls", "refused")
    if end == "denied":
        return text("agent.denied", who=await _denied_by(state, deps))
    if end == "expired":
        return text("agent.expired")
    if raw := state.get("reason"):
        return Text.from_json(raw)
    return text("agent.unknown" if end == "unknown" else "agent.no_plan")


async def _denied_by(state: IncidentGraphState, deps: IncidentDeps) -> str | None:
    """Return the actor id of the person who denied the plan."""
    found = await call_records(deps.gateway, state.get("call_keys", []))
    asked = [await deps.gateway.approvals.get(one.approval_id) for one in found if one.approval_id]
    return next((one.decided_by for one in asked if one and one.state is ApprovalState.DENIED), None)

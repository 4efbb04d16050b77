"""Submits the plan to the gateway and returns: the gateway acts, the graph only waits."""

from __future__ import annotations

from dataclasses import replace

from agent.incident.graph_state import IncidentGraphState
from agent.incident.incident_deps import IncidentDeps
from agent.incident.nodes.outcomes import call_records, first_problem
from agent.runbooks.plans import Plan, plan_calls
from core.actions.calls import CallState
from core.incidents.incident import WITH_A_PERSON, Incident, IncidentState
from core.text import text


async def execute_action(state: IncidentGraphState, deps: IncidentDeps) -> IncidentGraphState:
    """Submit every step of the plan; calls have fixed keys, so a second visit submits nothing twice."""
    incident = await deps.tracker.get(state["incident_id"])
    raw = state.get("plan")
    if incident is None or raw is None or _is_over(incident) or incident.culprit != state.get("root_seen"):
        return {"call_keys": []}
    calls = plan_calls(Plan.from_json(raw), incident)
    receipts = await deps.gateway.submit_plan(calls)
    is_asking = any(receipt.state is CallState.ASKED for receipt in receipts)
    is_only_asking = all(receipt.state is CallState.ASKED for receipt in receipts)
    if any(receipt.state is CallState.DENIED for receipt in receipts):
        problem = first_problem(await call_records(deps.gateway, [call.key for call in calls]))
        return {
            "call_keys": [call.key for call in calls],
            "reason": problem.to_json() if problem else None,
        }
    now = deps.clock.now()
    next_state = IncidentState.NEEDS_APPROVAL if is_asking else IncidentState.ACTING

    def waiting(one: Incident) -> Incident:
        if _is_over(one) or (is_only_asking and one.state is IncidentState.ACTING):
            return one  # the decision was quicker than this line
        message = text("agent.asks" if is_asking else "agent.acts")
        return replace(one.note(now, message), state=next_state)

    after = await deps.tracker.update(incident.id, waiting, pages=text("agent.page.approval") if is_asking else None)
    if _is_over(after):
        await deps.gateway.withdraw(incident.id)
    return {"call_keys": [call.key for call in calls], "acted_at": now.isoformat()}


def _is_over(incident: Incident) -> bool:
    """Return whether the incident has ended or is with a person."""
    return not incident.is_open or incident.state in WITH_A_PERSON

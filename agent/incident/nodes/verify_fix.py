"""Waits until the run has judged the repair: held or failed."""

from __future__ import annotations

from agent.incident.graph_state import IncidentGraphState, RepairCheck, RepairVerdict
from agent.incident.incident_deps import IncidentDeps
from agent.runbooks.plans import Plan
from agent.runbooks.runbook import RepairConditions


async def verify_fix(state: IncidentGraphState, deps: IncidentDeps) -> IncidentGraphState:
    """Pause with the conditions of the repair; the run does the looking, so that a look costs the graph nothing."""
    from langgraph.types import interrupt

    seen: RepairVerdict = interrupt({"repair": repair_check(state, deps)})
    return {"verdict": seen["verdict"], "reason": seen["reason"]}


def repair_check(state: IncidentGraphState, deps: IncidentDeps) -> RepairCheck:
    """Return the conditions that the plan in the state must meet."""
    raw = state.get("plan")
    wanted = Plan.from_json(raw).verify if raw else RepairConditions()
    return {
        "calls": state.get("call_keys", []),
        "submitted_at": state.get("acted_at") or deps.clock.now().isoformat(),
        "window_s": wanted.window_s or 0.0,
        "containers": list(wanted.containers),
    }

"""Waits for the outcome of the plan's calls."""

from __future__ import annotations

from agent.incident.graph_state import IncidentGraphState
from agent.incident.incident_deps import IncidentDeps


async def await_decision(state: IncidentGraphState, deps: IncidentDeps) -> IncidentGraphState:
    """Wait in one line, so that running the node again from its start does nothing else."""
    from langgraph.types import interrupt

    return {"calls": interrupt({"calls": [*state.get("call_keys", []), *state.get("undo_keys", [])]})}

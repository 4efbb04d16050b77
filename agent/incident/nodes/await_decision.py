"""Waits until the door says how the plan's calls ended."""

from __future__ import annotations

from agent.incident.graph_state import IncidentGraphState
from agent.incident.incident_deps import IncidentDeps


async def await_decision(state: IncidentGraphState, mind: IncidentDeps) -> IncidentGraphState:
    """One line, so that running it again from its top does nothing."""
    from langgraph.types import interrupt

    return {"calls": interrupt({"calls": [*state.get("call_keys", []), *state.get("undo_keys", [])]})}

"""Takes back what did not help: every step of the plan that changed something and kept a snapshot."""

from __future__ import annotations

from dataclasses import replace

from agent.nodes.outcomes import records
from agent.ports import Mind
from agent.state import DokployAgentState
from core.incidents import Incident, IncidentState
from core.ports import Call, CallState
from core.wording import Text, text


async def rollback(state: DokployAgentState, mind: Mind) -> DokployAgentState:
    """Submit the undo of each step that worked, last first; nothing to undo is fine."""
    incident = await mind.desk.get(state["incident_id"])
    if incident is None:
        return {"undo_keys": []}
    undos: list[Call] = []
    for record in reversed(await records(mind.door, state.get("call_keys", []))):
        action = mind.door.catalog.get(record.call.action)
        took_effect = record.state in (CallState.OK, CallState.UNKNOWN)
        if action.undo is None or not took_effect or await mind.door.ledger.snapshot(record.call.key) is None:
            continue
        undos.append(
            replace(
                record.call,
                key=f"{record.call.key}:undo",
                undo_of=record.call.key,
                needs=(undos[-1].key,) if undos else (),
                retries=0,
                says=text("agent.undo", what=_says(record.call)),
            )
        )
    if undos:
        await mind.door.submit_plan(undos)
    reason = Text.from_json(state["reason"]) if state.get("reason") else text("agent.did_not_help")  # type: ignore[arg-type]
    now = mind.clock.now()

    def undoing(one: Incident) -> Incident:
        said = one.note(now, text("agent.plan_failed", reason=reason))
        return replace(
            said.note(now, text("agent.undoes")) if undos else said,
            state=IncidentState.ROLLED_BACK if undos else one.state,
            verify_until=None,
        )

    await mind.desk.update(incident.id, undoing)
    return {"undo_keys": [call.key for call in undos]}


def _says(call: Call) -> Text:
    from core.door import says

    return says(call)


async def await_undo(state: DokployAgentState, mind: Mind) -> DokployAgentState:
    """Waits until the undo has ended; how it ended is read from the ledger by who comes next."""
    from langgraph.types import interrupt

    if state.get("undo_keys"):
        interrupt({"calls": state["undo_keys"]})
    return {"undo_keys": [], "good_since": None, "restarts": {}}

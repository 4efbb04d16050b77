"""Undoes a plan that did not help: each step that changed something and kept a snapshot."""

from __future__ import annotations

from dataclasses import replace

from agent.incident.graph_state import IncidentGraphState, PlanOutcome
from agent.incident.incident_deps import IncidentDeps
from agent.incident.nodes.outcomes import call_records, first_problem
from agent.runbooks.plans import Plan, PlannedStep
from core.actions.calls import Call, CallRecord, CallState
from core.actions.gateway import call_description
from core.deployments.deploys import DeployPhase
from core.incidents.incident import Incident, IncidentState
from core.text import Text, text

PHASES_WITH_EFFECT = frozenset({str(DeployPhase.FAILED), str(DeployPhase.CRASHED)})
"""Final phases of a deploy that may have replaced containers."""


async def rollback(state: IncidentGraphState, deps: IncidentDeps) -> IncidentGraphState:
    """Submit the undo of each step that took effect, last step first, one after another."""
    incident = await deps.tracker.get(state["incident_id"])
    if incident is None:
        return {"undo_keys": []}
    raw = state.get("plan")
    plan = Plan.from_json(raw) if raw else None
    undos: list[Call] = []
    for record in reversed(await call_records(deps.gateway, state.get("call_keys", []))):
        if not _took_effect(record, deps):
            continue
        step = plan.step(record.call.key.rpartition(":")[2]) if plan else None
        undo = await _undo_of(record.call, step, deps)
        if undo is not None:
            undos.append(replace(undo, needs=(undos[-1].key,) if undos else ()))
    new = [call for call in undos if await deps.gateway.ledger.get(call.key) is None]
    if new:  # what a bad rollback began to take back itself is only waited for
        await deps.gateway.submit_plan(new)
    said = state.get("reason")
    reason = Text.from_json(said) if said else text("agent.did_not_help")
    now = deps.clock.now()

    def undoing(one: Incident) -> Incident:
        if not one.is_open:
            return one
        noted = one.note(now, text("agent.plan_failed", reason=reason))
        return replace(
            noted.note(now, text("agent.undoes")) if undos else noted,
            state=IncidentState.ROLLED_BACK if undos else one.state,
            verify_until=None,
        )

    await deps.tracker.update(incident.id, undoing)
    return {"undo_keys": [call.key for call in undos]}


def _took_effect(record: CallRecord, deps: IncidentDeps) -> bool:
    """Return whether there may be something to undo.

    A call that was followed to a bad end, such as a deploy whose containers crash, has changed something;
    one that never began has not.
    """
    if record.state in (CallState.OK, CallState.UNKNOWN):
        return True
    is_followed = deps.gateway.catalog.get(record.call.action).follow is not None
    if record.state is not CallState.FAILED or not is_followed or record.started_at is None:
        return False
    data = record.result.data if record.result is not None else {}
    return data.get("phase") in PHASES_WITH_EFFECT


async def _undo_of(call: Call, step: PlannedStep | None, deps: IncidentDeps) -> Call | None:
    """Return the undo of a call, by the runbook or else from its snapshot; None when it has none."""
    if step is not None and not step.can_undo:
        return None
    taking_back = text("agent.undo", what=call_description(call))
    if step is not None and step.undo is not None:
        return replace(
            call,
            key=f"{call.key}:undo",
            action=step.undo.action,
            params=step.undo.params,
            retries=0,
            message=taking_back,
        )
    if deps.gateway.catalog.get(call.action).undo is None or await deps.gateway.ledger.snapshot(call.key) is None:
        return None
    return replace(call, key=f"{call.key}:undo", undo_of=call.key, retries=0, message=taking_back)


async def await_undo(state: IncidentGraphState, deps: IncidentDeps) -> IncidentGraphState:
    """Wait until the undo has ended; a failed one leaves a state that only a person should touch."""
    from langgraph.types import interrupt

    keys = state.get("undo_keys", [])
    cleared: IncidentGraphState = {"undo_keys": [], "undo": None}
    if not keys:
        return cleared
    end: PlanOutcome = interrupt({"calls": keys})
    if end == "ok":
        return {**cleared, "undo": end}
    problem = first_problem(await call_records(deps.gateway, keys))
    reason = text("agent.undo_failed", problem=problem or text("agent.unknown"))
    return {**cleared, "undo": end, "reason": reason.to_json()}

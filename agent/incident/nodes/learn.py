"""Closes the incident and keeps its lesson: cause, actions, and whether the repair held."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from agent.incident.graph_state import IncidentGraphState
from agent.incident.incident_deps import IncidentDeps
from agent.incident.nodes.outcomes import call_records
from agent.incident.nodes.verify_fix import repair_check
from agent.incident.repair_watch import plan_effect
from agent.incident.verification import alerts_are_quiet
from core.actions.calls import CallState
from core.incidents.incident import Incident, IncidentState
from core.incidents.lessons import Lesson
from core.text import text


async def learn(state: IncidentGraphState, deps: IncidentDeps) -> IncidentGraphState:
    """Resolve the incident with the time it took and keep the lesson; verify again when the trouble is back.

    Trouble may return between the last look of the verification and this node. It is looked for under the incident's
    lock: what the watchers have seen by then keeps the incident open, what they see later re-opens it.
    """
    incident = await deps.tracker.get(state["incident_id"])
    if incident is None:
        return {"is_back": False}
    now = deps.clock.now()
    took_s = round((now - incident.opened_at).total_seconds())
    acted_at = (await plan_effect(repair_check(state, deps), deps)).acted_at

    def resolved(one: Incident) -> Incident:
        if not one.is_open or not alerts_are_quiet(one, deps.watch, acted_at):
            return one
        message = text("agent.resolved", seconds=took_s)
        return replace(
            one.note(now, message), state=IncidentState.RESOLVED, closed_at=now, outcome=message, verify_until=None
        )

    after = await deps.tracker.update(incident.id, resolved, pages=text("agent.page.resolved"))
    if after.state is IncidentState.RESOLVED:  # one that was closed meanwhile has proved nothing
        await keep_lesson(after, deps, did_hold=True, call_keys=state.get("call_keys", []))
    return {"is_back": after.is_open}


async def keep_lesson(incident: Incident, deps: IncidentDeps, *, did_hold: bool, call_keys: Sequence[str]) -> None:
    """Keep the lesson of an executed plan; the same incident and plan give one lesson only."""
    done = [record for record in await call_records(deps.gateway, call_keys) if record.state is not CallState.SKIPPED]
    diagnosis = incident.diagnosis
    if diagnosis is None or not done:
        return
    await deps.memory.learn(
        Lesson(
            incident_id=incident.id,
            at=deps.clock.now(),
            host=incident.host,
            stack=incident.stack,
            service=incident.service,
            kind=incident.kind,
            cause=diagnosis.cause,
            text=deps.redact(f"{deps.render_english(incident.message)} {deps.render_english(diagnosis.message)}"),
            runbook=diagnosis.runbook,
            actions=tuple(f"{record.call.action} {record.target or ''}".strip() for record in done),
            held=did_hold,
            decided_by=diagnosis.decided_by,
        )
    )

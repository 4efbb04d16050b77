"""Chooses the plan: the runbook's next solution, the model's proposal, or none."""

from __future__ import annotations

from dataclasses import replace

from agent.incident.evidence.incident_context import context_of
from agent.incident.graph_state import IncidentGraphState
from agent.incident.incident_deps import IncidentDeps
from agent.llm.diagnosis import OfferedAction
from agent.runbooks.plans import (
    NoSolution,
    Plan,
    PlannedStep,
    choose_solution,
    describe_step,
    render_plan,
    seal_plan,
)
from agent.runbooks.rules import escalation_reason
from agent.runbooks.runbook import Runbook
from core.actions.catalog import JsonObject
from core.actions.policy import ActorKind
from core.error_text import problem_of
from core.errors import GuardianError
from core.incidents.incident import Incident
from core.text import Text, text


async def plan_solution(state: IncidentGraphState, deps: IncidentDeps) -> IncidentGraphState:
    """Put a sealed plan into the state and on the incident, or the reason why there is none."""
    incident = await deps.tracker.get(state["incident_id"])
    if incident is None or incident.diagnosis is None:
        return {"plan": None}
    attempt = state.get("attempt", 0) + 1
    runbook = deps.runbooks().get(incident.diagnosis.runbook or "")
    made = (
        _by_runbook(runbook, incident, state, attempt, deps) if runbook else _by_model(state, incident, attempt, deps)
    )
    if not isinstance(made, Plan):
        reason = made or text("agent.no_plan")
        return {"plan": None, "reason": reason.to_json()}
    if made.tried_key in state.get("tried", []):
        return {"plan": None, "reason": text("agent.no_plan_left").to_json()}
    stored = made.to_json()

    def planned(one: Incident) -> Incident:
        return replace(one, plan=stored, plan_steps=made.sentences, attempt=attempt, updated_at=deps.clock.now())

    await deps.tracker.update(incident.id, planned)
    return {
        "plan": stored,
        "attempt": attempt,
        "tried": [*state.get("tried", []), made.tried_key],
        "reason": None,
    }


def _by_runbook(
    runbook: Runbook, incident: Incident, state: IncidentGraphState, attempt: int, deps: IncidentDeps
) -> Plan | Text | None:
    assert incident.diagnosis is not None
    confidence = incident.diagnosis.confidence
    context = context_of(incident, deps.watch.inventory())
    tried = {int(key.partition("#")[2]) for key in state.get("tried", []) if key.startswith(f"{runbook.id}#")}
    choice = choose_solution(runbook, context, confidence, tried, deps.gateway.catalog)
    has_solution = not isinstance(choice, NoSolution)
    reason = escalation_reason(
        runbook,
        confidence=confidence,
        is_flapping=incident.is_flapping,
        has_tried=bool(tried),
        has_solution=has_solution,
    )
    if isinstance(choice, NoSolution):
        skipped = [one for one in choice.reasons if one.key != "plan.tried"]
        return reason or (text("agent.all_skipped", reason=skipped[0]) if skipped else text("agent.no_plan"))
    if reason is not None:
        return reason
    try:
        return render_plan(runbook, choice.index, context, attempt=attempt, catalog=deps.gateway.catalog)
    except GuardianError as error:
        return text("agent.all_skipped", reason=problem_of(error, deps.redact))


def _by_model(state: IncidentGraphState, incident: Incident, attempt: int, deps: IncidentDeps) -> Plan | None:
    assert incident.diagnosis is not None
    chosen = [OfferedAction(action=one["action"], container=one["container"]) for one in state.get("offers", [])]
    names = {f"{incident.host}/{incident.container}": incident.target}
    steps: list[PlannedStep] = []
    for number, offer in enumerate(chosen, 1):
        params: JsonObject = {**offer.params}
        message = describe_step(offer.action, params, names)
        needs = (steps[-1].id,) if steps else ()
        steps.append(PlannedStep(id=f"step{number}", action=offer.action, params=params, message=message, needs=needs))
    if not steps:
        return None
    name = text("agent.model_plan", what=steps[0].message)
    return seal_plan(
        Plan(
            source="model",
            made_by=ActorKind.MODEL,
            name=name,
            cause=incident.diagnosis.cause,
            steps=tuple(steps),
            attempt=attempt,
        )
    )

"""Names the cause, by rules first and the model second, and who decided."""

from __future__ import annotations

from dataclasses import replace

import structlog

from agent.incident.evidence.gather import gather_for_runbook
from agent.incident.evidence.incident_context import IncidentContext, context_of
from agent.incident.graph_state import IncidentGraphState
from agent.incident.incident_deps import IncidentDeps
from agent.llm.diagnosis import STACK_ACTIONS, CheckedDiagnosis, ask_diagnosis
from agent.runbooks.rules import RuleDiagnosis, diagnose_by_rules, explain_by_runbook
from core.actions.catalog import JsonObject
from core.actions.policy import Actor, ActorKind
from core.errors import ModelFailed
from core.incidents.incident import Diagnosis, Incident
from core.language_model import explain as explain_failure
from core.text import Text, text

log = structlog.get_logger(__name__)


async def diagnose(state: IncidentGraphState, deps: IncidentDeps) -> IncidentGraphState:
    """Put the diagnosis on the incident, or the reason why there is none."""
    incident = await deps.tracker.get(state["incident_id"])
    if incident is None:
        return {}
    context = context_of(incident, deps.watch.inventory())
    verdict = diagnose_by_rules(deps.runbooks(), context)
    found = verdict.diagnosis
    if verdict.runbook is not None:
        context = await _asked_further(verdict, context, deps)
        found = explain_by_runbook(verdict.runbook, context)
        await _keep(incident, _completed(found, state), context, deps)
    said: CheckedDiagnosis | None = None
    problem: Text | None = None
    if verdict.why_ask is not None:
        said, problem = await _ask_model(incident, verdict, state, deps)
    if said is not None:
        found = said.diagnosis
        await _keep(incident, _completed(found, state), context, deps)
    tokens = state.get("tokens", 0) + (said.tokens if said else 0)
    offers = [{"action": one.action, "container": one.container} for one in said.actions] if said else []
    reason = None if found is not None else (problem or text("agent.no_rule")).to_json()
    return {"tokens": tokens, "offers": offers, "reason": reason}


async def _asked_further(verdict: RuleDiagnosis, context: IncidentContext, deps: IncidentDeps) -> IncidentContext:
    """Run the runbook's gather steps through the gateway."""
    runbook = verdict.runbook
    if runbook is None or not runbook.gathering:
        return context
    actor = Actor(kind=ActorKind.RUNBOOK, id=runbook.id, name=runbook.id)
    results = await gather_for_runbook(runbook, context, lambda name, params: deps.gateway.read(name, params, actor))
    return context.with_gathered(results)


async def _ask_model(
    incident: Incident, verdict: RuleDiagnosis, state: IncidentGraphState, deps: IncidentDeps
) -> tuple[CheckedDiagnosis | None, Text | None]:
    if deps.model is None:
        return None, text("agent.no_rule_no_model")
    if state.get("tokens", 0) >= deps.settings.policy.model_tokens_per_incident:
        return None, text("agent.model_tokens")
    rules_say = [f"{one.runbook.id}: {one.runbook.cause} ({one.runbook.name.en})" for one in verdict.matches[:3]]
    try:
        said = await ask_diagnosis(
            deps.model,
            incident,
            tuple(incident.evidence()),
            deps.watch.inventory(),
            rules_say,
            forbidden=verdict.forbidden,
            known=[one for one in STACK_ACTIONS if _can(one, deps)],
        )
    except ModelFailed as error:
        log.info("the model gave no usable diagnosis", incident=incident.id, problem=str(error))
        return None, explain_failure(error)
    return said, None


def _can(action: str, deps: IncidentDeps) -> bool:
    return action in deps.gateway.catalog and deps.gateway.catalog.get(action).unavailable() is None


def _completed(found: Diagnosis, state: IncidentGraphState) -> Diagnosis:
    """Complete the diagnosis from the dependency graph where the rule left gaps."""
    affected = found.affected or tuple(state.get("affected", ()))
    return replace(found, affected=tuple(name for name in affected if name != found.culprit))


async def _keep(incident: Incident, found: Diagnosis, context: IncidentContext, deps: IncidentDeps) -> None:
    now = deps.clock.now()
    gathered: JsonObject = {name: dict(data) for name, data in context.gathered.items()}

    def diagnosed(one: Incident) -> Incident:
        is_news = one.diagnosis is None or one.diagnosis.cause != found.cause
        said = one.note(now, text("agent.diagnosed", cause=found.cause)) if is_news else one
        return replace(said, diagnosis=found, context=gathered or one.context)

    await deps.tracker.update(incident.id, diagnosed)

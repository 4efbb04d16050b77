"""Names the cause of an incident by the runbooks, without a model, in milliseconds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from agent.incident.evidence.incident_context import IncidentContext
from agent.runbooks.runbook import BilingualSentence, EscalationTrigger, Runbook, Runbooks, RunbookScope
from agent.runbooks.templates import (
    fact_path,
    fill_sentences,
    fill_template,
    is_fact_name,
    template_references,
)
from core.incidents.incident import Decider, Diagnosis
from core.text import Text, bilingual, text


@dataclass(frozen=True, kw_only=True)
class RuleMatch:
    """A runbook that matches the facts."""

    runbook: Runbook
    specificity: int
    """Number of its `when` conditions that hold."""

    @property
    def rank(self) -> tuple[int, float]:
        """Return the sort key: number of conditions, then confidence."""
        return (self.specificity, self.runbook.confidence)


class ModelReason(StrEnum):
    """Reason to ask the model."""

    NONE_FITS = "none_fits"
    SEVERAL_FIT = "several_fit"


@dataclass(frozen=True, kw_only=True)
class RuleDiagnosis:
    """The rules' diagnosis."""

    matches: tuple[RuleMatch, ...]
    """Best first."""
    diagnosis: Diagnosis | None
    """Diagnosis of the best match, even of several: the answer when there is no model. None when no rule matches."""
    why_ask: ModelReason | None
    """None when the rules are sure and no model is needed."""

    @property
    def runbook(self) -> Runbook | None:
        """Return the runbook of the best match."""
        return self.matches[0].runbook if self.matches else None

    @property
    def forbidden(self) -> frozenset[str]:
        """Return the actions that a matching runbook forbids, to the model too."""
        return frozenset(name for one in self.matches for name in one.runbook.forbidden)


def diagnose_by_rules(runbooks: Runbooks, context: IncidentContext) -> RuleDiagnosis:
    """Match every runbook against the facts; the one with most conditions met explains the incident."""
    matches = sorted(matching_runbooks(runbooks, context), key=lambda one: (one.rank, one.runbook.id), reverse=True)
    if not matches:
        return RuleDiagnosis(matches=(), diagnosis=None, why_ask=ModelReason.NONE_FITS)
    best = matches[0]
    rivals = [one for one in matches[1:] if one.rank == best.rank and one.runbook.cause != best.runbook.cause]
    return RuleDiagnosis(
        matches=tuple(matches),
        diagnosis=explain_by_runbook(best.runbook, context),
        why_ask=ModelReason.SEVERAL_FIT if rivals else None,
    )


def matching_runbooks(runbooks: Runbooks, context: IncidentContext) -> list[RuleMatch]:
    """Return every runbook whose trigger and conditions match, in the order of their ids."""
    kinds = context.incident.get("kinds") or [context.incident.get("kind")]
    wanted = {str(kind) for kind in kinds} if isinstance(kinds, list) else set()
    found = []
    for runbook in runbooks.by_id.values():
        if wanted.isdisjoint(runbook.trigger.events) or not _is_in_scope(runbook, context):
            continue
        specificity = runbook.when.met(context.lookup)
        if specificity:
            found.append(RuleMatch(runbook=runbook, specificity=specificity))
    return found


def explain_by_runbook(runbook: Runbook, context: IncidentContext) -> Diagnosis:
    """Return the diagnosis of one runbook: its sentence filled with facts, and the evidence it rests on.

    A second call after the runbook's gather steps includes their results.
    """
    said = [runbook.message, *(one.message for one in runbook.also if one.when.holds(context.lookup))]
    english = " ".join(filter(None, (fill_sentences(one.en, context.lookup) for one in said)))
    spanish = " ".join(filter(None, (fill_sentences(one.es, context.lookup) for one in said)))
    message = bilingual(english or runbook.name.en, spanish or runbook.name.es)
    affected = context.fact("affected")
    culprit = fill_template(runbook.culprit, context.lookup)
    return Diagnosis(
        cause=runbook.cause,
        message=message,
        culprit=str(culprit or context.incident.get("target")),
        confidence=runbook.confidence,
        evidence=_rests_on(runbook, said, context),
        affected=tuple(str(one) for one in affected) if isinstance(affected, list) else (),
        decided_by=Decider.RULE,
        runbook=runbook.id,
    )


def escalation_reason(
    runbook: Runbook | None,
    *,
    confidence: float,
    is_critical: bool = False,
    is_flapping: bool = False,
    has_tried: bool = False,
    has_solution: bool = True,
) -> Text | None:
    """Return the reason in this runbook's words to page a person, or None."""
    if runbook is None:
        return text("escalation.no_runbook")
    wanted = set(runbook.escalation.triggers)
    if confidence < runbook.escalation.confidence_below:
        return text("escalation.unsure", confidence=round(confidence, 2))
    if is_critical and EscalationTrigger.CRITICAL_SERVICE in wanted:
        return text("escalation.critical")
    if is_flapping and EscalationTrigger.FLAPPING in wanted:
        return text("escalation.flapping")
    if not has_solution and has_tried and EscalationTrigger.ALL_SOLUTIONS_FAILED in wanted:
        return text("escalation.all_failed")
    if not has_solution and not has_tried and EscalationTrigger.NO_SOLUTION in wanted:
        return text("escalation.no_solution")
    return None


def _is_in_scope(runbook: Runbook, context: IncidentContext) -> bool:
    return runbook.trigger.scope is RunbookScope.ANY or context.incident.get("stack") is not None


def _rests_on(runbook: Runbook, said: list[BilingualSentence], context: IncidentContext) -> tuple[str, ...]:
    """Return the names of existing evidence that its conditions and sentences use."""
    told = [name for one in runbook.also if one.message in said for name in sorted(one.when.names_used())]
    named = [
        *sorted(runbook.when.names_used()),
        *told,
        *template_references([*(one.en for one in said), runbook.culprit]),
    ]
    found = [
        name.removeprefix("evidence.")
        for name in named
        if is_fact_name(name)
        and not name.startswith(("incident.", "host."))
        and context.lookup(fact_path(name)) is not None
    ]
    return tuple(dict.fromkeys(found))

"""Applies the policy to one call: the decision, the sentence for a denial, and the budget it uses."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from core.actions.calls import Budget, Call, CallRecord
from core.actions.catalog import Action, Risk
from core.actions.policy import ActorKind, Decision, Facts, PolicyDecision, decide
from core.settings import PolicySettings
from core.text import Text, text


def weigh(action: Action, call: Call, facts: Facts, policy: PolicySettings) -> PolicyDecision:
    """Return the policy's decision on a call of an action."""
    reason = action.unavailable()
    if reason is not None:
        problem = text("gateway.unavailable", system=action.name.split(".")[0], problem=reason)
        return PolicyDecision(decision=Decision.DENY, reason=problem)
    taking_back = call.undo_of is not None and call.actor.kind is ActorKind.RUNBOOK
    risk = Risk.SAFE if taking_back else action.risk  # approval of a change includes its undo
    if taking_back:
        facts = replace(facts, attempts=0)
    return decide(risk, action.role, call.actor, facts, policy)


def denial(reason: Text) -> Text:
    """Return the sentence for a refused call; an action that cannot work is not called denied."""
    return reason if reason.key == "gateway.impossible" else text("gateway.denied", reason=reason)


def budget_of(record: CallRecord, action: Action, policy: PolicySettings, now: datetime) -> Budget | None:
    """Return the budget that a call uses when it starts; None: a person requested or approved it."""
    if record.call.actor.kind is ActorKind.PERSON or record.approved_by is not None:
        return None
    if action.risk is Risk.DISRUPTIVE:
        hour_ago, limit = now - timedelta(hours=1), policy.disruptive_per_hour
        return Budget(risks=(Risk.DISRUPTIVE,), stack=record.stack, service=record.service, since=hour_ago, limit=limit)
    if action.risk is Risk.CHANGE:
        day_ago, limit = now - timedelta(days=1), policy.changes_per_day
        return Budget(risks=(Risk.CHANGE,), stack=record.stack, service=None, since=day_ago, limit=limit)
    return None

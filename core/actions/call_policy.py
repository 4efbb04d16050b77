"""The policy's word on one call: whether it may run, what is said when not, and the budget that it takes from."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from core.actions.calls import Budget, Call, CallRecord
from core.actions.catalog import Action, Risk
from core.actions.policy import ActorKind, Decision, Facts, PolicyDecision, decide
from core.settings import PolicySettings
from core.text import Text, text


def weigh(action: Action, call: Call, facts: Facts, policy: PolicySettings) -> PolicyDecision:
    """The policy's verdict over a call of an action."""
    reason = action.unavailable()
    if reason is not None:
        problem = text("door.unavailable", system=action.name.split(".")[0], problem=reason)
        return PolicyDecision(decision=Decision.DENY, reason=problem)
    taking_back = call.undo_of is not None and call.actor.kind is ActorKind.RUNBOOK
    risk = Risk.SAFE if taking_back else action.risk  # leave for a change includes leave to take it back
    if taking_back:
        facts = replace(facts, attempts=0)
    return decide(risk, action.role, call.actor, facts, policy)


def denial(reason: Text) -> Text:
    """What is said of a wish that is not carried out; what cannot be done at all is no matter of leave."""
    return reason if reason.key == "door.impossible" else text("door.denied", reason=reason)


def budget_of(record: CallRecord, action: Action, policy: PolicySettings, now: datetime) -> Budget | None:
    """The budget that a call takes from when it starts; None: a person ordered or approved it."""
    if record.call.actor.kind is ActorKind.PERSON or record.approved_by is not None:
        return None
    if action.risk is Risk.DISRUPTIVE:
        hour_ago, limit = now - timedelta(hours=1), policy.disruptive_per_hour
        return Budget(risks=(Risk.DISRUPTIVE,), stack=record.stack, service=record.service, since=hour_ago, limit=limit)
    if action.risk is Risk.CHANGE:
        day_ago, limit = now - timedelta(days=1), policy.changes_per_day
        return Budget(risks=(Risk.CHANGE,), stack=record.stack, service=None, since=day_ago, limit=limit)
    return None

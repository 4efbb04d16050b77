"""The policy: a pure decision over a risk, an actor and the current facts, always with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from core.actions.catalog import Risk, Role
from core.settings import Autonomy, PolicySettings
from core.text import Text, text


class ActorKind(StrEnum):
    """Kind of requester."""

    PERSON = "person"
    RUNBOOK = "runbook"
    MODEL = "model"


@dataclass(frozen=True, kw_only=True)
class Actor:
    """A person, runbook or model that requests an action."""

    kind: ActorKind
    id: str
    """`tg:123` for a person, the runbook's name, or the model's."""
    name: str
    role: Role | None = None
    """A person's role for the target in question; None for machines and strangers."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Facts that the decision depends on; loaded under the target's lock."""

    autonomy: Autonomy = Autonomy.GUARDED
    is_frozen: bool = False
    is_critical: bool = False
    is_proven: bool = False
    """This runbook has repaired this cause on this stack often enough, and never failed since."""
    attempts: int = 0
    """Plans already tried for this incident."""
    disruptive_last_hour: int = 0
    """Disruptive actions by automation on this service."""
    changes_today: int = 0
    """Changes that automation made without approval on this stack."""
    is_with_a_person: bool = False
    """The incident was acknowledged, denied or escalated."""


class Decision(StrEnum):
    """Decision of the policy."""

    ALLOW = "allow"
    ASK = "ask"
    DENY = "deny"


@dataclass(frozen=True, kw_only=True)
class PolicyDecision:
    """A decision with its reason; `confirmations` is the number of confirmations that an approval needs."""

    decision: Decision
    reason: Text
    confirmations: int = 1
    needs_second_person: bool = False


def decide(risk: Risk, needed: Role, actor: Actor, facts: Facts, policy: PolicySettings) -> PolicyDecision:
    """Apply the policy matrix (architecture section 2), first for people, then for machines."""
    if actor.kind is ActorKind.PERSON:
        return _for_person(risk, needed, actor, policy)
    if risk is Risk.READ:
        return _allow("policy.reads")
    if facts.is_frozen:
        return _deny("policy.frozen")
    if facts.is_with_a_person:
        return _deny("policy.with_a_person")
    if actor.kind is ActorKind.MODEL:
        return _deny("policy.model_destroys") if risk is Risk.DESTRUCTIVE else _ask("policy.model_asks")
    return _for_runbook(risk, facts, policy)


def _for_person(risk: Risk, needed: Role, actor: Actor, policy: PolicySettings) -> PolicyDecision:
    if actor.role is None or not actor.role.covers(needed):
        return _deny("policy.role", needed=text(f"role.{needed}"))
    if risk is Risk.CHANGE:
        return _ask("policy.change_confirms")
    if risk is Risk.DESTRUCTIVE:
        return PolicyDecision(
            decision=Decision.ASK,
            reason=text("policy.destroys"),
            confirmations=2,
            needs_second_person=policy.second_person_for_destructive,
        )
    return _allow("policy.person_may")


def _for_runbook(risk: Risk, facts: Facts, policy: PolicySettings) -> PolicyDecision:
    if facts.autonomy is Autonomy.OBSERVE:
        return _deny("policy.observe")
    if facts.attempts > policy.attempts_per_incident:
        return _deny("policy.attempts", limit=policy.attempts_per_incident)
    if risk is Risk.DESTRUCTIVE:
        return PolicyDecision(
            decision=Decision.ASK,
            reason=text("policy.destroys"),
            confirmations=2,
            needs_second_person=policy.second_person_for_destructive,
        )
    if facts.autonomy is Autonomy.PROPOSE:
        return _ask("policy.propose")
    if risk is Risk.SAFE:
        return _allow("policy.safe")
    if risk is Risk.DISRUPTIVE:
        return _disruptive(facts, policy)
    if facts.autonomy is Autonomy.AUTO:
        if facts.changes_today >= policy.changes_per_day:
            return _ask("policy.change_budget", limit=policy.changes_per_day)
        return _allow("policy.auto")
    return _ask("policy.change_asks")


def _disruptive(facts: Facts, policy: PolicySettings) -> PolicyDecision:
    if facts.disruptive_last_hour >= policy.disruptive_per_hour:
        return _ask("policy.disruptive_budget", limit=policy.disruptive_per_hour)
    if facts.autonomy is Autonomy.AUTO:
        return _allow("policy.auto")
    if facts.is_critical:
        return _ask("policy.critical")
    return _allow("policy.proven") if facts.is_proven else _ask("policy.not_proven")


def _allow(key: str) -> PolicyDecision:
    return PolicyDecision(decision=Decision.ALLOW, reason=text(key))


def _ask(key: str, **values: int) -> PolicyDecision:
    return PolicyDecision(decision=Decision.ASK, reason=text(key, **values))


def _deny(key: str, **values: int | Text) -> PolicyDecision:
    return PolicyDecision(decision=Decision.DENY, reason=text(key, **values))

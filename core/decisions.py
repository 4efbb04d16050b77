"""The decisions of people, through whichever face: checked for their role, carried out, and written to the audit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from core.actions.approvals import Approval
from core.actions.catalog import JsonObject, Role
from core.actions.gateway import ActionGateway, TapResult
from core.actions.policy import Actor
from core.bus import Bus
from core.clock import Clock
from core.incidents.alerts import Silence
from core.incidents.incident import ALERT_IS_ON, Incident, IncidentState
from core.incidents.incident_store import Silences
from core.incidents.tracker import IncidentTracker
from core.people import Person
from core.settings import Autonomy
from core.text import Text, text
from core.views.incident_card import digest_of

WHY_LIMIT = 500
SILENCE_LIMIT = timedelta(days=30)


class AuditTrail(Protocol):
    """Every decision with who made it."""

    async def add(
        self,
        actor: Actor,
        what: str,
        subject: str,
        *,
        details: JsonObject | None = None,
        incident_id: int | None = None,
    ) -> None:
        """Write one line."""
        ...


class Overrides(Protocol):
    """Policy that people changed while the guardian runs."""

    async def freeze(self) -> object | None:
        """The freeze that holds, or None."""
        ...

    async def set_freeze(self, is_frozen: bool, *, by: str, why: str = "") -> None:
        """Stop all automation, or let it go on."""
        ...

    async def set_autonomy(self, stack: str, mode: Autonomy | None, *, by: str) -> None:
        """Set a stack's mode; None goes back to the settings."""
        ...


@dataclass(frozen=True, kw_only=True)
class DecisionDeps:
    """The collaborators of decisions."""

    gateway: ActionGateway
    tracker: IncidentTracker
    silences: Silences
    overrides: Overrides
    audit: AuditTrail
    bus: Bus
    clock: Clock
    redact: Callable[[str], str]
    wake: Callable[[Incident], Awaitable[None]]
    """Makes the run of an incident look again."""


@dataclass(frozen=True, kw_only=True)
class ApprovalDecided:
    """A person's yes or no counted; a question that wants more confirmations is still open."""

    approval: Approval


@dataclass(frozen=True, kw_only=True)
class DecisionResult:
    """The end of a decision, in one sentence."""

    message: Text
    is_done: bool


class Decisions:
    """Everything that people decide; each decision is the same whichever face it comes from."""

    def __init__(self, deps: DecisionDeps) -> None:
        self._deps = deps

    # -- approvals ---------------------------------------------------------------------------------------------------

    async def approve(self, person: Person, approval_id: str, seen: int | None = None) -> DecisionResult:
        """Yes to one question; `seen`: how many confirmations the button showed, so that a double tap counts once."""
        approval = await self._deps.gateway.approvals.get(approval_id)
        if approval is not None and seen is not None and seen != len(approval.confirmed_by):
            return _failed(text("decide.counted_before"))
        return await self._decide(person, approval, approval_id, approve=True)

    async def deny(self, person: Person, approval_id: str, why: str = "") -> DecisionResult:
        """No to one question."""
        approval = await self._deps.gateway.approvals.get(approval_id)
        return await self._decide(person, approval, approval_id, approve=False, why=why)

    async def approve_all(self, person: Person, incident_id: int, digest: str) -> DecisionResult:
        """Yes to exactly the questions that the button stood for."""
        asked = await self._asked(incident_id)
        if not asked:
            return _failed(text("decide.nothing_asked"))
        if digest_of(asked) != digest:
            return _failed(text("decide.changed"))
        results = [await self.approve(person, one.id, 0) for one in asked]
        return _together(results, text("decide.approved_all", count=sum(one.is_done for one in results)))

    async def deny_all(self, person: Person, incident_id: int) -> DecisionResult:
        """No to every open question of an incident."""
        asked = await self._asked(incident_id)
        if not asked:
            return _failed(text("decide.nothing_asked"))
        results = [await self.deny(person, one.id) for one in asked]
        return _together(results, text("decide.denied_all", count=sum(one.is_done for one in results)))

    async def _asked(self, incident_id: int) -> list[Approval]:
        return [one for one in await self._deps.gateway.approvals.pending() if one.incident_id == incident_id]

    async def _decide(
        self, person: Person, approval: Approval | None, approval_id: str, *, approve: bool, why: str = ""
    ) -> DecisionResult:
        actor = person.actor(approval.stack if approval else None)
        decided = await self._deps.gateway.decide(approval_id, actor, approve=approve, why=why[:WHY_LIMIT])
        if decided.problem is not None:
            return _failed(decided.problem)
        assert decided.approval is not None
        await self._deps.audit.add(
            actor,
            "approve" if approve else "deny",
            approval_id,
            details={"why": self._reason(why)},
            incident_id=decided.approval.incident_id,
        )
        await self._deps.bus.publish(ApprovalDecided(approval=decided.approval))
        return _done(_sentence(decided, approve=approve))

    def _reason(self, why: str) -> str:
        return self._deps.redact(why[:WHY_LIMIT])

    # -- incidents ---------------------------------------------------------------------------------------------------

    async def take(self, person: Person, incident: Incident) -> DecisionResult:
        """The person has it: automation stops, open questions are withdrawn. The first one to take it has it."""
        if not person.may(Role.OPERATOR, incident.stack):
            return _needs(Role.OPERATOR)
        actor, now = person.actor(incident.stack), self._deps.clock.now()
        found: list[Incident] = []

        def taken(one: Incident) -> Incident:
            found[:] = [one]
            if not one.is_open or one.state is IncidentState.ACKNOWLEDGED:
                return one
            held = replace(one, state=IncidentState.ACKNOWLEDGED, acknowledged_by=actor.id)
            return held.note(now, text("decide.note.taken", who=actor.name))

        after = await self._deps.tracker.update(incident.id, taken)
        if not found[0].is_open:
            return _failed(text("decide.closed", id=incident.id))
        if found[0].state is IncidentState.ACKNOWLEDGED:
            return _failed(text("decide.taken_before", id=incident.id))
        await self._with_a_person(after, actor, "acknowledge")
        return _done(text("decide.taken", id=incident.id))

    async def close(self, person: Person, incident: Incident, why: str) -> DecisionResult:
        """End an incident by hand: what waited for a decision is withdrawn, what has not begun is not begun."""
        if not person.may(Role.OPERATOR, incident.stack):
            return _needs(Role.OPERATOR)
        actor, now = person.actor(incident.stack), self._deps.clock.now()
        reason = self._reason(why)
        outcome = text("incident.outcome.closed", who=actor.name, why=reason)
        found: list[Incident] = []

        def closed(one: Incident) -> Incident:
            found[:] = [one]
            return one.closed(now, outcome) if one.is_open else one

        after = await self._deps.tracker.update(incident.id, closed)
        if not found[0].is_open:
            return _failed(text("decide.closed", id=incident.id))
        await self._with_a_person(after, actor, "close", details={"why": reason})
        key = "decide.closed_now_on" if ALERT_IS_ON in after.tags else "decide.closed_now"
        return _done(text(key, id=incident.id, target=after.target))

    async def _with_a_person(
        self, incident: Incident, actor: Actor, what: str, *, details: JsonObject | None = None
    ) -> None:
        """Stop what the guardian was about to do in an incident."""
        await self._deps.gateway.withdraw(incident.id)
        await self._deps.audit.add(actor, what, incident.target, details=details, incident_id=incident.id)
        await self._deps.wake(incident)

    # -- quiet, and how much happens alone ---------------------------------------------------------------------------

    async def silence(
        self, person: Person, target: str, stack: str | None, span: timedelta, why: str = ""
    ) -> tuple[DecisionResult, datetime]:
        """No alarms for a target for a while; returns the end of it too."""
        until = self._deps.clock.now() + min(span, SILENCE_LIMIT)
        if not person.may(Role.OPERATOR, stack):
            return _needs(Role.OPERATOR), until
        actor, reason = person.actor(stack), self._reason(why)
        await self._deps.silences.add(Silence(target=target, until=until, by=actor.id, why=reason))
        await self._deps.audit.add(actor, "silence", target, details={"until": until.isoformat(), "why": reason})
        return _done(text("decide.silenced", target=target)), until

    async def end_silence(self, person: Person, silence_id: int) -> DecisionResult:
        """Let the alarms of a target be heard again."""
        now = self._deps.clock.now()
        held = next((one for one in await self._deps.silences.active(now) if one.id == silence_id), None)
        if held is None:
            return _failed(text("silence.over"))
        if not person.may(Role.OPERATOR, held.stack):
            return _needs(Role.OPERATOR)
        if not await self._deps.silences.end(silence_id, now):
            return _failed(text("silence.over"))
        await self._deps.audit.add(person.actor(held.stack), "unsilence", held.target)
        return _done(text("silence.ended", target=held.target))

    async def freeze(self, person: Person, is_frozen: bool, why: str = "") -> DecisionResult:
        """Stop all automation, or let it go on."""
        if not person.may(Role.OPERATOR, None):
            return _needs(Role.OPERATOR)
        before = await self._deps.overrides.freeze()
        if (before is not None) == is_frozen:
            return _failed(text("decide.frozen_before" if is_frozen else "decide.not_frozen"))
        actor, reason = person.actor(None), self._reason(why)
        await self._deps.overrides.set_freeze(is_frozen, by=actor.id, why=reason)
        await self._deps.audit.add(actor, "freeze" if is_frozen else "unfreeze", "all", details={"why": reason})
        return _done(text("decide.frozen" if is_frozen else "decide.unfrozen"))

    async def autonomy(self, person: Person, stack: str, mode: Autonomy) -> DecisionResult:
        """Set how much runbooks may do alone on a stack."""
        if not person.may(Role.ADMIN, stack):
            return _needs(Role.ADMIN)
        actor = person.actor(stack)
        await self._deps.overrides.set_autonomy(stack, mode, by=actor.id)
        await self._deps.audit.add(actor, "autonomy", stack, details={"mode": mode})
        return _done(text("decide.autonomy", stack=stack, mode=text(f"autonomy.{mode}.name")))


def _done(message: Text) -> DecisionResult:
    return DecisionResult(message=message, is_done=True)


def _failed(message: Text) -> DecisionResult:
    return DecisionResult(message=message, is_done=False)


def _needs(role: Role) -> DecisionResult:
    return _failed(text("access.role", needed=text(f"role.{role}")))


def _sentence(decided: TapResult, *, approve: bool) -> Text:
    approval = decided.approval
    if not approve:
        return text("decide.denied")
    if approval is not None and approval.decided_by is None:
        missing = approval.confirmations_needed - len(approval.confirmed_by)
        return text("decide.confirmed", missing=missing)
    return text("decide.approved")


def _together(results: list[DecisionResult], message: Text) -> DecisionResult:
    failed = next((one for one in results if not one.is_done), None)
    return failed if failed is not None else _done(message)

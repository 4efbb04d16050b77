"""What a person decides, by button or command alike: checked for their role, carried out, and written to the audit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bot.call_replies import CallReplies
from bot.chat_face_deps import BotDeps
from core.actions.approvals import Approval
from core.actions.catalog import Role
from core.actions.gateway import TapResult
from core.incidents.alerts import Silence
from core.incidents.incident import ALERT_IS_ON, Incident, IncidentState
from core.people import Person
from core.settings import Autonomy
from core.text import Text, text
from core.views.incident_card import digest_of

WHY_LIMIT = 500
SILENCE_LIMIT = timedelta(days=30)


@dataclass(frozen=True, kw_only=True)
class DecisionResult:
    """What became of a decision, in one sentence."""

    says: Text
    is_done: bool


class Decisions:
    """The decisions that people make in the chat."""

    def __init__(self, face: BotDeps, replies: CallReplies) -> None:
        self._face = face
        self.replies = replies

    async def approve(self, visitor: Person, approval_id: str, seen: int | None = None) -> DecisionResult:
        """Yes to one question; `seen`: how many confirmations the button showed, so that a double tap counts once."""
        approval = await self._face.door.approvals.get(approval_id)
        if approval is not None and seen is not None and seen != len(approval.confirmed_by):
            return DecisionResult(says=text("decide.counted_before"), is_done=False)
        return await self._decide(visitor, approval, approval_id, approve=True)

    async def deny(self, visitor: Person, approval_id: str, why: str = "") -> DecisionResult:
        """No to one question."""
        approval = await self._face.door.approvals.get(approval_id)
        return await self._decide(visitor, approval, approval_id, approve=False, why=why)

    async def approve_all(self, visitor: Person, incident_id: int, digest: str) -> DecisionResult:
        """Yes to exactly the questions that the button stood for."""
        asked = await self._asked(incident_id)
        if not asked:
            return DecisionResult(says=text("decide.nothing_asked"), is_done=False)
        if digest_of(asked) != digest:
            return DecisionResult(says=text("decide.changed"), is_done=False)
        verdicts = [await self.approve(visitor, one.id, 0) for one in asked]
        return _together(verdicts, text("decide.approved_all", count=sum(one.is_done for one in verdicts)))

    async def deny_all(self, visitor: Person, incident_id: int) -> DecisionResult:
        """No to every open question of an incident."""
        asked = await self._asked(incident_id)
        if not asked:
            return DecisionResult(says=text("decide.nothing_asked"), is_done=False)
        verdicts = [await self.deny(visitor, one.id) for one in asked]
        return _together(verdicts, text("decide.denied_all", count=sum(one.is_done for one in verdicts)))

    async def _asked(self, incident_id: int) -> list[Approval]:
        return [one for one in await self._face.door.approvals.pending() if one.incident_id == incident_id]

    async def _decide(
        self, visitor: Person, approval: Approval | None, approval_id: str, *, approve: bool, why: str = ""
    ) -> DecisionResult:
        actor = visitor.actor(approval.stack if approval else None)
        decided = await self._face.door.decide(approval_id, actor, approve=approve, why=why[:WHY_LIMIT])
        if decided.problem is not None:
            return DecisionResult(says=decided.problem, is_done=False)
        assert decided.approval is not None
        await self._face.audit.add(
            actor,
            "approve" if approve else "deny",
            approval_id,
            details={"why": self._face.redact(why[:WHY_LIMIT])},
            incident_id=decided.approval.incident_id,
        )
        await self.replies.show_question(decided.approval)
        return DecisionResult(says=_said(decided, approve=approve), is_done=True)

    async def take(self, visitor: Person, incident: Incident) -> DecisionResult:
        """The person has it: automation stops, open questions are withdrawn."""
        if not visitor.may(Role.OPERATOR, incident.stack):
            return _needs(Role.OPERATOR)
        if not incident.is_open:
            return DecisionResult(says=text("decide.closed", id=incident.id), is_done=False)
        if incident.state is IncidentState.ACKNOWLEDGED:
            return DecisionResult(says=text("decide.taken_before", id=incident.id), is_done=False)
        actor, now = visitor.actor(incident.stack), self._face.clock.now()

        def taken(one: Incident) -> Incident:
            if not one.is_open:
                return one
            held = replace(one, state=IncidentState.ACKNOWLEDGED, acknowledged_by=actor.id)
            return held.note(now, text("decide.note.taken", who=actor.name))

        after = await self._face.desk.update(incident.id, taken)
        await self._face.door.withdraw(incident.id)
        await self._face.audit.add(actor, "acknowledge", after.target, incident_id=incident.id)
        await self._face.poke(after)
        return DecisionResult(says=text("decide.taken", id=incident.id), is_done=after.is_open)

    async def close(self, visitor: Person, incident: Incident, why: str) -> DecisionResult:
        """End an incident by hand: what waited for a decision is withdrawn, what has not begun is not begun."""
        if not visitor.may(Role.OPERATOR, incident.stack):
            return _needs(Role.OPERATOR)
        if not incident.is_open:
            return DecisionResult(says=text("decide.closed", id=incident.id), is_done=False)
        actor, now = visitor.actor(incident.stack), self._face.clock.now()
        reason = self._face.redact(why[:WHY_LIMIT])
        says = text("incident.outcome.closed", who=actor.name, why=reason)

        after = await self._face.desk.update(incident.id, lambda one: one.closed(now, says) if one.is_open else one)
        if after.outcome_says != says:
            return DecisionResult(says=text("decide.closed", id=incident.id), is_done=False)
        await self._face.door.withdraw(incident.id)
        await self._face.audit.add(actor, "close", after.target, details={"why": reason}, incident_id=incident.id)
        await self._face.poke(after)
        key = "decide.closed_now_on" if ALERT_IS_ON in after.tags else "decide.closed_now"
        return DecisionResult(says=text(key, id=incident.id, target=after.target), is_done=True)

    async def silence(
        self, visitor: Person, target: str, stack: str | None, span: timedelta, why: str = ""
    ) -> tuple[DecisionResult, datetime]:
        """No alarms for a target for a while."""
        until = self._face.clock.now() + min(span, SILENCE_LIMIT)
        if not visitor.may(Role.OPERATOR, stack):
            return _needs(Role.OPERATOR), until
        actor = visitor.actor(stack)
        said = self._face.redact(why[:WHY_LIMIT])
        await self._face.silences.add(Silence(target=target, until=until, by=actor.id, why=said))
        await self._face.audit.add(actor, "silence", target, details={"until": until.isoformat(), "why": said})
        return DecisionResult(says=text("decide.silenced", target=target), is_done=True), until

    async def freeze(self, visitor: Person, is_frozen: bool, why: str = "") -> DecisionResult:
        """Stop all automation, or let it go on."""
        if not visitor.may(Role.OPERATOR, None):
            return _needs(Role.OPERATOR)
        before = await self._face.changed.freeze()
        if (before is not None) == is_frozen:
            return DecisionResult(
                says=text("decide.frozen_before" if is_frozen else "decide.not_frozen"), is_done=False
            )
        actor = visitor.actor(None)
        said = self._face.redact(why[:WHY_LIMIT])
        await self._face.changed.set_freeze(is_frozen, by=actor.id, why=said)
        await self._face.audit.add(actor, "freeze" if is_frozen else "unfreeze", "all", details={"why": said})
        return DecisionResult(says=text("decide.frozen" if is_frozen else "decide.unfrozen"), is_done=True)

    async def autonomy(self, visitor: Person, stack: str, mode: Autonomy) -> DecisionResult:
        """How much runbooks may do alone on a stack."""
        if not visitor.may(Role.ADMIN, stack):
            return _needs(Role.ADMIN)
        actor = visitor.actor(stack)
        await self._face.changed.set_autonomy(stack, mode, by=actor.id)
        await self._face.audit.add(actor, "autonomy", stack, details={"mode": mode})
        says = text("decide.autonomy", stack=stack, mode=text(f"autonomy.{mode}.name"))
        return DecisionResult(says=says, is_done=True)


def _needs(role: Role) -> DecisionResult:
    return DecisionResult(says=text("access.role", needed=text(f"role.{role}")), is_done=False)


def _said(decided: TapResult, *, approve: bool) -> Text:
    approval = decided.approval
    if not approve:
        return text("decide.denied")
    if approval is not None and approval.decided_by is None:
        missing = approval.confirmations_needed - len(approval.confirmed_by)
        return text("decide.confirmed", missing=missing)
    return text("decide.approved")


def _together(verdicts: list[DecisionResult], says: Text) -> DecisionResult:
    failed = next((one for one in verdicts if not one.is_done), None)
    return failed if failed is not None else DecisionResult(says=says, is_done=True)

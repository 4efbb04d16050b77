"""The one way to act, for people, runbooks and models alike: policy, approval, lock, ledger, and the action itself."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import structlog

from core.actions.approvals import Approval, ApprovalState, call_hash
from core.actions.call_policy import denial, weigh
from core.actions.calls import Approvals, Call, CallRecord, CallState
from core.actions.catalog import Action, Outcome, Params, Preview, Result, Risk
from core.actions.executor import ActionExecutor, ExecutorDeps
from core.actions.policy import Actor, ActorKind, Decision, Facts, PolicyDecision, decide
from core.error_text import problem_of
from core.errors import GuardianError, Refused
from core.text import Text, text

PREVIEW_S = 20.0
"""Time limit of a preview."""
log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class ApprovalAsked:
    """People were asked for an approval."""

    approval: Approval


@dataclass(frozen=True, kw_only=True)
class ApprovalClosed:
    """An approval was decided, expired or withdrawn."""

    approval: Approval


@dataclass(frozen=True, kw_only=True)
class CallReceipt:
    """Current state of a submitted call."""

    key: str
    state: CallState
    verdict: PolicyDecision | None = None
    """None: the call was submitted before."""
    approval: Approval | None = None
    result: Result | None = None

    @property
    def is_final(self) -> bool:
        """True once the state cannot change any more."""
        return self.state.is_final


@dataclass(frozen=True, kw_only=True)
class TapResult:
    """Effect of a person's decision on an approval."""

    approval: Approval | None
    """The approval as it is now; None: there is none."""
    is_first: bool
    """True if this very decision changed it."""
    problem: Text | None = None
    """The reason why it did not count; None: it did."""


@dataclass(frozen=True, kw_only=True)
class _Weighed:
    """A call with everything that was found out about it."""

    call: Call
    action: Action
    params: Params
    verdict: PolicyDecision
    stack: str | None
    service: str | None
    preview: Preview | None = None
    """Only where approval is required and the action has a preview."""


class ActionGateway:
    """Accepts calls and decisions on approvals; approved calls are executed as durable runs of kind `call`."""

    def __init__(self, deps: ExecutorDeps, approvals: Approvals) -> None:
        self.catalog = deps.catalog
        self.ledger = deps.ledger
        self.approvals = approvals
        self._facts = deps.facts
        self._bus = deps.bus
        self._clock = deps.clock
        self._policy = deps.policy
        self._redact = deps.redact
        self._executor = ActionExecutor(deps)

    async def recover(self) -> None:
        """Queue every call that was approved or started and has not ended; called after a start."""
        for record in await self.ledger.unfinished():
            await self._executor.enqueue(record)

    # -- calls -----------------------------------------------------------------------------------------------------

    async def read(self, name: str, params: dict[str, object], actor: Actor) -> Result:
        """Run a READ action now. A fault of its system is a failed Result, never an exception.

        Raises UnknownAction, InvalidParams, and Refused when the action is not READ or the actor's role is too low.
        """
        action = self.catalog.get(name)
        if action.risk is not Risk.READ:
            raise Refused(f"{name!r} changes something ({action.risk}); submit it as a call")
        parsed = action.parse(params)
        decided = decide(action.risk, action.role, actor, Facts(), self._policy)
        if decided.decision is not Decision.ALLOW:
            raise Refused(f"{actor.name!r} may not run {name!r}: it needs the {action.role} role")
        return await self._executor.run(action, parsed)

    async def submit(self, call: Call) -> CallReceipt:
        """Submit one call; READ runs at once, anything else becomes a run."""
        action = self.catalog.get(call.action)
        if action.risk is Risk.READ and call.undo_of is None:
            result = await self.read(call.action, dict(call.params), call.actor)
            return CallReceipt(key=call.key, state=CallState.OK if result.is_ok else CallState.FAILED, result=result)
        return (await self.submit_plan([call]))[0]

    async def submit_plan(self, calls: Sequence[Call]) -> list[CallReceipt]:
        """Submit several calls that belong together; one denial denies them all.

        Each call that needs approval gets one of its own; the others start once the calls they need have succeeded.
        """
        known = await self.ledger.get(calls[0].key)
        if known is not None:
            return [await self._receipt(call.key) for call in calls]
        weighed = [await self._weigh(call) for call in calls]
        is_denied = any(one.verdict.decision is Decision.DENY for one in weighed)
        approvals = {} if is_denied else {one.call.key: self._question(one) for one in weighed if _asks(one)}
        records = [self._record(one, approvals.get(one.call.key), is_denied) for one in weighed]
        if not await self.ledger.insert(records, tuple(approvals.values())):
            return [await self._receipt(call.key) for call in calls]
        for record in records:
            log.info(
                "a call was recorded",
                call=record.call.key,
                action=record.call.action,
                state=record.state,
            )
            if record.state is CallState.APPROVED:
                await self._executor.enqueue(record)
        for approval in approvals.values():
            await self._bus.publish(ApprovalAsked(approval=approval))
        return [
            CallReceipt(
                key=one.call.key,
                state=record.state,
                verdict=one.verdict,
                approval=approvals.get(one.call.key),
                result=record.result,
            )
            for one, record in zip(weighed, records, strict=True)
        ]

    async def _weigh(self, call: Call) -> _Weighed:
        action = self.catalog.get(call.action)
        params = action.parse(call.params)
        call = replace(call, secret_params=action.secret_params)
        target = params.target()
        facts, stack, service = await self._facts.load(call, target)
        decided = weigh(action, call, facts, self._policy)
        weighed = _Weighed(call=call, action=action, params=params, verdict=decided, stack=stack, service=service)
        return await self._previewed(weighed) if _asks(weighed) else weighed

    async def _previewed(self, one: _Weighed) -> _Weighed:
        """Add the preview; a call that cannot work is refused before anybody is asked."""
        if one.action.preview is None or one.call.undo_of is not None:
            return one
        try:
            async with asyncio.timeout(PREVIEW_S):
                shown = await one.action.preview(one.params)
        except TimeoutError:
            problem: Text | str = text("gateway.preview_late", seconds=PREVIEW_S)
        except GuardianError as error:
            problem = problem_of(error, self._redact)
        else:
            basis = "" if one.call.needs else shown.basis  # a step before it will change what it rests on
            return replace(one, preview=shown, call=replace(one.call, basis=basis))
        return replace(
            one, verdict=PolicyDecision(decision=Decision.DENY, reason=text("gateway.impossible", problem=problem))
        )

    def _question(self, one: _Weighed) -> Approval:
        now = self._clock.now()
        call = one.call
        return Approval(
            id=secrets.token_urlsafe(9),
            call_keys=(call.key,),
            call_hash=call_hash([(call.action, call.params)], call.plan_hash),
            risk=one.action.risk,
            role=one.action.role,
            message=(call_description(call),),
            reason=one.verdict.reason,
            asked_at=now,
            expires_at=now + timedelta(seconds=self._policy.approval_s),
            incident_id=call.incident_id,
            stack=one.stack,
            asked_by=call.actor.id,
            confirmations_needed=one.verdict.confirmations,
            needs_second_person=one.verdict.needs_second_person,
            preview=one.preview.lines if one.preview else (),
            warnings=one.preview.warnings if one.preview else (),
        )

    def _record(self, one: _Weighed, approval: Approval | None, is_denied: bool) -> CallRecord:
        now = self._clock.now()
        state = CallState.DENIED if is_denied else CallState.ASKED if approval else CallState.APPROVED
        refused = one.verdict.decision is Decision.DENY
        return CallRecord(
            call=one.call,
            risk=one.action.risk,
            state=state,
            target=one.params.target(),
            stack=one.stack,
            service=one.service,
            approval_id=approval.id if approval else None,
            result=Result(outcome=Outcome.FAILED, message=denial(one.verdict.reason)) if refused else None,
            created_at=now,
            finished_at=now if is_denied else None,
        )

    async def _receipt(self, key: str) -> CallReceipt:
        record = await self.ledger.get(key)
        if record is None:
            raise Refused(f"the call {key!r} was submitted with another plan before; ask again")
        approval = await self.approvals.get(record.approval_id) if record.approval_id else None
        return CallReceipt(key=key, state=record.state, approval=approval, result=record.result)

    # -- decisions -------------------------------------------------------------------------------------------------

    async def decide(self, approval_id: str, actor: Actor, *, approve: bool, why: str = "") -> TapResult:
        """Record a person's decision; the first one wins, later ones change nothing."""
        approval = await self.approvals.get(approval_id)
        if approval is None:
            return TapResult(approval=None, is_first=False, problem=text("approval.gone"))
        problem = self._may_decide(approval, actor, approve)
        if problem is not None:
            return TapResult(approval=approval, is_first=False, problem=problem)
        state = ApprovalState.APPROVED if approve else ApprovalState.DENIED
        after = await self.approvals.decide(
            approval_id, state, by=actor.id, at=self._clock.now(), why=self._redact(why)[:500]
        )
        if after is None:
            now_stands = await self.approvals.get(approval_id)
            return TapResult(approval=now_stands, is_first=False, problem=text("approval.decided_before"))
        if after.state is ApprovalState.EXPIRED:
            await self._closed(after)
            return TapResult(approval=after, is_first=False, problem=text("approval.expired"))
        if after.state is not ApprovalState.PENDING:
            await self._closed(after)
        return TapResult(approval=after, is_first=True)

    def _may_decide(self, approval: Approval, actor: Actor, approve: bool) -> Text | None:
        if actor.kind is not ActorKind.PERSON or actor.role is None or not actor.role.covers(approval.role):
            return text("approval.role", needed=text(f"role.{approval.role}"))
        if approve and approval.needs_second_person and actor.id in approval.confirmed_by:
            return text("approval.second_person")
        return None

    async def withdraw(self, incident_id: int) -> int:
        """Withdraw all pending approvals of an incident; returns how many."""
        count = 0
        for approval in await self.approvals.pending():
            if approval.incident_id == incident_id:
                after = await self.approvals.decide(
                    approval.id, ApprovalState.WITHDRAWN, by="guardian", at=self._clock.now()
                )
                if after is not None:
                    count += 1
                    await self._closed(after)
        return count

    async def expire(self) -> None:
        """Expire the approvals that are overdue."""
        for approval in await self.approvals.expire(self._clock.now()):
            await self._closed(approval)

    async def _closed(self, approval: Approval) -> None:
        for key in approval.call_keys:
            record = await self.ledger.get(key)
            if record is None:
                continue
            if record.state is CallState.APPROVED:
                await self._executor.enqueue(record)
            elif record.state.is_final:
                await self._executor.tell_end(record)
        await self._bus.publish(ApprovalClosed(approval=approval))


def call_description(call: Call) -> Text:
    """Return one sentence that says what a call will do."""
    if call.message is not None:
        return call.message
    return Text(f"action.{call.action}", dict(call.shown_params()))


def _asks(one: _Weighed) -> bool:
    return one.verdict.decision is Decision.ASK

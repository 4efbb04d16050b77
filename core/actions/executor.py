"""Carries approved calls out: lock, last look at the policy, snapshot, journal, action, and the truth about its end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from core.actions.call_context import CurrentCall, as_current_call
from core.actions.calls import (
    Budget,
    Call,
    CallLedger,
    CallRecord,
    CallState,
    Locks,
    PolicyFacts,
    StartOutcome,
)
from core.actions.catalog import Action, Catalog, JsonObject, Outcome, Params, Result, Risk
from core.actions.policy import ActorKind, Decision, Facts, PolicyDecision, decide
from core.bus import Bus
from core.clock import Clock
from core.error_text import problem_of
from core.errors import GuardianError, SystemUnavailable
from core.runs import Done, Priority, Run, Runs, RunState, Waiting
from core.settings import PolicySettings
from core.text import Text, text

LOCK_WAIT_S = 60.0
"""How long a call waits for another one on the same target."""
SETTLE_S = 20.0
"""How long the world is asked whether a call that was cut off took effect: a restart needs its grace period."""
NEVER = "never"
"""What a following run says of something that was not begun."""
FOLLOW_LOOK_S = 1.5
"""How often a call looks whether what it began has ended."""
RUN_KIND = "call"
log = logging.getLogger(__name__)
R = TypeVar("R")


class RedactText(Protocol):
    """Takes secrets out of a text."""

    def __call__(self, text: str) -> str:
        """The text without them."""
        ...


@dataclass(frozen=True, kw_only=True)
class CallStarted:
    """An action is under way."""

    record: CallRecord


@dataclass(frozen=True, kw_only=True)
class CallFinished:
    """A call has ended, whatever way."""

    record: CallRecord


@dataclass(frozen=True, kw_only=True)
class ExecutorDeps:
    """What carrying out needs."""

    catalog: Catalog
    ledger: CallLedger
    locks: Locks
    facts: PolicyFacts
    runs: Runs
    bus: Bus
    clock: Clock
    policy: PolicySettings
    redact: RedactText


class ActionExecutor:
    """Runs actions: READ ones at once, approved calls as durable runs of kind `call`."""

    def __init__(self, carriage: ExecutorDeps) -> None:
        self._catalog = carriage.catalog
        self._ledger = carriage.ledger
        self._locks = carriage.locks
        self._facts = carriage.facts
        self._runs = carriage.runs
        self._bus = carriage.bus
        self._clock = carriage.clock
        self._policy = carriage.policy
        self._redact = carriage.redact
        self._runs.register(RUN_KIND, self._carry_out)

    async def enqueue(self, record: CallRecord) -> None:
        key = run_key(record.call.key)
        if not await self._runs.submit(RUN_KIND, key, {"key": record.call.key}, priority=Priority.HIGH):
            await self._runs.wake(key)

    async def _carry_out(self, run: Run) -> Done | Waiting:
        """The handler of a call's run: harmless when delivered twice."""
        record = await self._ledger.get(str(run.payload["key"]))
        if record is None or record.state.is_final:
            return Done()
        if record.state is CallState.ASKED:
            return Waiting()
        for needed in record.call.needs:
            before = await self._ledger.get(needed)
            if before is not None and not before.state.is_final:
                return Waiting()
            if before is None or before.state is not CallState.OK:
                return await self._end(record, CallState.SKIPPED, _failure(text("door.skipped")))
        try:
            async with self._locks.hold(record.target or record.call.key, wait_s=LOCK_WAIT_S):
                return await self._under_lock(record.call.key)
        except SystemUnavailable:
            busy = _failure(text("door.busy", target=record.target or ""))
            return await self._end(record, CallState.FAILED, busy)

    async def _under_lock(self, key: str) -> Done | Waiting:
        record = await self._ledger.get(key)
        if record is None or record.state.is_final:
            return Done()
        action = self._catalog.get(record.call.action)
        params = action.parse(record.call.params)
        if record.state is CallState.STARTED:
            with as_current_call(_calling(record)):
                return await self._take_up(record, action, params)
        facts, _, _ = await self._facts.load(record.call, record.target)
        is_taken_over = facts.is_with_a_person and record.call.actor.kind is not ActorKind.PERSON
        if record.approved_by is None or is_taken_over:
            again = weigh(action, record.call, facts, self._policy)
            if again.decision is not Decision.ALLOW:
                refusal = _failure(denial(again.reason))
                return await self._end(record, CallState.DENIED, refusal)
        with as_current_call(_calling(record)):
            if record.call.basis and (moved := await self._has_moved(record, action, params)) is not None:
                return await self._end(record, CallState.FAILED, moved)
            return await self._start(record, action, params)

    async def _has_moved(self, record: CallRecord, action: Action, params: Params) -> Result | None:
        """Why what was approved is not what would be done now; None: it is."""
        if action.preview is None:
            return None
        try:
            now = await self._bounded(action.preview(params), action)
        except (GuardianError, TimeoutError) as error:
            return _failure(text("door.failed", problem=problem_of(error, self._redact)))
        return None if now.basis == record.call.basis else _failure(text("door.moved"))

    async def _start(self, record: CallRecord, action: Action, params: Params) -> Done | Waiting:
        key = record.call.key
        if action.snapshot is not None and record.call.undo_of is None and await self._ledger.snapshot(key) is None:
            try:
                await self._ledger.save_snapshot(key, await self._bounded(action.snapshot(params), action))
            except (GuardianError, TimeoutError) as error:
                problem = _failure(text("door.failed", problem=problem_of(error, self._redact)))
                return await self._end(record, CallState.FAILED, problem)
        outcome = await self._ledger.start(key, self._clock.now(), self._budget(record, action))
        if outcome is StartOutcome.OVER_BUDGET:
            return await self._end(record, CallState.DENIED, _failure(text("door.over_budget")))
        if outcome is not StartOutcome.STARTED:
            return Done()
        started = await self._ledger.get(key) or record
        await self._bus.publish(CallStarted(record=started))
        result = await self._act(started, action, params)
        if action.follow is not None and result.outcome is not Outcome.FAILED and not result.ends_here:
            return await self._follow(started, action.follow, is_cut_off=False)
        if result.outcome is Outcome.UNKNOWN:
            return await self._settle(started, action, params)
        if result.outcome is Outcome.FAILED and started.tries < record.call.retries:
            await self._ledger.put_back(key)
            return Waiting(until=self._clock.now() + timedelta(seconds=record.call.retry_wait_s))
        return await self._end(started, CallState.OK if result.is_ok else CallState.FAILED, result)

    async def _act(self, record: CallRecord, action: Action, params: Params) -> Result:
        if record.call.undo_of is None:
            return await self.run(action, params)
        if action.undo is None:
            return _failure(text("door.failed", problem=f"{action.name!r} cannot be undone"))
        snapshot = await self._ledger.snapshot(record.call.undo_of)
        if snapshot is None:
            return _failure(text("door.failed", problem=f"there is no snapshot of {record.call.undo_of!r}"))
        undo = action.undo
        return await self.run(replace(action, run=lambda given: undo(given, snapshot)), params)

    async def run(self, action: Action, params: Params) -> Result:
        """Run an action within its time; its system's faults become a failed Result, a cut-off an unknown one."""
        try:
            return await self._bounded(action.run(params), action)
        except TimeoutError:
            says_so = text("door.cut_off", seconds=action.time_limit_s)
            return Result(outcome=Outcome.FAILED if action.risk is Risk.READ else Outcome.UNKNOWN, message=says_so)
        except SystemUnavailable as error:
            problem = text("door.failed", problem=problem_of(error, self._redact))
            return Result(outcome=Outcome.FAILED if action.risk is Risk.READ else Outcome.UNKNOWN, message=problem)
        except GuardianError as error:
            return _failure(text("door.failed", problem=problem_of(error, self._redact)))

    async def _bounded(self, work: Awaitable[R], action: Action) -> R:
        async with asyncio.timeout(action.time_limit_s):
            return await work

    async def _take_up(self, record: CallRecord, action: Action, params: Params) -> Done | Waiting:
        """A call that the last process left started: begun again where the world shows that it never took effect.

        Only once more, and only here: after a time-out in this process the system may still be at it.
        """
        if action.follow is not None and (gone := action.unavailable()) is not None:
            problem = text("door.unavailable", system=action.name.split(".")[0], problem=gone)
            return await self._end(record, CallState.UNKNOWN, Result(outcome=Outcome.UNKNOWN, message=problem))
        if action.follow is not None:
            return await self._follow(record, action.follow, is_cut_off=True)
        may_begin_again = record.tries <= record.call.retries
        if may_begin_again and await self._ask_the_world(action, params, record.started_at) is Outcome.FAILED:
            await self._ledger.put_back(record.call.key)
            return Waiting(until=self._clock.now())
        return await self._settle(record, action, params)

    async def _follow(self, record: CallRecord, kind: str, *, is_cut_off: bool) -> Done | Waiting:
        """Wait for the run that says how what was begun ends; `is_cut_off`: it may not have been begun at all.

        That run's result: `outcome` (ok, failed, unknown, or never: it was not begun), `message`, `data`.
        """
        key = follow_key(kind, record.call.key, record.tries)
        run = await self._runs.get(key)
        if run is None:
            payload: JsonObject = {"call": record.call.key, "is_cut_off": is_cut_off}
            await self._runs.submit(kind, key, payload, priority=Priority.HIGH)
        if run is None or run.state in (RunState.QUEUED, RunState.RUNNING, RunState.WAITING):
            return Waiting(until=self._clock.now() + timedelta(seconds=FOLLOW_LOOK_S))
        ended = run.result or {}
        outcome = str(ended.get("outcome", Outcome.UNKNOWN))
        if outcome == NEVER and run.payload.get("is_cut_off") and record.tries <= record.call.retries:
            await self._ledger.put_back(record.call.key)
            return Waiting(until=self._clock.now())
        message, data = ended.get("message"), ended.get("data")
        result = Result(
            outcome=Outcome.FAILED if outcome == NEVER else Outcome(outcome),
            message=Text.from_json(message) if isinstance(message, dict) else text("door.unknown"),
            data=data if isinstance(data, dict) else {},
        )
        states = {Outcome.FAILED: CallState.FAILED, Outcome.UNKNOWN: CallState.UNKNOWN}
        return await self._end(record, states.get(result.outcome, CallState.OK), result)

    async def _settle(self, record: CallRecord, action: Action, params: Params) -> Done | Waiting:
        """A call that was started and cut off: ask the world; never repeat blindly."""
        found = await self._ask_the_world(action, params, record.started_at)
        if found is Outcome.OK:
            return await self._end(record, CallState.OK, Result(message=text("door.settled_ok")))
        if found is Outcome.FAILED:
            return await self._end(record, CallState.FAILED, _failure(text("door.settled_failed")))
        unknown = Result(outcome=Outcome.UNKNOWN, message=text("door.unknown"))
        return await self._end(record, CallState.UNKNOWN, unknown)

    async def _ask_the_world(self, action: Action, params: Params, started_at: datetime | None) -> Outcome:
        if action.outcome is None or started_at is None:
            return Outcome.UNKNOWN
        found = Outcome.UNKNOWN
        for pause_s in (0.0, 1.0, 2.0, 5.0, SETTLE_S - 8.0):
            await asyncio.sleep(pause_s)
            try:
                found = await self._bounded(action.outcome(params, started_at), action)
            except (GuardianError, TimeoutError) as error:
                log.warning("the world did not answer", extra={"action": action.name, "error": str(error)})
                continue
            if found is Outcome.OK:
                return found
        return found

    def _budget(self, record: CallRecord, action: Action) -> Budget | None:
        if record.call.actor.kind is ActorKind.PERSON or record.approved_by is not None:
            return None
        if action.risk is Risk.DISRUPTIVE:
            hour_ago = self._clock.now() - timedelta(hours=1)
            limit = self._policy.disruptive_per_hour
            return Budget(
                risks=(Risk.DISRUPTIVE,), stack=record.stack, service=record.service, since=hour_ago, limit=limit
            )
        if action.risk is Risk.CHANGE:
            day_ago = self._clock.now() - timedelta(days=1)
            limit = self._policy.changes_per_day
            return Budget(risks=(Risk.CHANGE,), stack=record.stack, service=None, since=day_ago, limit=limit)
        return None

    async def _end(self, record: CallRecord, state: CallState, result: Result) -> Done:
        await self._ledger.finish(record.call.key, state, result, self._clock.now())
        ended = await self._ledger.get(record.call.key) or record
        log.info(
            "a call has ended", extra={"call": record.call.key, "action": record.call.action, "state": ended.state}
        )
        await self.tell_end(ended)
        return Done(result={"state": str(ended.state)})

    async def tell_end(self, record: CallRecord) -> None:
        for dependant in await self._ledger.dependants(record.call.key):
            if dependant.state is CallState.APPROVED:
                await self.enqueue(dependant)
        if record.call.incident_id is not None:
            await self._runs.wake(f"inc-{record.call.incident_id}")
        await self._bus.publish(CallFinished(record=record))


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


def run_key(call_key: str) -> str:
    """The key of a call's run."""
    return f"call:{call_key}"


def follow_key(kind: str, call_key: str, tries: int = 0) -> str:
    """The key of the run that follows what a call began, at its first try or a later one."""
    return f"{kind}:{call_key}:{tries}" if tries else f"{kind}:{call_key}"


def _calling(record: CallRecord) -> CurrentCall:
    call = record.call
    return CurrentCall(
        key=call.key,
        actor=call.actor,
        approved_by=record.approved_by,
        incident_id=call.incident_id,
        undo_of=call.undo_of,
        cause=call.cause,
        started_at=record.started_at,
    )


def _failure(message: Text) -> Result:
    return Result(outcome=Outcome.FAILED, message=message)

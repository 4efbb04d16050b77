"""Executes approved calls: lock, second policy check, snapshot, ledger, action, and a reliable result."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Protocol, TypeVar

import structlog

from core.actions.call_context import CurrentCall, as_current_call
from core.actions.call_outcome import CallLimits, took_effect
from core.actions.call_policy import budget_of, denial, weigh
from core.actions.calls import CallLedger, CallRecord, CallState, Locks, PolicyFacts, StartOutcome
from core.actions.catalog import Action, Catalog, JsonObject, Outcome, Params, Result, Risk
from core.actions.policy import ActorKind, Decision
from core.bus import Bus
from core.clock import Clock
from core.error_text import problem_of
from core.errors import ActionFailed, GuardianError, SystemUnavailable, TimeLimitExceeded
from core.runs import Done, Priority, Run, Runs, RunState, Waiting
from core.settings import PolicySettings
from core.text import Text, text

RUN_ERROR_LIMIT = 300
NEVER = "never"
"""Outcome that a following run reports when the work was never begun."""
FOLLOW_LOOK_S = 1.5
"""Interval at which a call checks the run that follows it."""
RUN_KIND = "call"
log = structlog.get_logger(__name__)
R = TypeVar("R")


class RedactText(Protocol):
    """Redacts the secrets in a text."""

    def __call__(self, text: str) -> str:
        """Return the text without secrets."""
        ...


@dataclass(frozen=True, kw_only=True)
class CallStarted:
    """An action is being run."""

    record: CallRecord


@dataclass(frozen=True, kw_only=True)
class CallFinished:
    """A call has ended, with whatever result."""

    record: CallRecord


@dataclass(frozen=True, kw_only=True)
class ExecutorDeps:
    """Everything the executor needs."""

    catalog: Catalog
    ledger: CallLedger
    locks: Locks
    facts: PolicyFacts
    runs: Runs
    bus: Bus
    clock: Clock
    policy: PolicySettings
    redact: RedactText
    limits: CallLimits = field(default_factory=CallLimits)


class ActionExecutor:
    """Runs actions: READ ones at once, approved calls as durable runs of kind `call`."""

    def __init__(self, deps: ExecutorDeps) -> None:
        self._catalog = deps.catalog
        self._ledger = deps.ledger
        self._locks = deps.locks
        self._facts = deps.facts
        self._runs = deps.runs
        self._bus = deps.bus
        self._clock = deps.clock
        self._policy = deps.policy
        self._redact = deps.redact
        self._limits = deps.limits
        self._answers: dict[str, Result] = {}
        """Answers of actions by call key, kept until their result is recorded."""
        self._untold: set[str] = set()
        """Keys of calls whose end may be recorded but has not been published."""
        self._runs.register(RUN_KIND, self._carry_out, on_dead=self._give_up)

    async def enqueue(self, record: CallRecord) -> None:
        key = run_key(record.call.key)
        if not await self._runs.submit(RUN_KIND, key, {"key": record.call.key}, priority=Priority.HIGH):
            await self._runs.wake(key)

    async def _carry_out(self, run: Run) -> Done | Waiting:
        """Handle a call's run; harmless when delivered twice.

        SystemUnavailable can only come from the records: a failing system is the action's answer. The call then stays
        as recorded and is tried again later; an action that ran is not repeated, and its answer is kept.
        """
        key = str(run.payload["key"])
        try:
            return await self._advance(key)
        except SystemUnavailable as error:
            log.warning("a call waits for the records", call=key, why=str(error))
            return self._later(self._limits.records_s)

    async def _advance(self, key: str) -> Done | Waiting:
        record = await self._ledger.get(key)
        if record is None or record.state.is_final:
            return await self._told(record)
        if record.state is CallState.ASKED:
            return Waiting()
        for needed in record.call.needs:
            before = await self._ledger.get(needed)
            if before is not None and not before.state.is_final:
                return Waiting()
            if before is None or before.state is not CallState.OK:
                return await self._end(record, CallState.SKIPPED, _failure(text("gateway.skipped")))
        async with AsyncExitStack() as lock:
            try:
                held = self._locks.hold(record.target or key, wait_s=self._limits.lock_s)
                await lock.enter_async_context(held)
            except TimeLimitExceeded:
                return await self._busy(record)
            return await self._under_lock(key)

    async def _busy(self, record: CallRecord) -> Done | Waiting:
        """Handle a target that stayed locked: a call that has not started fails, a started one waits."""
        busy = _failure(text("gateway.busy", target=record.target or ""))
        await self._finish(record, CallState.FAILED, busy, only_from=CallState.APPROVED)
        after = await self._ledger.get(record.call.key)
        if after is not None and not after.state.is_final:
            return self._later(self._limits.records_s)
        return await self._told(after)

    async def _under_lock(self, key: str) -> Done | Waiting:
        record = await self._ledger.get(key)
        if record is None or record.state.is_final:
            return await self._told(record)
        action = self._catalog.get(record.call.action)
        params = action.parse(record.call.params)
        if record.state is CallState.STARTED:
            with as_current_call(_calling(record)):
                answer = self._answers.get(key)
                if answer is not None:
                    return await self._conclude(record, action, params, answer)
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
        """Return a failure if the preview no longer matches the approved one; None: it does."""
        if action.preview is None:
            return None
        try:
            now = await self._bounded(action.preview(params), action)
        except (GuardianError, TimeoutError) as error:
            return _failure(text("gateway.failed", problem=problem_of(error, self._redact)))
        return None if now.basis == record.call.basis else _failure(text("gateway.moved"))

    async def _start(self, record: CallRecord, action: Action, params: Params) -> Done | Waiting:
        key = record.call.key
        try:
            work = await self._prepared(record, action, params)
        except (ActionFailed, TimeoutError) as error:
            problem = _failure(text("gateway.failed", problem=problem_of(error, self._redact)))
            return await self._end(record, CallState.FAILED, problem)
        now = self._clock.now()
        self._answers.pop(key, None)  # of an earlier try
        outcome = await self._ledger.start(key, now, budget_of(record, action, self._policy, now))
        if outcome is StartOutcome.OVER_BUDGET:
            return await self._end(record, CallState.DENIED, _failure(text("gateway.over_budget")))
        if outcome is not StartOutcome.STARTED:
            return Done()
        started = replace(record, state=CallState.STARTED, started_at=now)
        await self._bus.publish(CallStarted(record=started))
        self._answers[key] = answer = await self.run(work, params)
        return await self._conclude(started, action, params, answer)

    async def _conclude(self, record: CallRecord, action: Action, params: Params, answer: Result) -> Done | Waiting:
        """Record the result of an action's answer; the answer is kept until that is written."""
        key = record.call.key
        is_refused = answer.outcome is Outcome.FAILED
        after: Done | Waiting
        if action.follow is not None and not is_refused and not answer.ends_here:
            after = await self._follow(record, action.follow, is_cut_off=False)
        elif answer.outcome is Outcome.UNKNOWN:
            after = await self._settle(record, action, params)
        elif is_refused and record.tries < record.call.retries:
            await self._ledger.put_back(key)
            after = self._later(record.call.retry_wait_s)
        else:
            after = await self._end(record, CallState.OK if answer.is_ok else CallState.FAILED, answer)
        self._answers.pop(key, None)
        return after

    async def _prepared(self, record: CallRecord, action: Action, params: Params) -> Action:
        """Return the action or its undo, after the snapshot. Raises ActionFailed or TimeoutError: it cannot begin."""
        undone = record.call.undo_of
        if undone is None:
            await self._keep_snapshot(record.call.key, action, params)
            return action
        if action.undo is None:
            raise ActionFailed(f"{action.name!r} cannot be undone")
        snapshot, undo = await self._ledger.snapshot(undone), action.undo
        if snapshot is None:
            raise ActionFailed(f"there is no snapshot of {undone!r}")
        return replace(action, run=lambda given: undo(given, snapshot))

    async def _keep_snapshot(self, key: str, action: Action, params: Params) -> None:
        if action.snapshot is None or await self._ledger.snapshot(key) is not None:
            return
        try:
            taken = await self._bounded(action.snapshot(params), action)
        except GuardianError as error:
            raise ActionFailed(str(error), message=error.message) from error
        await self._ledger.save_snapshot(key, taken)

    async def run(self, action: Action, params: Params) -> Result:
        """Run an action within its time limit; a system's fault gives a failed result, a cut-off an unknown one."""
        try:
            return await self._bounded(action.run(params), action)
        except TimeoutError:
            says_so = text("gateway.cut_off", seconds=action.time_limit_s)
            return Result(outcome=Outcome.FAILED if action.risk is Risk.READ else Outcome.UNKNOWN, message=says_so)
        except SystemUnavailable as error:
            problem = text("gateway.failed", problem=problem_of(error, self._redact))
            return Result(outcome=Outcome.FAILED if action.risk is Risk.READ else Outcome.UNKNOWN, message=problem)
        except GuardianError as error:
            return _failure(text("gateway.failed", problem=problem_of(error, self._redact)))

    async def _bounded(self, work: Awaitable[R], action: Action) -> R:
        async with asyncio.timeout(action.time_limit_s):
            return await work

    async def _take_up(self, record: CallRecord, action: Action, params: Params) -> Done | Waiting:
        """Resume a call that the last process left started; it is run again only if it certainly never took effect.

        Once more at most, and only here: after a time-out in this process the system may still be working on it.
        """
        if action.follow is not None and (gone := action.unavailable()) is not None:
            problem = text("gateway.unavailable", system=action.name.split(".")[0], problem=gone)
            return await self._end(record, CallState.UNKNOWN, Result(outcome=Outcome.UNKNOWN, message=problem))
        if action.follow is not None:
            return await self._follow(record, action.follow, is_cut_off=True)
        may_begin_again = record.tries <= record.call.retries
        if may_begin_again and await took_effect(record, action, params, self._limits) is Outcome.FAILED:
            await self._ledger.put_back(record.call.key)
            return self._later(0.0)
        return await self._settle(record, action, params)

    async def _follow(self, record: CallRecord, kind: str, *, is_cut_off: bool) -> Done | Waiting:
        """Wait for the run that decides how the action ends; `is_cut_off`: the work may not have been begun at all.

        That run's result: `outcome` (ok, failed, unknown, or never: not begun), `message`, `data`.
        """
        key = follow_key(kind, record.call.key, record.tries)
        run = await self._runs.get(key)
        if run is None:
            payload: JsonObject = {"call": record.call.key, "is_cut_off": is_cut_off}
            await self._runs.submit(kind, key, payload, priority=Priority.HIGH)
        if run is None or run.state in (RunState.QUEUED, RunState.RUNNING, RunState.WAITING):
            return self._later(FOLLOW_LOOK_S)
        ended = run.result or {}
        outcome = str(ended.get("outcome", Outcome.UNKNOWN))
        if outcome == NEVER and run.payload.get("is_cut_off") and record.tries <= record.call.retries:
            await self._ledger.put_back(record.call.key)
            return self._later(0.0)
        message, data = ended.get("message"), ended.get("data")
        result = Result(
            outcome=Outcome.FAILED if outcome == NEVER else Outcome(outcome),
            message=Text.from_json(message) if isinstance(message, dict) else text("gateway.unknown"),
            data=data if isinstance(data, dict) else {},
        )
        states = {Outcome.FAILED: CallState.FAILED, Outcome.UNKNOWN: CallState.UNKNOWN}
        return await self._end(record, states.get(result.outcome, CallState.OK), result)

    async def _settle(self, record: CallRecord, action: Action, params: Params) -> Done | Waiting:
        """Ask the outside system about a call that was started and cut off; never repeat it blindly."""
        found = await took_effect(record, action, params, self._limits)
        if found is Outcome.OK:
            return await self._end(record, CallState.OK, Result(message=text("gateway.settled_ok")))
        if found is Outcome.FAILED:
            return await self._end(record, CallState.FAILED, _failure(text("gateway.settled_failed")))
        unknown = Result(outcome=Outcome.UNKNOWN, message=text("gateway.unknown"))
        return await self._end(record, CallState.UNKNOWN, unknown)

    async def _end(self, record: CallRecord, state: CallState, result: Result) -> Done:
        await self._finish(record, state, result)
        ended = await self._ledger.get(record.call.key) or record
        log.info("a call has ended", call=record.call.key, action=record.call.action, state=ended.state)
        return await self._told(ended)

    async def _finish(
        self, record: CallRecord, state: CallState, result: Result, *, only_from: CallState | None = None
    ) -> None:
        self._untold.add(record.call.key)
        await self._ledger.finish(record.call.key, state, result, self._clock.now(), only_from=only_from)

    async def _told(self, record: CallRecord | None) -> Done:
        """End a call's run, after publishing the end of the call."""
        if record is None:
            return Done()
        if record.call.key in self._untold:
            await self.tell_end(record)
            self._untold.discard(record.call.key)
        return Done(result={"state": str(record.state)})

    async def _give_up(self, run: Run) -> None:
        """End a call whose run failed for good, so that nobody waits for it for ever."""
        record = await self._ledger.get(str(run.payload["key"]))
        if record is None or record.state.is_final:
            return
        log.error("a call could not be carried out", call=record.call.key, error=run.error)
        if record.state is CallState.STARTED:
            unknown = Result(outcome=Outcome.UNKNOWN, message=text("gateway.unknown"))
            await self._end(record, CallState.UNKNOWN, unknown)
            return
        problem = self._redact(run.error)[:RUN_ERROR_LIMIT]
        await self._end(record, CallState.FAILED, _failure(text("gateway.failed", problem=problem)))

    def _later(self, seconds: float) -> Waiting:
        return Waiting(until=self._clock.now() + timedelta(seconds=seconds))

    async def tell_end(self, record: CallRecord) -> None:
        for dependant in await self._ledger.dependants(record.call.key):
            if dependant.state is CallState.APPROVED:
                await self.enqueue(dependant)
        if record.call.incident_id is not None:
            await self._runs.wake(f"inc-{record.call.incident_id}")
        await self._bus.publish(CallFinished(record=record))


def run_key(call_key: str) -> str:
    """Return the key of a call's run."""
    return f"call:{call_key}"


def follow_key(kind: str, call_key: str, tries: int = 0) -> str:
    """Return the key of the run that follows a call, at its first try or a later one."""
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

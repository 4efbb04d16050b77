"""Runs the incident graph as durable runs: one per incident, resumable in another process, woken by the gateway."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from agent.incident.graph_state import GraphWait, PlanOutcome, RepairCheck, RepairVerdict
from agent.incident.incident_deps import IncidentDeps
from agent.incident.nodes.outcomes import call_records, plan_outcome
from agent.incident.repair_watch import RepairWatch
from core.actions.calls import CallRecord, CallState
from core.actions.executor import CallStarted
from core.incidents.alerts import Severity
from core.incidents.incident import Incident, IncidentState
from core.runs import Done, Priority, Run, Runs, RunState, Waiting
from core.text import text

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

INCIDENT_RUN_KIND = "incident"
INCIDENT_RUN_TRIES = 3
STEP_LIMIT = 100
"""Nodes per incident; every attempt takes about ten."""
WATCHED_AT_ONCE = 8
"""Repairs watched inside their runs, without writes to the records; further ones free their slot between looks."""
SAFETY_LOOK_S = 30.0
"""Longest time between two looks of a waiting run, in case a wake is lost with its process."""
ENDED_RUN_STATES = (RunState.DONE, RunState.DEAD, RunState.CANCELLED)
_BEFORE_ACTING = (IncidentState.DETECTED, IncidentState.DIAGNOSING, IncidentState.NEEDS_APPROVAL)
"""A decision may come before the graph has recorded that it asked."""
log = structlog.get_logger(__name__)


class CheckpointStore(Protocol):
    """The graph's saved threads, one per incident, named by the incident's key."""

    async def saver(self) -> BaseCheckpointSaver[Any]:
        """Return LangGraph's store, opened on first use."""
        ...

    async def forget(self, thread: str) -> None:
        """Drop a thread, if there is one."""
        ...


class IncidentRuntime:
    """Begins an incident's run and advances it until the graph has ended."""

    def __init__(self, deps: IncidentDeps, runs: Runs, checkpoints: CheckpointStore) -> None:
        self._deps = deps
        self._runs = runs
        self._checkpoints = checkpoints
        self._graph: CompiledStateGraph[Any, Any, Any, Any] | None = None
        self._opening = asyncio.Lock()
        self._watched = 0
        self._is_leaving = asyncio.Event()
        runs.register(INCIDENT_RUN_KIND, self._advance, tries=INCIDENT_RUN_TRIES, on_dead=self._give_up)

    async def preload(self) -> None:
        """Import and build the graph now, off the loop, so that the first incident does not wait for it."""
        await asyncio.to_thread(_import_langgraph)
        await self._compiled()

    async def begin(self, incident: Incident) -> None:
        """Queue the run of an incident, unless it has one."""
        priority = Priority.HIGH if incident.severity is Severity.CRITICAL else Priority.NORMAL
        await self._runs.submit(INCIDENT_RUN_KIND, incident.key, {"incident_id": incident.id}, priority=priority)

    async def poke(self, incident: Incident) -> None:
        """Wake the run after an alert or a decision."""
        await self._runs.wake(incident.key)

    def leave(self) -> None:
        """Stop watching repairs, as the runs are about to be stopped."""
        self._is_leaving.set()

    async def on_call_started(self, event: CallStarted) -> None:
        """Mark the incident as being acted on."""
        incident_id = event.record.call.incident_id
        if incident_id is None or event.record.call.undo_of is not None:
            return
        now = self._deps.clock.now()

        def acting(one: Incident) -> Incident:
            if one.state not in _BEFORE_ACTING:
                return one
            by = event.record.approved_by
            said = one.note(now, text("agent.approved_by", who=by)) if by else one
            return replace(said, state=IncidentState.ACTING)

        await self._deps.tracker.update(incident_id, acting)

    async def _advance(self, run: Run) -> Done | Waiting:
        """Advance the graph as far as possible for now."""
        from langgraph.types import Command

        incident = await self._deps.tracker.get(_incident_id(run))
        graph = await self._compiled()
        config: Any = {"configurable": {"thread_id": run.key}, "recursion_limit": STEP_LIMIT}
        state = await graph.aget_state(config)
        if not state.created_at and incident is not None and not incident.is_open and incident.gathered:
            return Done(result={"ended": True})  # cut off after its thread was dropped
        if not state.interrupts:  # not begun, or cut off in the middle; one that waits need not run its node again
            start = None if state.created_at else {"incident_id": _incident_id(run)}
            await graph.ainvoke(start, config, durability="sync")
            state = await graph.aget_state(config)
        while state.interrupts:
            pause = state.interrupts[0]
            answer = await self._answer(run, pause.value)
            if isinstance(answer, Waiting):
                return answer
            await graph.ainvoke(Command(resume={pause.id: answer}), config, durability="sync")
            state = await graph.aget_state(config)
        incident = await self._deps.tracker.get(_incident_id(run))
        if incident is not None and not incident.is_open:
            await self._checkpoints.forget(run.key)
        return Done(result={"ended": True})

    async def _answer(self, run: Run, wait: GraphWait) -> PlanOutcome | RepairVerdict | Waiting:
        """Return the answer a paused graph waits for, or the moment of the next look."""
        if "repair" in wait:
            return await self._judged(run, wait["repair"])
        found = await call_records(self._deps.gateway, wait["calls"])
        return plan_outcome(found) or await self._until_decided(found)

    async def _until_decided(self, found: Sequence[CallRecord]) -> Waiting:
        now = self._deps.clock.now()
        looks = [now + timedelta(seconds=SAFETY_LOOK_S)]
        for record in found:
            if record.state is CallState.ASKED and record.approval_id:
                approval = await self._deps.gateway.approvals.get(record.approval_id)
                if approval is not None:
                    looks.append(approval.expires_at + timedelta(seconds=0.1))
        if any(record.state is CallState.ASKED for record in found):
            await self._deps.gateway.expire()
        return Waiting(until=max(min(looks), now + timedelta(seconds=0.05)))

    async def _judged(self, run: Run, repair: RepairCheck) -> RepairVerdict | Waiting:
        """Watch the repair until it has held or failed, or until the run must give up its slot."""
        watch = RepairWatch(_incident_id(run), repair, self._deps)
        while True:
            seen = await watch.look()
            if seen is None or seen.verdict == "held":
                return {"verdict": "held", "reason": None}
            if seen.verdict == "failed":
                return {"verdict": "failed", "reason": seen.message.to_json()}
            has_failed = run.tries > 0  # a look that worked is to be recorded, so that the next failure is the first
            if has_failed or self._is_leaving.is_set() or self._watched >= WATCHED_AT_ONCE:
                return Waiting(until=watch.next_look_at)
            await self._rest_until(watch.next_look_at)

    async def _rest_until(self, moment: datetime) -> None:
        """Wait until the moment or until `leave` is called."""
        rest_s = (moment - self._deps.clock.now()).total_seconds()
        self._watched += 1
        try:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._is_leaving.wait(), max(rest_s, 0.0))
        finally:
            self._watched -= 1

    async def _give_up(self, run: Run) -> None:
        """Report the guardian's own failure on the incident."""
        incident_id = _incident_id(run)
        log.error("an incident's run has failed for good", incident=incident_id, error=run.error)
        now = self._deps.clock.now()
        reason = text("agent.own_failure", problem=self._deps.redact(run.error)[:300])

        def failed(one: Incident) -> Incident:
            if not one.is_open:
                return one
            said = one.note(now, text("agent.escalated", reason=reason))
            return replace(said, state=IncidentState.ESCALATED, outcome=reason, verify_until=None)

        await self._deps.tracker.update(incident_id, failed, pages=text("agent.page.escalated", reason=reason))

    async def forget(self, incident: Incident) -> None:
        """Drop the thread of a closed incident whose run is over; an unfinished run does it at its end."""
        run = await self._runs.get(incident.key)
        if not incident.is_open and run is not None and run.state in ENDED_RUN_STATES:
            await self._checkpoints.forget(incident.key)

    async def _compiled(self) -> CompiledStateGraph[Any, Any, Any, Any]:
        async with self._opening:
            if self._graph is None:
                from agent.incident.graph import build_graph

                self._graph = build_graph(self._deps, await self._checkpoints.saver())
            return self._graph


def _incident_id(run: Run) -> int:
    return int(str(run.payload["incident_id"]))


def _import_langgraph() -> None:
    import langgraph.graph
    import langgraph.types  # noqa: F401

"""Runs the incident graph as durable runs: one per incident, resumable in another process, woken by the door."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from agent.incident.graph_state import Wait
from agent.incident.incident_deps import IncidentDeps
from agent.incident.nodes.outcomes import calls_end, records
from core.actions.calls import CallState
from core.actions.executor import CallStarted
from core.incidents.alerts import Severity
from core.incidents.incident import Incident, IncidentState
from core.runs import Done, Priority, Run, Runs, RunState, Waiting
from core.text import text

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

RUN_KIND = "incident"
RUN_TRIES = 3
STEP_LIMIT = 1200
"""Nodes per incident: a verification looks every two seconds for at most ten minutes, twice."""
SAFETY_LOOK_S = 30.0
"""A waiting run looks by itself this often, should a wake be lost with its process."""
_BEFORE_ACTING = (IncidentState.DETECTED, IncidentState.DIAGNOSING, IncidentState.NEEDS_APPROVAL)
"""A decision may be quicker than the graph, which says only afterwards that it has asked."""
log = logging.getLogger(__name__)


class IncidentRuntime:
    """Begins an incident's run and carries it on until the graph has ended."""

    def __init__(
        self,
        mind: IncidentDeps,
        runs: Runs,
        open_checkpointer: Callable[[], Awaitable[BaseCheckpointSaver[Any]]],
    ) -> None:
        self._mind = mind
        self._runs = runs
        self._open_checkpointer = open_checkpointer
        self._graph: CompiledStateGraph[Any, Any, Any, Any] | None = None
        self._opening = asyncio.Lock()
        runs.register(RUN_KIND, self._advance, tries=RUN_TRIES)

    async def preload(self) -> None:
        """Import and build the graph now, off the loop, so that the first incident does not wait for it."""
        await asyncio.to_thread(_import_langgraph)
        await self._compiled()

    async def begin(self, incident: Incident) -> None:
        """Queue the run of an incident; begun before: nothing."""
        priority = Priority.HIGH if incident.severity is Severity.CRITICAL else Priority.NORMAL
        await self._runs.submit(RUN_KIND, incident.key, {"incident_id": incident.id}, priority=priority)

    async def poke(self, incident: Incident) -> None:
        """Make the run look again: an alert came, went, or a person decided."""
        await self._runs.wake(incident.key)

    async def on_call_started(self, event: CallStarted) -> None:
        """Show that the machine is at work."""
        incident_id = event.record.call.incident_id
        if incident_id is None or event.record.call.undo_of is not None:
            return
        now = self._mind.clock.now()

        def acting(one: Incident) -> Incident:
            if one.state not in _BEFORE_ACTING:
                return one
            by = event.record.approved_by
            said = one.note(now, text("agent.approved_by", who=by)) if by else one
            return replace(said, state=IncidentState.ACTING)

        await self._mind.desk.update(incident_id, acting)

    async def _advance(self, run: Run) -> Done | Waiting:
        """The handler: as far as it can go now."""
        try:
            return await self._step(run)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            if run.tries + 1 >= RUN_TRIES:
                await self._give_up(int(str(run.payload["incident_id"])), error)
            raise

    async def _step(self, run: Run) -> Done | Waiting:
        from langgraph.types import Command

        graph = await self._compiled()
        config: Any = {"configurable": {"thread_id": run.key}, "recursion_limit": STEP_LIMIT}
        known = await graph.aget_state(config)
        if not known.interrupts:  # not begun, or cut off in the middle; one that waits need not run its node again
            start = None if known.created_at else {"incident_id": int(str(run.payload["incident_id"]))}
            await graph.ainvoke(start, config, durability="sync")
        while True:
            state = await graph.aget_state(config)
            if not state.interrupts:
                return Done(result={"ended": True})
            pause = state.interrupts[0]
            answer, until = await self._look(pause.value)
            if answer is None:
                return Waiting(until=until)
            await graph.ainvoke(Command(resume={pause.id: answer}), config, durability="sync")

    async def _look(self, wait: Wait) -> tuple[str | None, datetime | None]:
        """Whether what a paused graph waits for is there: its answer, or None and when to look again."""
        now = self._mind.clock.now()
        if "until" in wait:
            until = datetime.fromisoformat(wait["until"])
            return ("due", None) if now >= until else (None, until)
        found = await records(self._mind.door, wait.get("calls", []))
        end = calls_end(found)
        if end is not None:
            return end, None
        looks = [now + timedelta(seconds=SAFETY_LOOK_S)]
        for record in found:
            if record.state is CallState.ASKED and record.approval_id:
                approval = await self._mind.door.approvals.get(record.approval_id)
                if approval is not None:
                    looks.append(approval.expires_at + timedelta(seconds=0.1))
        if any(record.state is CallState.ASKED for record in found):
            await self._mind.door.expire()
        return None, max(min(looks), now + timedelta(seconds=0.05))

    async def _give_up(self, incident_id: int, error: Exception) -> None:
        """The guardian's own failure is said, never hidden."""
        log.error("an incident's run has failed for good", extra={"incident": incident_id, "error": repr(error)})
        now = self._mind.clock.now()
        reason = text("agent.own_failure", problem=self._mind.redact(f"{type(error).__name__}: {error}")[:300])

        def failed(one: Incident) -> Incident:
            if not one.is_open:
                return one
            said = one.note(now, text("agent.escalated", reason=reason))
            return replace(said, state=IncidentState.ESCALATED, outcome_says=reason, verify_until=None)

        await self._mind.desk.update(incident_id, failed, pages=text("agent.page.escalated", reason=reason))

    async def forget(self, incident: Incident) -> None:
        """Drop the checkpoints of an incident that is closed and whose run is over; the records keep the rest."""
        run = await self._runs.get(incident.key)
        if incident.is_open or run is None or run.state is not RunState.DONE:
            return
        checkpointer = (await self._compiled()).checkpointer
        if checkpointer is not None and not isinstance(checkpointer, bool):
            await checkpointer.adelete_thread(incident.key)

    async def _compiled(self) -> CompiledStateGraph[Any, Any, Any, Any]:
        async with self._opening:
            if self._graph is None:
                from agent.incident.graph import build_graph

                self._graph = build_graph(self._mind, await self._open_checkpointer())
            return self._graph


def _import_langgraph() -> None:
    import langgraph.graph
    import langgraph.types  # noqa: F401

"""Collects the evidence: what the containers, their logs, their dependencies and the past say."""

from __future__ import annotations

from dataclasses import replace

from agent.gather import gather
from agent.ports import Mind
from agent.state import DokployAgentState
from core.actions import Result
from core.incidents import Incident, IncidentState
from core.policy import Actor, ActorKind

READER = Actor(kind=ActorKind.RUNBOOK, id="gather_context", name="gather_context")


async def gather_context(state: DokployAgentState, mind: Mind) -> DokployAgentState:
    """READ calls through the door; what could not be found out is evidence too."""
    incident = await mind.desk.get(state["incident_id"])
    if incident is None:
        return {}

    async def read(name: str, params: dict[str, object]) -> Result:
        return await mind.door.read(name, params, READER)

    found = await gather(incident, mind.watch.inventory(), read, at=mind.clock.now())

    def gathered(one: Incident) -> Incident:
        looking = IncidentState.DIAGNOSING if one.state is IncidentState.ROLLED_BACK else one.state
        return replace(one, gathered=tuple(found), state=looking)

    await mind.desk.update(incident.id, gathered)
    return {"root_seen": incident.culprit}

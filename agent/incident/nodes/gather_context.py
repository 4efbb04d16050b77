"""Gathers evidence from the containers, their logs, their dependencies and the past."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from agent.incident.evidence.gather import gather_evidence
from agent.incident.graph_state import IncidentGraphState
from agent.incident.incident_deps import IncidentDeps
from core.actions.catalog import Result
from core.actions.policy import Actor, ActorKind
from core.incidents.incident import Incident, IncidentState
from core.monitoring.inventory import ContainerState

RESTART_LOOKS, RESTART_LOOK_S = 5, 0.2
"""The engine waits 0.1 s before its first restart by policy, and starting takes some more."""
GATHER_ACTOR = Actor(kind=ActorKind.RUNBOOK, id="gather_context", name="gather_context")


async def gather_context(state: IncidentGraphState, deps: IncidentDeps) -> IncidentGraphState:
    """Gather evidence by READ calls through the gateway; what could not be found is noted too."""
    incident = await deps.tracker.get(state["incident_id"])
    if incident is None:
        return {}

    async def read(name: str, params: dict[str, object]) -> Result:
        return await deps.gateway.read(name, params, GATHER_ACTOR)

    await _until_restarted(incident, deps)
    found = await gather_evidence(incident, deps.watch.inventory(), read, at=deps.clock.now())

    def gathered(one: Incident) -> Incident:
        looking = IncidentState.DIAGNOSING if one.state is IncidentState.ROLLED_BACK else one.state
        return replace(one, gathered=tuple(found), state=looking)

    await deps.tracker.update(incident.id, gathered)
    return {"root_seen": incident.culprit}


async def _until_restarted(incident: Incident, deps: IncidentDeps) -> None:
    """Wait for a restart policy to act: our plan must not interrupt what comes back by itself."""
    ref = f"{incident.host}/{incident.container}"
    for _ in range(RESTART_LOOKS):
        container = deps.watch.inventory().container(ref) if incident.container else None
        if container is None or container.state is not ContainerState.RESTARTING:
            return
        await asyncio.sleep(RESTART_LOOK_S)
        await deps.watch.refresh(incident.host)

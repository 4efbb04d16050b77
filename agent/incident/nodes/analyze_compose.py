"""Walks the stack's dependencies to find the possible root and its victims."""

from __future__ import annotations

from agent.incident.evidence.dependency_evidence import DependencyEvidence
from agent.incident.graph_state import IncidentGraphState
from agent.incident.incident_deps import IncidentDeps
from core.monitoring.topology import topology


async def analyze_compose(state: IncidentGraphState, deps: IncidentDeps) -> IncidentGraphState:
    """Take the nearest troubled dependency as the root, or else the service itself."""
    incident = await deps.tracker.get(state["incident_id"])
    if incident is None or incident.service is None:
        return {"culprit": "", "affected": []}
    inventory = deps.watch.inventory()
    broken = [one.title for one in DependencyEvidence(incident, inventory).suspects() if one.container is not None]
    culprit = broken[-1] if broken else incident.target
    return {"culprit": culprit, "affected": list(topology(inventory, incident.host).victims(culprit))}

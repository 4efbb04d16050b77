"""Walks the stack's dependencies: who may be the root, and who suffers."""

from __future__ import annotations

from agent.incident.graph_state import IncidentGraphState
from agent.incident.incident_deps import IncidentDeps
from core.monitoring.inventory import ContainerState, Health, Inventory
from core.monitoring.topology import topology


async def analyze_compose(state: IncidentGraphState, mind: IncidentDeps) -> IncidentGraphState:
    """The nearest broken service that the troubled one stands on is the root's first candidate; else it is its own."""
    incident = await mind.desk.get(state["incident_id"])
    if incident is None or incident.service is None:
        return {"culprit": "", "affected": []}
    inventory = mind.watch.inventory()
    graph = topology(inventory, incident.host)
    broken = [name for name in graph.roots(incident.target) if _is_broken(inventory, incident.host, name)]
    culprit = broken[-1] if broken else incident.target
    return {"culprit": culprit, "affected": list(graph.victims(culprit))}


def _is_broken(inventory: Inventory, host: str, title: str) -> bool:
    for service in inventory.services():
        if service.host == host and service.title == title:
            return any(
                one.state is not ContainerState.RUNNING or one.health is Health.UNHEALTHY for one in service.containers
            )
    return False

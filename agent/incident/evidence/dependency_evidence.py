"""Finds troubled dependencies of a service, by the dependency graph and by host names in its logs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import JsonValue

from core.incidents.incident import Incident
from core.monitoring.inventory import Container, Inventory
from core.monitoring.status import Status, status_of, worst_of
from core.monitoring.topology import Topology, topology

COMPLETED = "service_completed_successfully"
MISSING = "missing"
NAMES_LIMIT = 30


@dataclass(frozen=True, kw_only=True)
class TroubledDependency:
    """A dependency that is not well."""

    title: str
    container: Container | None
    """None when the stack has no container of that name."""


class DependencyEvidence:
    """The dependencies of one incident's service."""

    def __init__(self, incident: Incident, inventory: Inventory) -> None:
        self._incident = incident
        self._inventory = inventory
        self._graph: Topology = topology(inventory, incident.host)
        self._containers: dict[str, list[Container]] = {}
        for service in inventory.services():
            if service.host == incident.host:
                self._containers.setdefault(service.title, []).extend(service.containers)

    def suspects(self) -> list[TroubledDependency]:
        """Return the dependencies that are not well, nearest first."""
        return [one for name in self._graph.roots(self._incident.target) if (one := self._suspect(name))]

    def named(self, host_name: str) -> TroubledDependency | None:
        """Return the service meant by a host name in its logs, or the root below it, if not well."""
        title = self._title_of(host_name)
        if title is None or title == self._incident.target:
            return None
        deeper = [one for name in self._graph.roots(title) if (one := self._suspect(name))]
        return deeper[-1] if deeper else self._suspect(title)

    def is_known(self, host_name: str) -> bool:
        """Return whether a host name belongs to a container that it can reach, or could while that one ran."""
        return self._title_of(host_name) is not None

    def facts(self, suspect: TroubledDependency | None) -> dict[str, JsonValue]:
        """Return evidence by name about a suspect."""
        root = suspect.title if suspect else self._incident.target
        facts: dict[str, JsonValue] = {
            "dependencies": _names(self._graph.needs(self._incident.target)),
            "affected": _names(self._graph.victims(root)),
        }
        if suspect is None:
            return facts
        facts["dependency"] = suspect.title
        facts["dependency_state"] = MISSING
        one = suspect.container
        if one is not None:
            facts["dependency_container"] = one.ref
            facts["dependency_state"] = one.state.value
            facts["dependency_running"] = one.is_running
            facts["dependency_health"] = one.health.value
            facts["dependency_exit_code"] = one.exit_code
        return facts

    def _suspect(self, title: str) -> TroubledDependency | None:
        containers = self._containers.get(title)
        if not containers:
            return TroubledDependency(title=title, container=None)
        if any(status_of(one).is_serving for one in containers) or self._may_have_ended(title, containers):
            return None
        return TroubledDependency(title=title, container=worst_of(containers))

    def _may_have_ended(self, title: str, containers: list[Container]) -> bool:
        """Return whether it is a job that others need completed, and has completed."""
        conditions = {edge.condition for edge in self._graph.edges if edge.dependency == title}
        return COMPLETED in conditions and all(status_of(one) is Status.FINISHED for one in containers)

    def _title_of(self, host_name: str) -> str | None:
        """Find a service by host name, in its stack first, then in shared networks; includes stopped ones."""
        wanted = host_name.casefold().rstrip(".")
        own = self._inventory.container(f"{self._incident.host}/{self._incident.container}")
        networks = set(own.networks) if own else set()
        found: list[tuple[int, str]] = []
        for one in self._inventory.containers:
            names = {one.service, one.name, *one.aliases}
            if one.host != self._incident.host or wanted not in {name.casefold() for name in names}:
                continue
            title = one.title
            if one.stack is not None and one.stack == self._incident.stack:
                found.append((0, title))
            elif networks & set(one.networks):
                found.append((1, title))
        return min(found)[1] if found else None


def _names(titles: Iterable[str]) -> list[JsonValue]:
    return [title for _, title in zip(range(NAMES_LIMIT), titles, strict=False)]

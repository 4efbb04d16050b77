"""Dependency graph of one host: from depends_on, links, and host names in the environment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from core.monitoring.inventory import Container, Inventory, Service

_WITHOUT_NAMES = frozenset({"bridge", "host", "none"})
"""Networks on which containers cannot resolve each other's names."""

_ANYWHERE = ""
"""A link names a container, whatever its networks."""


class EdgeKind(StrEnum):
    """Origin of a dependency, most certain first."""

    DEPENDS_ON = "depends_on"
    LINK = "link"
    ENVIRONMENT = "environment"


@dataclass(frozen=True, kw_only=True)
class Edge:
    """A dependency of `service` on `dependency`; both as `stack/service`."""

    service: str
    dependency: str
    kind: EdgeKind
    condition: str = ""
    """Compose's condition, for depends_on."""


@dataclass(frozen=True, kw_only=True)
class Topology:
    """The dependency graph of a host. Services are named by their title, `stack/service`; circles are tolerated."""

    edges: tuple[Edge, ...] = ()
    services: tuple[str, ...] = ()
    """All of them, sorted."""
    _needs: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    _needed_by: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)

    def needs(self, service: str) -> tuple[str, ...]:
        """Return its direct dependencies."""
        return self._needs.get(service, ())

    def needed_by(self, service: str) -> tuple[str, ...]:
        """Return the services that directly depend on it."""
        return self._needed_by.get(service, ())

    def roots(self, service: str) -> tuple[str, ...]:
        """Return all its dependencies, nearest first, without itself."""
        return _reach(service, self._needs)

    def victims(self, service: str) -> tuple[str, ...]:
        """Return all services affected when it is down, nearest first, without itself."""
        return _reach(service, self._needed_by)

    def order(self, services: Iterable[str] | None = None) -> tuple[str, ...]:
        """Return the services, each after its dependencies; in a circle by name. None: all.

        A service has more dependencies in total than any of them outside its circle, so the number gives the order.
        """
        wanted = self.services if services is None else set(services)
        return tuple(sorted(wanted, key=lambda service: (len(self.roots(service)), service)))


def topology(inventory: Inventory, host: str) -> Topology:
    """Build the dependency graph of one host from its containers, stopped ones too."""
    services = [service for service in inventory.services() if service.host == host]
    names = _names(services)
    found: dict[tuple[str, str], Edge] = {}
    for service in services:
        for edge in _edges(service, names):
            found.setdefault((edge.service, edge.dependency), edge)
    needs: dict[str, list[str]] = {}
    needed_by: dict[str, list[str]] = {}
    for one, other in found:
        needs.setdefault(one, []).append(other)
        needed_by.setdefault(other, []).append(one)
    return Topology(
        edges=tuple(found.values()),
        services=tuple(sorted({service.title for service in services})),
        _needs={name: tuple(others) for name, others in needs.items()},
        _needed_by={name: tuple(others) for name, others in needed_by.items()},
    )


_NameIndex = Mapping[tuple[str, str], str]
"""(network, name on it) → title of the service with that name."""


def _names(services: Iterable[Service]) -> _NameIndex:
    names: dict[tuple[str, str], str] = {}
    for service in services:
        for container in service.containers:
            names.setdefault((_ANYWHERE, container.name.casefold()), service.title)
            for network in _named_networks(container):
                for name in (service.name, container.name, *container.aliases):
                    names.setdefault((network, name.casefold()), service.title)
    return names


def _edges(service: Service, names: _NameIndex) -> Iterator[Edge]:
    """Yield edges, most certain first: of two between the same services the first is kept."""
    for container in service.containers:
        prefix = f"{service.stack}/" if service.stack else ""
        for dependency in container.depends_on:
            yield from _edge(service, prefix + dependency.service, EdgeKind.DEPENDS_ON, dependency.condition)
    for container in service.containers:
        for link in container.links:
            yield from _named(service, container, link.partition(":")[0].lstrip("/"), names, EdgeKind.LINK)
        for host in container.env_hosts:
            yield from _named(service, container, host, names, EdgeKind.ENVIRONMENT)


def _named(service: Service, container: Container, name: str, names: _NameIndex, kind: EdgeKind) -> Iterator[Edge]:
    for network in [_ANYWHERE] if kind is EdgeKind.LINK else _named_networks(container):
        target = names.get((network, name.casefold()))
        if target is not None:
            yield from _edge(service, target, kind)
            return


def _edge(service: Service, target: str, kind: EdgeKind, condition: str = "") -> Iterator[Edge]:
    if target != service.title:
        yield Edge(service=service.title, dependency=target, kind=kind, condition=condition)


def _named_networks(container: Container) -> list[str]:
    return [network for network in container.networks if network not in _WITHOUT_NAMES]


def _reach(start: str, neighbours: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Return everything reachable, breadth first."""
    reached, seen = [start], {start}
    for service in reached:  # grows while it is walked
        for other in neighbours.get(service, ()):
            if other not in seen:
                seen.add(other)
                reached.append(other)
    return tuple(reached[1:])

"""Inventory: hosts, stacks, services and containers, and the search for one of them by a loosely typed name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from difflib import SequenceMatcher
from enum import StrEnum
from fnmatch import fnmatchcase

from core.deployments.platform import ManagedKind, ManagedResource, folded
from core.text import Text


class ContainerState(StrEnum):
    """State of a container, in the engine's words."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    REMOVING = "removing"
    EXITED = "exited"
    DEAD = "dead"


class Health(StrEnum):
    """Result of a health check, in the engine's words; NONE: the container has no check."""

    NONE = "none"
    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True, kw_only=True)
class HealthProbe:
    """One run of a container's health check, newest last in `Container.health_log`."""

    at: datetime
    exit_code: int
    output: str


@dataclass(frozen=True, kw_only=True)
class Dependency:
    """Another service of the same stack that must start first; `condition` is Compose's (service_started …)."""

    service: str
    condition: str = "service_started"


@dataclass(frozen=True, kw_only=True)
class Container:
    """A container as inspected at one moment. Holds no environment values, only the host names found in them."""

    host: str
    id: str
    name: str
    stack: str | None
    """Readable name of its Compose project (`core.deployments.platform.StackNames`), or None outside a stack."""
    service: str
    """Compose service, or the container's own name outside a stack."""
    project: str | None = None
    """Original name of its Compose project, swarm stack or lone swarm service: `ManagedResource.app_name`."""
    image: str
    image_id: str = ""
    state: ContainerState
    health: Health = Health.NONE
    health_log: tuple[HealthProbe, ...] = ()
    health_interval_s: float = 0.0
    health_retries: int = 0
    start_period_s: float = 0.0
    failing_streak: int = 0
    exit_code: int | None = None
    """None while it runs."""
    oom_killed: bool = False
    error: str = ""
    """The engine's `State.Error`: the reason why it could not start."""
    restart_count: int = 0
    restart_policy: str = "no"
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    memory_limit_bytes: int = 0
    """0: no limit."""
    cpu_limit: float = 0.0
    """Cores; 0: no limit."""
    networks: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    depends_on: tuple[Dependency, ...] = ()
    links: tuple[str, ...] = ()
    env_hosts: tuple[str, ...] = ()
    """Host names in its environment's URLs and *_HOST variables."""
    ports: tuple[str, ...] = ()
    mounts: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def ref(self) -> str:
        """`host/name`: stays the same when the container is recreated."""
        return f"{self.host}/{self.name}"

    @property
    def title(self) -> str:
        """`stack/service`, or the service alone outside a stack."""
        return f"{self.stack}/{self.service}" if self.stack else self.service

    @property
    def is_running(self) -> bool:
        """True while it runs; False between two restarts."""
        return self.state is ContainerState.RUNNING


@dataclass(frozen=True, kw_only=True)
class Service:
    """The containers of one Compose service on one host."""

    host: str
    stack: str | None
    name: str
    containers: tuple[Container, ...]

    @property
    def title(self) -> str:
        """`stack/service`, or the name alone outside a stack."""
        return f"{self.stack}/{self.name}" if self.stack else self.name


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A Compose project on one host; one that a platform manages may have no containers (yet)."""

    host: str
    name: str
    services: tuple[Service, ...]
    managed: ManagedResource | None = None
    """The platform's record of it; None: a plain Compose project."""


@dataclass(frozen=True, kw_only=True)
class Host:
    """A machine with an engine."""

    name: str
    is_reachable: bool = True
    problem: str = ""
    message: Text | None = None
    """The same problem for people, if there is a sentence."""
    engine_version: str = ""
    is_simulated: bool = False
    cpus: int = 0
    memory_total_bytes: int = 0
    memory_free_bytes: int | None = None
    """None: not measurable from here (remote engine)."""
    is_platform: bool = False
    """A platform that manages stacks (Dokploy), not a machine."""


Target = Stack | Service


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """All hosts and containers known at one moment."""

    hosts: tuple[Host, ...] = ()
    containers: tuple[Container, ...] = ()
    managed: tuple[ManagedResource, ...] = ()

    def visible_to(self, sees: Callable[[str | None], bool]) -> Inventory:
        """Return the part that somebody may see; `sees` is asked with a stack, or None for what belongs to none."""
        containers = tuple(one for one in self.containers if sees(one.stack))
        return replace(self, containers=containers, managed=tuple(one for one in self.managed if sees(one.name)))

    def services(self) -> tuple[Service, ...]:
        """Return all services, ordered by host, stack and name."""
        grouped: dict[tuple[str, str | None, str], list[Container]] = {}
        for container in self.containers:
            grouped.setdefault((container.host, container.stack, container.service), []).append(container)
        ordered = sorted(grouped.items(), key=lambda item: (item[0][0], item[0][1] or "", item[0][2]))
        return tuple(
            Service(host=host, stack=stack, name=name, containers=tuple(members))
            for (host, stack, name), members in ordered
        )

    def stacks(self) -> tuple[Stack, ...]:
        """Return all stacks, ordered by host and name; containers outside a stack belong to none.

        A managed compose without containers counts too, on the host of its platform's other stacks, or on the platform
        itself if that is not known.
        """
        grouped: dict[tuple[str, str], list[Service]] = {}
        for service in self.services():
            if service.stack is not None:
                grouped.setdefault((service.host, service.stack), []).append(service)
        known = {one.name: one for one in self.managed if one.kind is ManagedKind.COMPOSE}
        seen = {name for _, name in grouped}
        for name, one in known.items():
            if name not in seen:
                grouped[(one.host or one.system, name)] = []
        return tuple(
            Stack(host=host, name=name, services=tuple(members), managed=known.get(name))
            for (host, name), members in sorted(grouped.items())
        )

    def container(self, ref: str) -> Container | None:
        """Return the container of a reference `host/name`, a name or an id (12 characters or more), or None."""
        host, _, name = ref.rpartition("/")
        for one in self.containers:
            if host and one.host != host:
                continue
            if one.name == name or (len(name) >= 12 and one.id.startswith(name)):
                return one
        return None

    def service(self, stack: str | None, name: str, host: str | None = None) -> Service | None:
        """Return the service of exactly that stack and name, or None."""
        for one in self.services():
            if one.stack == stack and one.name == name and (host is None or one.host == host):
                return one
        return None

    def stack(self, name: str, host: str | None = None) -> Stack | None:
        """Return the stack of exactly that name, or None."""
        return next((one for one in self.stacks() if one.name == name and (host is None or one.host == host)), None)

    def managed_one(self, name: str) -> ManagedResource | None:
        """Return the managed resource of that name (`ManagedResource.name`) or id, or None."""
        return next((one for one in self.managed if name in (one.name, one.id)), None)


def join(parts: Iterable[Inventory]) -> Inventory:
    """Merge the inventories of several systems and match managed resources with their containers."""
    hosts: list[Host] = []
    containers: list[Container] = []
    managed: list[ManagedResource] = []
    for part in parts:
        hosts.extend(part.hosts)
        containers.extend(part.containers)
        managed.extend(part.managed)
    return Inventory(hosts=tuple(hosts), containers=tuple(containers), managed=_placed(managed, containers, hosts))


def _placed(
    managed: Iterable[ManagedResource], containers: Iterable[Container], hosts: Iterable[Host]
) -> tuple[ManagedResource, ...]:
    """Set each resource's host to that of its containers; without any, to that of its server's other resources."""
    where = {one.project: one.host for one in containers if one.project is not None}
    found = [replace(one, host=where.get(one.app_name, one.host)) for one in managed]
    of_server = {one.server: one.host for one in found if one.host is not None}
    machines = [host.name for host in hosts if not host.is_platform]
    only = machines[0] if len(machines) == 1 else None
    return tuple(
        one if one.host else replace(one, host=of_server.get(one.server) or (only if one.server is None else None))
        for one in found
    )


FUZZY_FLOOR = 0.72
"""Lowest similarity (0–1) of a fuzzy match: 'weviate' finds 'weaviate', 'api' does not find 'app'."""
_NOISE = frozenset(
    {"el", "la", "los", "las", "de", "del", "the", "service", "servicio", "stack", "container", "contenedor"}
    | {"proyecto", "project", "mi", "my", "al", "of", "in", "on", "en"}
)


def find(inventory: Inventory, name: str, *, within: str | None = None) -> tuple[Target, ...]:
    """Return the matches of a loosely typed name, of the best kind only: exact, then prefix, then part, then fuzzy.

    'granada' → the stack; 'granada api', 'granada/api', 'el api de granada' → that service. Empty: no match.
    Several: the person must choose. `within` limits the search to one stack.
    """
    words = [word for word in _words(name) if word not in _NOISE] or _words(name)
    if not words:
        return ()
    candidates = list(_candidates(inventory, within))
    wanted, typed = " ".join(words), folded(name)
    if any(typed in names for _, names in candidates):
        wanted = typed  # it really is called "the api"
    for fits in (_is_exact, _is_prefix, _has_all_words, _is_fuzzy):
        found = [target for target, names in candidates if any(fits(wanted, one) for one in names)]
        stacks = [target for target in found if isinstance(target, Stack)]
        if fits is _is_exact and stacks:
            found = [*stacks]
        if found:
            return tuple(_without_own_members(found))
    return ()


def title(target: Target) -> str:
    """Return the name of a stack or service for people: `granada`, `granada/api`."""
    return target.name if isinstance(target, Stack) else target.title


def names_of(inventory: Inventory) -> list[str]:
    """Return every name a person may use, for suggestions."""
    return sorted({title(target) for target, _ in _candidates(inventory, None)})


def _candidates(inventory: Inventory, within: str | None) -> Iterator[tuple[Target, tuple[str, ...]]]:
    for stack in inventory.stacks():
        if within is None:
            yield stack, (folded(stack.name),)
    for service in inventory.services():
        if within is not None and service.stack != within:
            continue
        own, stack_name = folded(service.name), folded(service.stack or "")
        spellings = [own, f"{stack_name} {own}", f"{own} {stack_name}"] if stack_name else [own]
        spellings += [folded(container.name) for container in service.containers]
        yield service, tuple(spellings)


def _without_own_members(found: list[Target]) -> Iterator[Target]:
    """Drop the services of matched stacks: if both match, only the stack is meant."""
    stacks = {(one.host, one.name) for one in found if isinstance(one, Stack)}
    for target in found:
        if isinstance(target, Service) and (target.host, target.stack) in stacks:
            continue
        yield target


def _words(name: str) -> list[str]:
    return folded(name).split()


def _is_exact(wanted: str, name: str) -> bool:
    return wanted == name


def _is_prefix(wanted: str, name: str) -> bool:
    return name.startswith(wanted)


def _has_all_words(wanted: str, name: str) -> bool:
    parts = name.split()
    return all(any(part.startswith(word) for part in parts) for word in wanted.split())


def _is_fuzzy(wanted: str, name: str) -> bool:
    if len(wanted) < 3 or 2 * min(len(wanted), len(name)) < FUZZY_FLOOR * (len(wanted) + len(name)):
        return False  # too short, or of too different a length to be alike enough
    likeness = SequenceMatcher(None, wanted, name)
    bounds = (likeness.real_quick_ratio, likeness.quick_ratio, likeness.ratio)  # cheap ones first
    return all(bound() >= FUZZY_FLOOR for bound in bounds)


def is_guarded(container: Container, only: Iterable[str], ignore: Iterable[str]) -> bool:
    """Return whether the settings want this container watched; patterns match its stack, or itself outside a stack."""
    name = container.stack or container.name
    if any(fnmatchcase(name, pattern) for pattern in ignore):
        return False
    wanted = tuple(only)
    return not wanted or any(fnmatchcase(name, pattern) for pattern in wanted)

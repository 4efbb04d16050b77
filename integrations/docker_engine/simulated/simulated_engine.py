"""Simulated host for the demo and fast tests: an Engine whose containers run, fail and recover realistically."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from core.errors import ActionFailed, NotFound
from core.monitoring.inventory import Container, ContainerState
from core.monitoring.snapshot import EngineEvent, EventKind, Sample
from integrations.docker_engine.client.json_fields import JsonAnswer
from integrations.docker_engine.client.log_reader import LogLineAssembler
from integrations.docker_engine.engine import DiskUsage, EngineInfo, ExecResult, LogLine
from integrations.docker_engine.models import parse_container
from integrations.docker_engine.simulated.container_age import with_age
from integrations.docker_engine.simulated.container_spec import MIB, ContainerSpec, MemoryGrowth, ProgramExit
from integrations.docker_engine.simulated.inspect_output import inspect_answer
from integrations.docker_engine.simulated.programs import DEMO_DISK, run_program
from integrations.docker_engine.simulated.simulated_container import SimulatedContainer, Stream
from integrations.docker_engine.simulated.simulated_images import SimulatedImageContents, SimulatedImageStore
from integrations.docker_engine.simulated.simulated_world import EventSubject

EVENTS_KEPT = 256
"""Number of past events that a real engine keeps."""
LISTENER_LIMIT = 10_000
HOST_MEMORY = 16 * 1024 * MIB
HOST_CPUS = 8
ORDER_TAKES_S = 0.002
"""Duration of an order: no real engine acts before its caller has yielded to the loop."""
MACHINE_MEMORY = 1400 * MIB
"""Memory used by the machine itself."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class SimulatedEngine:
    """See `Engine`. For scripts and tests it also has methods that cause trouble: `oom`, `crash_loop`, `unhealthy` …"""

    def __init__(
        self,
        name: str = "simulated",
        recipes: Iterable[ContainerSpec] = (),
        *,
        age_s: float = 3 * 86_400.0,
        now: Callable[[], datetime] = _utc_now,
        stored: SimulatedImageContents | None = None,
    ) -> None:
        """`recipes`: containers that have run well for `age_s`; `stored`: contents of its disk and of registries."""
        self._name = name
        self._now = now
        self._numbers = itertools.count(1)
        self._containers: dict[str, SimulatedContainer] = {}
        self._history: deque[EngineEvent] = deque(maxlen=EVENTS_KEPT)
        self._listeners: set[asyncio.Queue[EngineEvent]] = set()
        self._last_at = now()
        self._has_begun = False
        self._store = SimulatedImageStore(name, self._inspected, now, stored or SimulatedImageContents())
        for recipe in recipes:
            self._add(recipe, with_age_s=age_s)

    # -- the world of its containers ---------------------------------------------------------------------------------

    def now(self) -> datetime:
        """Return the present time."""
        return self._now()

    def later(self, delay_s: float, call: Callable[[], None]) -> asyncio.TimerHandle:
        """Call it after a delay."""
        return asyncio.get_running_loop().call_later(delay_s, call)

    def emit(self, container: EventSubject, kind: EventKind, **details: Any) -> None:
        """Send an event to the listeners; no two events have the same time."""
        self._last_at = max(self._now(), self._last_at + timedelta(microseconds=1))
        event = EngineEvent(at=self._last_at, kind=kind, container_id=container.id, name=container.name, **details)
        self._history.append(event)
        for listener in self._listeners:
            if not listener.full():
                listener.put_nowait(event)

    def is_up(self, stack: str, service: str) -> bool:
        """Return whether a service of that name answers."""
        return any(
            one.state is ContainerState.RUNNING and not one.is_sick
            for one in self._containers.values()
            if one.recipe.stack == stack and one.recipe.service == service
        )

    def _add(self, recipe: ContainerSpec, *, with_age_s: float | None = None) -> SimulatedContainer:
        if recipe.name in self._containers:
            raise ActionFailed(f"create {recipe.name!r}: the engine refused: the name is already in use")
        number = f"{self._name}/{recipe.name}/{next(self._numbers)}"
        made = SimulatedContainer(
            recipe=recipe,
            id=hashlib.sha256(number.encode()).hexdigest(),
            world=self,
            created_at=self._now(),
            limit_bytes=(recipe.memory_mb or 0) * MIB,
        )
        self._containers[recipe.name] = with_age(made, with_age_s) if with_age_s is not None else made
        return made

    def _begin(self) -> None:
        """Start the timers of earlier containers, at the first call inside a loop."""
        if not self._has_begun:
            self._has_begun = True
            for container in self._containers.values():
                container.resume()

    def _find(self, name: str) -> SimulatedContainer:
        self._begin()
        if name in self._containers:
            return self._containers[name]
        for container in self._containers.values():
            if len(name) >= 12 and container.id.startswith(name):
                return container
        raise NotFound(f"{self._name!r} has no container {name!r}")

    async def _ordered(self, name: str) -> SimulatedContainer:
        await asyncio.sleep(ORDER_TAKES_S)
        return self._find(name)

    # -- Engine: looking ----------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The host's name."""
        return self._name

    @property
    def store(self) -> SimulatedImageStore:
        """The images, build cache and networks, and the simulated registries."""
        return self._store

    def _inspected(self) -> list[tuple[Container, JsonAnswer]]:
        """Return every container with the `inspect` answer it was read from."""
        answers = [inspect_answer(one) for one in self._containers.values()]
        return [(parse_container(self._name, answer), answer) for answer in answers]

    async def info(self) -> EngineInfo:
        """Return facts of the simulated machine."""
        self._begin()
        now = self._now()
        used = MACHINE_MEMORY + sum(one.memory_bytes(now) for one in self._containers.values() if one.runs)
        return EngineInfo(
            version="27.3.1",
            api_version="1.47",
            cpus=HOST_CPUS,
            memory_total_bytes=HOST_MEMORY,
            memory_free_bytes=max(0, HOST_MEMORY - used),
            cgroup_version="2",
            is_local=True,
            is_simulated=True,
        )

    async def containers(self, *, only: Sequence[str] = ()) -> list[Container]:
        """Return all containers as inspected now, or just those named by name or id; unknown ones are left out."""
        self._begin()
        chosen = self._containers.values()
        wanted = [one for one in chosen if not only or one.name in only or one.id in only]
        return [parse_container(self._name, inspect_answer(one)) for one in wanted]

    async def logs(
        self,
        container: str,
        *,
        tail: int = 100,
        since: datetime | None = None,
        until: datetime | None = None,
        grep: str | None = None,
        max_line: int = 4000,
    ) -> list[LogLine]:
        """Return the last `tail` lines of both streams in time order."""
        lines = LogLineAssembler(tail=tail, grep=grep, max_line=max_line)
        for stream, at, raw in self._find(container).lines:
            if (since is None or at >= since) and (until is None or at <= until):
                lines.feed(stream, at.isoformat().encode() + b" " + raw + b"\n", begins_frame=True)
        return lines.result()

    async def events(self, since: datetime | None) -> AsyncIterator[EngineEvent]:
        """Yield container events as they come; from `since` on if given, as far as they are kept."""
        self._begin()
        queue: asyncio.Queue[EngineEvent] = asyncio.Queue(maxsize=LISTENER_LIMIT)
        told_again = [event for event in self._history if since is not None and event.at >= since]
        self._listeners.add(queue)
        try:
            for event in told_again:
                yield event
            while True:
                yield await queue.get()
        finally:
            self._listeners.discard(queue)

    async def sample(self) -> dict[str, Sample]:
        """Return one resource sample of each running container."""
        self._begin()
        now = self._now()
        return {one.name: one.sample(now, HOST_MEMORY) for one in self._containers.values() if one.runs}

    async def oom_kills(self) -> dict[str, int]:
        """Return the simulated kernel's OOM kill counts."""
        self._begin()
        return {one.name: one.oom_kills for one in self._containers.values() if one.runs}

    async def top(self, container: str) -> list[dict[str, str]]:
        """Return its processes."""
        found = self._find(container)
        if not found.runs:
            raise ActionFailed(f"top of {found.name!r}: the engine refused: it does not run")
        since = found.started_at.strftime("%H:%M") if found.started_at else "-"
        main = {"UID": "root", "PID": "1412", "PPID": "1390", "STIME": since, "TIME": "00:01:12"}
        return [{**main, "CMD": found.recipe.command}, {**main, "PID": "1460", "PPID": "1412", "CMD": "worker"}]

    async def disk_usage(self) -> DiskUsage:
        """Measure the simulated disk."""
        self._begin()
        sizes = {
            volume: DEMO_DISK.volumes.get(volume, 40 * MIB)
            for one in self._containers.values()
            for volume in one.recipe.volumes
        }
        ordered = tuple(sorted(sizes.items(), key=lambda item: -item[1]))
        held = await self._store.space()
        return replace(
            DEMO_DISK.usage,
            images_bytes=held.layers_bytes,
            images_reclaimable_bytes=sum(one.unique_bytes or 0 for one in held.images if not one.used_by),
            build_cache_bytes=sum(one.size_bytes for one in held.cache),
            build_cache_reclaimable_bytes=sum(one.size_bytes for one in held.cache if not one.is_in_use),
            volumes=ordered,
            volumes_bytes=sum(sizes.values()),
            logs=tuple((one.name, sum(len(raw) + 90 for _, _, raw in one.lines)) for one in self._containers.values()),
        )

    async def exec(self, container: str, argv: Sequence[str], *, time_limit_s: float = 30.0) -> ExecResult:
        """Run one of a few known programs inside."""
        found = self._find(container)
        if found.state is not ContainerState.RUNNING:
            raise ActionFailed(f"exec in {found.name!r}: the engine refused: it does not run")
        return run_program(argv, found.recipe)

    # -- Engine: orders -----------------------------------------------------------------------------------------------

    async def restart(self, container: str, *, grace_s: int = 10) -> None:
        """Send SIGTERM, SIGKILL after the grace period, then start."""
        found = await self._ordered(container)
        await found.stop(grace_s)
        found.start()
        self.emit(found, EventKind.RESTART)

    async def start(self, container: str) -> None:
        """Start a container; no effect on a running one."""
        (await self._ordered(container)).start()

    async def stop(self, container: str, *, grace_s: int = 10) -> None:
        """Send SIGTERM, then SIGKILL after the grace period; no effect on a stopped container."""
        await (await self._ordered(container)).stop(grace_s)

    async def unpause(self, container: str) -> None:
        """Resume a paused container."""
        (await self._ordered(container)).unpause()

    async def update_memory(self, container: str, *, limit_bytes: int) -> None:
        """Set the memory limit."""
        (await self._ordered(container)).update_memory(limit_bytes)

    async def close(self) -> None:
        """Cancel the timers."""
        for container in self._containers.values():
            container.let_go()

    # -- trouble ------------------------------------------------------------------------------------------------------

    def create(self, recipe: ContainerSpec, *, start: bool = True) -> str:
        """Create a container, and start it; returns its name. One that cannot start stays `created`."""
        self._begin()
        made = self._add(recipe)
        self.emit(made, EventKind.CREATE)
        if start:
            try:
                made.start()
            except ActionFailed:
                return made.name
        return made.name

    def oom(self, name: str, *, extra_mb: int | None = None, over_s: float = 2.0, recurs: bool = False) -> None:
        """Make its main process need more than its limit (`extra_mb` above the usual; None: half the limit more).

        Once: a restart cures it. `recurs`: it happens again after every start, until the limit is high enough.
        """
        found = self._find(name)
        extra = extra_mb * MIB if extra_mb is not None else int(found.limit_bytes * 1.5) or 512 * MIB
        found.eat(MemoryGrowth(bytes=extra, over_s=over_s, recurs=recurs))

    def child_oom(self, name: str) -> None:
        """Simulate the kernel killing a process inside; the container stays up."""
        self._find(name).lose_child()

    def crash_loop(self, name: str, *, exit_code: int = 1, message: Sequence[str] = ()) -> None:
        """Make it end at every start, with a traceback; only `mend` stops it."""
        usual = ("Traceback (most recent call last):", '  File "/app/main.py", line 12, in <module>')
        lines = tuple(message) or (*usual, '    url = os.environ["DATABASE_URL"]', "KeyError: 'DATABASE_URL'")
        self._find(name).crash(ProgramExit(exit_code=exit_code, after_s=0.2, message=lines))

    def unhealthy(self, name: str) -> None:
        """Make it hang: it runs, but its health check fails; a restart cures it."""
        self._find(name).is_sick = True

    def mend(self, name: str) -> None:
        """Remove the cause of its crashes or hangs."""
        found = self._find(name)
        found.ends, found.is_sick, found.hunger = None, False, None

    async def stop_dependency(self, name: str) -> None:
        """Stop it as a person would: its dependents can no longer resolve its name."""
        await self._find(name).stop(1.0)

    def kill(self, name: str, signal: int = 9) -> None:
        """Send a signal through the API, as `docker kill`."""
        self._find(name).signal(signal)

    def pause(self, name: str) -> None:
        """Pause it, as `docker pause`."""
        self._find(name).pause()

    def remove(self, name: str) -> None:
        """Remove it by force, as `docker rm -f`."""
        found = self._find(name)
        found.remove()
        del self._containers[found.name]

    def say(self, name: str, stream: Stream, line: bytes) -> None:
        """Write a line to its log."""
        self._find(name).say(stream, line)

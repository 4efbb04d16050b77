"""Takes resource samples in rounds: from cgroup files if the engine is local, else through its API in parallel."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from core.errors import ActionFailed, NotFound
from core.monitoring.snapshot import Sample
from integrations.docker_engine.client import cgroups
from integrations.docker_engine.client.cgroups import Cgroup
from integrations.docker_engine.client.docker_sdk import EngineThreadPool
from integrations.docker_engine.client.engine_http import EngineHttp, container_path
from integrations.docker_engine.client.json_fields import json_int, json_list, json_object, json_string, json_time
from integrations.docker_engine.client.stats_counters import CounterReading, parse_stats, sample_between

PARALLEL_STATS = 128
"""Parallel requests for stats: an engine answers each only at its next tick, up to a second later."""
PARALLEL_FIRST_INSPECTS = 8
MIN_INTERVAL_S = 0.5
"""A CPU share over less is meaningless; an earlier round is compared with the reading before the last."""
READING_LIMIT_S = 10.0


@dataclass(kw_only=True)
class _SampledContainer:
    """A running container between two rounds, with its last readings."""

    id: str
    name: str
    started_at: datetime | None
    cgroup: Cgroup | None
    base: CounterReading | None = None
    last: CounterReading | None = None

    def take(self, reading: CounterReading) -> Sample:
        """Return the sample up to this reading, and keep the reading for the next comparison."""
        if self.last is None:
            self.last = reading
        elif (reading.at - self.last.at).total_seconds() >= MIN_INTERVAL_S:
            self.base, self.last = self.last, reading
        return sample_between(reading, self.base, self.started_at)

    def begin_anew(self) -> None:
        """Forget the readings of the previous run; use since then came after the last of them."""
        self.started_at = self.last.at if self.last is not None else self.started_at
        self.base = self.last = None

    def was_restarted(self, reading: CounterReading) -> bool:
        """Return whether its counters started again."""
        return self.last is not None and reading.cpu_ns < self.last.cpu_ns


class StatsSampler:
    """Keeps the previous readings of one engine's containers."""

    def __init__(self, cgroup_root: Path, pool: EngineThreadPool) -> None:
        self._cgroup_root = cgroup_root
        self._pool = pool
        self._known: dict[str, _SampledContainer] = {}
        self._one_round = asyncio.Lock()

    async def round(self, wire: EngineHttp, *, is_local: bool, memory_total: int, limit_s: float) -> dict[str, Sample]:
        """Return one sample of each running container, by name; those that vanish meanwhile are left out."""
        async with self._one_round:
            running = await self._refresh(wire, is_local=is_local, limit_s=limit_s)
            taken, missed = await self._from_files(running, memory_total)
            again = [one for one in missed if one.cgroup is not None]
            if again:
                renewed = await self._learn(wire, [one.id for one in again], is_local=is_local, limit_s=limit_s)
                more, unread = await self._from_files(renewed, memory_total)
                taken |= more
                missed = [one for one in missed if one.cgroup is None] + unread
            return taken | await self._from_api(wire, missed, memory_total, limit_s)

    async def oom_kills(self, wire: EngineHttp, *, is_local: bool, limit_s: float) -> dict[str, int]:
        """Return the kernel's OOM kill count of each running container, by name, as far as it can be read."""
        async with self._one_round:
            running = await self._refresh(wire, is_local=is_local, limit_s=limit_s)
            return await self._pool.run("reading cgroup files", lambda: _kills(running), limit_s=READING_LIMIT_S)

    async def _refresh(self, wire: EngineHttp, *, is_local: bool, limit_s: float) -> list[_SampledContainer]:
        """Return the running containers; new ones are inspected once."""
        listed = [json_object(one) for one in json_list(await wire.get("/containers/json", limit_s=limit_s))]
        names = {json_string(one.get("Id")): _name(one) for one in listed if one.get("State") != "restarting"}
        self._known = {key: one for key, one in self._known.items() if key in names}
        await self._learn(wire, names.keys() - self._known.keys(), is_local=is_local, limit_s=limit_s)
        for key, one in self._known.items():
            one.name = names[key]
        return list(self._known.values())

    async def _learn(
        self, wire: EngineHttp, ids: Iterable[str], *, is_local: bool, limit_s: float
    ) -> list[_SampledContainer]:
        gate = asyncio.Semaphore(PARALLEL_FIRST_INSPECTS)

        async def learn(container_id: str) -> _SampledContainer | None:
            self._known.pop(container_id, None)
            try:
                async with gate:
                    raw = json_object(await wire.get(container_path(container_id, "/json"), limit_s=limit_s))
            except NotFound:
                return None
            state, mode = json_object(raw.get("State")), json_object(raw.get("HostConfig")).get("NetworkMode")
            pid = json_int(state.get("Pid"))
            cgroup = None
            if is_local and pid:
                cgroup = cgroups.find_cgroup(self._cgroup_root, pid, container_id, has_own_network=mode != "host")
            known = _SampledContainer(
                id=container_id,
                name=json_string(raw.get("Name")).removeprefix("/"),
                started_at=json_time(state.get("StartedAt")),
                cgroup=cgroup,
            )
            self._known[container_id] = known
            return known

        return [one for one in await asyncio.gather(*map(learn, ids)) if one is not None]

    async def _from_files(
        self, wanted: list[_SampledContainer], memory_total: int
    ) -> tuple[dict[str, Sample], list[_SampledContainer]]:
        """Return samples from files, and the containers that gave none."""
        if not any(one.cgroup for one in wanted):
            return {}, wanted
        readings = await self._pool.run(
            "reading cgroup files", lambda: _read(wanted, memory_total), limit_s=READING_LIMIT_S
        )
        taken: dict[str, Sample] = {}
        missed: list[_SampledContainer] = []
        for one, reading in zip(wanted, readings, strict=True):
            if reading is None or one.was_restarted(reading):
                missed.append(one)
            else:
                taken[one.name] = one.take(reading)
        return taken, missed

    async def _from_api(
        self, wire: EngineHttp, wanted: list[_SampledContainer], memory_total: int, limit_s: float
    ) -> dict[str, Sample]:
        gate = asyncio.Semaphore(PARALLEL_STATS)
        query = {"stream": "false", "one-shot": "true"}

        async def ask(one: _SampledContainer) -> tuple[str, Sample] | None:
            try:
                async with gate:
                    # the answer is empty when the container ends meanwhile
                    path = container_path(one.id, "/stats")
                    raw = await wire.get(path, query, limit_s=limit_s, what="stats", may_be_empty=True)
            except (NotFound, ActionFailed):
                return None
            reading = parse_stats(json_object(raw), memory_total)
            if reading is None:
                return None
            if one.was_restarted(reading):
                one.begin_anew()
            return one.name, one.take(reading)

        return dict([pair for pair in await asyncio.gather(*map(ask, wanted)) if pair is not None])


def _name(listed: object) -> str:
    """Return a container's own name from the list with its link aliases."""
    names = [json_string(one).removeprefix("/") for one in json_list(json_object(listed).get("Names"))]
    return next((name for name in names if "/" not in name), names[0] if names else "")


def _read(wanted: list[_SampledContainer], memory_total: int) -> list[CounterReading | None]:
    return [_read_one(one, memory_total) for one in wanted]


def _read_one(one: _SampledContainer, memory_total: int) -> CounterReading | None:
    if one.cgroup is None:
        return None
    try:
        return one.cgroup.read(memory_total)
    except (OSError, ValueError, IndexError):
        return None


def _kills(running: list[_SampledContainer]) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in running:
        try:
            if one.cgroup is not None:
                found[one.name] = one.cgroup.oom_kills()
        except (OSError, ValueError):
            continue
    return found

"""A real Docker engine: queries and streams over HTTP, orders through the SDK, one link that reopens after a break."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from core.deployments.platform import StackNames
from core.errors import ActionFailed, NotFound, SystemUnavailable, TimeLimitExceeded
from core.monitoring.inventory import Container
from core.monitoring.snapshot import EngineEvent, Sample
from core.settings import EngineSettings
from integrations.docker_engine.client import cgroups, disk_usage, event_stream, exec_command, log_reader
from integrations.docker_engine.client.docker_sdk import DockerSdkClient, EngineThreadPool
from integrations.docker_engine.client.engine_http import EngineHttp, checked_container_name, container_path
from integrations.docker_engine.client.engine_link import EngineConnector, EngineLink
from integrations.docker_engine.client.json_fields import (
    JsonAnswer,
    epoch_text,
    json_int,
    json_list,
    json_object,
    json_string,
)
from integrations.docker_engine.client.real_images import RealImageStore
from integrations.docker_engine.client.stats_sampler import StatsSampler
from integrations.docker_engine.engine import DiskUsage, EngineInfo, ExecResult, LogLine
from integrations.docker_engine.models import parse_container

T = TypeVar("T")

PARALLEL_INSPECTS = 8
"""Inspects in parallel: more would not be faster, and would block the event loop while answers are parsed."""
MIN_ID_LENGTH = 12
_ID_LIKE = re.compile(rf"[0-9a-f]{{1,{MIN_ID_LENGTH - 1}}}")
"""Short hex names: when no container has one, an engine takes it as the start of an id: `db` might stop `db41…`."""
LOGS_LIMIT_S = 20.0
DISK_LIMIT_S = 60.0


class RealEngine:
    """See `Engine`. One loop per instance; nothing is opened before the first call."""

    def __init__(
        self, name: str, settings: EngineSettings, *, ssh_program: str = "ssh", names: StackNames | None = None
    ) -> None:
        """`names`: names that people use for projects a platform has named."""
        self._name = name
        self._names = names or StackNames()
        self._settings = settings
        self._connector = EngineConnector(name, settings, ssh_program=ssh_program)
        self._pool = EngineThreadPool(self._connector.title, settings.threads)
        self._sampler = StatsSampler(settings.cgroup_root, self._pool)
        self._machine: tuple[EngineLink, JsonAnswer] | None = None
        self._store = RealImageStore(
            self._connector, self._pool, self._ask, timeout_s=settings.timeout_s, names=self._names
        )

    @property
    def name(self) -> str:
        """The host's name in the settings."""
        return self._name

    @property
    def store(self) -> RealImageStore:
        """The engine's images, build cache and networks, and the registries it asks."""
        return self._store

    # -- looking ---------------------------------------------------------------------------------------------------

    async def info(self) -> EngineInfo:
        """Return facts of the engine and its machine; also serves as a ping."""
        link, machine = await self._ask(self._ping)
        is_local = self._is_local(machine)
        return EngineInfo(
            version=link.engine_version,
            api_version=link.api_version,
            cpus=json_int(machine.get("NCPU")),
            memory_total_bytes=json_int(machine.get("MemTotal")),
            memory_free_bytes=cgroups.machine_memory()[1] if is_local else None,
            cgroup_version=json_string(machine.get("CgroupVersion")) or "1",
            is_local=is_local,
        )

    async def _ping(self, link: EngineLink) -> tuple[EngineLink, JsonAnswer]:
        """Describe the machine; raises for a link to an engine that has been replaced meanwhile."""
        versions = json_object(await link.wire.get("/version", limit_s=self._settings.timeout_s, what="ping"))
        if json_string(versions.get("Version")) != link.engine_version:
            raise SystemUnavailable(self._connector.title, "it was replaced by another version")
        return link, await self._described(link)

    async def _described(self, link: EngineLink) -> JsonAnswer:
        """Return the engine's description of its machine, asked once per link."""
        if self._machine is None or self._machine[0] is not link:
            raw = await link.wire.get("/info", limit_s=self._settings.timeout_s, what="info")
            self._machine = (link, json_object(raw))
        return self._machine[1]

    def _is_local(self, machine: JsonAnswer) -> bool:
        """Return whether the engine runs on this machine: a unix socket may be forwarded from elsewhere."""
        address = self._connector.address
        if address.socket is None or address.ssh is not None:
            return False
        same_kernel = json_string(machine.get("KernelVersion")) == os.uname().release
        return same_kernel and json_int(machine.get("MemTotal")) == cgroups.machine_memory()[0]

    async def containers(self, *, only: Sequence[str] = ()) -> list[Container]:
        """Return all containers as inspected now, or just those named; any that vanish meanwhile are left out."""
        return await self._ask(lambda link: self._inspect_all(link.wire, only))

    async def _inspect_all(self, wire: EngineHttp, only: Sequence[str]) -> list[Container]:
        names = list(only) or await self._ids(wire)
        gate = asyncio.Semaphore(PARALLEL_INSPECTS)

        async def inspect(name: str) -> Container | None:
            try:
                async with gate:
                    return await self._inspect(wire, name)
            except NotFound:
                return None

        found = await asyncio.gather(*map(inspect, names))
        return [one for one in found if one is not None]

    async def _ids(self, wire: EngineHttp) -> list[str]:
        listed = await wire.get("/containers/json", {"all": "1"}, limit_s=self._settings.timeout_s, what="list")
        return [json_string(json_object(one).get("Id")) for one in json_list(listed)]

    async def _inspect(self, wire: EngineHttp, name: str) -> Container:
        return parse_container(self._name, await self._raw(wire, name), self._names)

    async def _raw(self, wire: EngineHttp, name: str) -> JsonAnswer:
        """Return the engine's answer; raises NotFound when it took the name for the start of an id."""
        what = f"inspect {name!r}"
        raw = json_object(await wire.get(container_path(name, "/json"), limit_s=self._settings.timeout_s, what=what))
        is_exact = json_string(raw.get("Name")) == f"/{name}" or len(name) >= MIN_ID_LENGTH
        if not is_exact:
            raise NotFound(f"{what}: {self._connector.title} has no container of exactly that name")
        return raw

    async def _sure(self, name: str) -> str:
        """Return the name once the engine cannot take it for the start of an id."""
        if _ID_LIKE.fullmatch(name):
            await self._ask(lambda link: self._raw(link.wire, name))
        return checked_container_name(name)

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
        searched = max(tail, log_reader.SCAN_LINES) if grep or until else tail
        query = {"stdout": "1", "stderr": "1", "timestamps": "1", "tail": str(searched)}
        query |= {"since": epoch_text(since)} if since else {}
        query |= {"until": epoch_text(until)} if until else {}

        async def read(link: EngineLink) -> list[LogLine]:
            is_raw = json_object((await self._raw(link.wire, container)).get("Config")).get("Tty") is True
            lines = log_reader.LogLineAssembler(tail=tail, grep=grep, max_line=max_line)
            path, what = container_path(container, "/logs"), f"logs of {container!r}"
            async with link.wire.stream("GET", path, query, limit_s=LOGS_LIMIT_S, what=what) as response:
                await log_reader.read_log(response.content.iter_any(), lines, is_raw=is_raw)
            return lines.result()

        return await self._ask(read, may_take_long=True)

    async def events(self, since: datetime | None) -> AsyncIterator[EngineEvent]:
        """Yield container events as they come; raises SystemUnavailable when the stream breaks."""
        query = {"filters": event_stream.event_filters()} | ({"since": epoch_text(since)} if since else {})
        link = await self._connector.link()
        answer_s = self._settings.timeout_s
        lines = event_stream.JsonLineSplitter()
        try:
            async with link.wire.stream(
                "GET", "/events", query, limit_s=None, answer_within_s=answer_s, what="events"
            ) as response:
                async for chunk in response.content.iter_any():
                    for raw in lines.feed(chunk):
                        event = event_stream.parse_event(raw)
                        if event is not None:
                            yield event
            raise SystemUnavailable(self._connector.title, "its event stream ended")
        except SystemUnavailable as error:
            await self._broke(link, error)
            raise

    async def sample(self) -> dict[str, Sample]:
        """Return one resource sample of each running container, by name."""

        async def take(link: EngineLink) -> dict[str, Sample]:
            machine = await self._described(link)
            return await self._sampler.round(
                link.wire,
                is_local=self._is_local(machine),
                memory_total=json_int(machine.get("MemTotal")),
                limit_s=self._settings.timeout_s,
            )

        return await self._ask(take)

    async def oom_kills(self) -> dict[str, int]:
        """Return the cgroup's count of kernel OOM kills by container name; empty when the engine is not local."""

        async def read(link: EngineLink) -> dict[str, int]:
            machine = await self._described(link)
            if not self._is_local(machine):
                return {}
            return await self._sampler.oom_kills(link.wire, is_local=True, limit_s=self._settings.timeout_s)

        return await self._ask(read)

    async def top(self, container: str) -> list[dict[str, str]]:
        """Return its processes, one dict of column → value each."""
        name = await self._sure(container)

        async def read(link: EngineLink) -> object:
            limit_s = self._settings.timeout_s
            return await link.wire.get(container_path(name, "/top"), limit_s=limit_s, what=f"top of {container!r}")

        answer = json_object(await self._ask(read))
        titles = [json_string(title) for title in json_list(answer.get("Titles"))]
        rows = [[json_string(cell) for cell in json_list(row)] for row in json_list(answer.get("Processes"))]
        return [dict(zip(titles, row, strict=False)) for row in rows]

    async def disk_usage(self) -> DiskUsage:
        """Measure the disk usage."""

        async def read(link: EngineLink) -> DiskUsage:
            raw = await link.wire.get("/system/df", limit_s=DISK_LIMIT_S, what="disk usage")
            return replace(disk_usage.parse_disk_usage(json_object(raw)), logs=await self._log_sizes(link))

        return await self._ask(read, may_take_long=True)

    async def _log_sizes(self, link: EngineLink) -> tuple[tuple[str, int], ...] | None:
        """Return log sizes of a local engine's containers; None: they cannot be read from here."""
        if not self._is_local(await self._described(link)):
            return None
        gate = asyncio.Semaphore(PARALLEL_INSPECTS)

        async def path(container: str) -> tuple[str, str]:
            try:
                async with gate:
                    raw = await self._raw(link.wire, container)
            except NotFound:
                return container, ""
            return json_string(raw.get("Name")).removeprefix("/"), json_string(raw.get("LogPath"))

        files = dict(await asyncio.gather(*map(path, await self._ids(link.wire))))
        return await self._pool.run("measure logs", lambda: disk_usage.measure_log_files(files), limit_s=LOGS_LIMIT_S)

    # -- acting ----------------------------------------------------------------------------------------------------

    async def exec(self, container: str, argv: Sequence[str], *, time_limit_s: float = 30.0) -> ExecResult:
        """Run an argument list (no shell) inside; output is cut at 1 MB."""
        name = await self._sure(container)
        link = await self._connector.link()
        try:
            return await exec_command.run_in_container(link.wire, name, argv, limit_s=time_limit_s)
        except SystemUnavailable as error:
            await self._broke(link, error)
            raise

    async def restart(self, container: str, *, grace_s: int = 10) -> None:
        """Send SIGTERM, then SIGKILL after the grace period, then start."""
        name = await self._sure(container)
        await self._order(f"restart {container!r}", lambda control: control.restart(name, grace_s), grace_s)

    async def start(self, container: str) -> None:
        """Start a container; no effect on a running one."""
        name = await self._sure(container)
        await self._order(f"start {container!r}", lambda control: control.start(name))

    async def stop(self, container: str, *, grace_s: int = 10) -> None:
        """Send SIGTERM, then SIGKILL after the grace period; no effect on a stopped container."""
        name = await self._sure(container)
        await self._order(f"stop {container!r}", lambda control: control.stop(name, grace_s), grace_s)

    async def unpause(self, container: str) -> None:
        """Resume a paused container."""
        name = await self._sure(container)
        await self._order(f"unpause {container!r}", lambda control: control.unpause(name))

    async def update_memory(self, container: str, *, limit_bytes: int) -> None:
        """Set the memory limit while it runs; the swap it may use on top stays the same."""
        what = f"update the memory limit of {container!r}"
        raw = await self._ask(lambda link: self._raw(link.wire, container))
        held = json_object(raw.get("HostConfig"))
        memory, swap = json_int(held.get("Memory")), json_int(held.get("MemorySwap"))
        if limit_bytes <= 0:
            raise ActionFailed(f"{what}: Docker can't remove the limit of a running container")
        # the engine counts memory and swap together; -1: no bound; 0: never set, then it means twice the memory
        both = -1 if swap < 0 else limit_bytes + (swap - memory if swap >= memory > 0 else limit_bytes)
        await self._order(what, lambda control: control.update_memory(container, limit_bytes, both))

    async def close(self) -> None:
        """Release connections and threads."""
        await self._connector.close()
        self._pool.close()

    # -- the link --------------------------------------------------------------------------------------------------

    async def _ask(self, question: Callable[[EngineLink], Awaitable[T]], *, may_take_long: bool = False) -> T:
        """Run a query; if the link turns out broken, once more over a new one."""
        link = await self._connector.link()
        try:
            return await self._answered(link, question)
        except TimeLimitExceeded as error:
            if not may_take_long:
                self._connector.lost(error)
            raise
        except SystemUnavailable:
            await self._connector.drop(link)
        link = await self._connector.link()
        try:
            return await self._answered(link, question)
        except SystemUnavailable as error:
            await self._broke(link, error)
            raise

    async def _answered(self, link: EngineLink, question: Callable[[EngineLink], Awaitable[T]]) -> T:
        answer = await question(link)
        self._connector.answered(link)
        return answer

    async def _broke(self, link: EngineLink, error: SystemUnavailable) -> None:
        """Drop a link, unless the call only took too long."""
        if not isinstance(error, TimeLimitExceeded):
            await self._connector.drop(link)
            self._connector.lost(error)

    async def _order(self, what: str, order: Callable[[DockerSdkClient], None], grace_s: int = 0) -> None:
        """Send an order once: without an answer nobody can know whether it took effect."""
        link = await self._connector.link()
        limit_s = self._settings.timeout_s + grace_s
        try:
            await self._pool.run(what, lambda: order(link.control), limit_s=limit_s)
        except SystemUnavailable as error:
            await self._broke(link, error)
            raise

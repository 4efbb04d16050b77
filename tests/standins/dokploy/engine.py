"""The test's Docker engine, in the forms in which Dokploy shows it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

import docker
from docker.errors import APIError, ImageNotFound, NotFound

from tests.standins.dokploy.convert import SHARED_NETWORK
from tests.standins.dokploy.rows import Row, iso
from tests.testbed import engine as bed_engine

T = TypeVar("T")
PROJECT = "com.docker.compose.project"
NAMESPACE = "com.docker.stack.namespace"
SWARM_SERVICE = "com.docker.swarm.service.name"
PROBE_S = 60


class Engine:
    """Every method is a coroutine; the SDK blocks in threads."""

    def __init__(self, docker_host: str) -> None:
        self.client = docker.DockerClient(base_url=docker_host, timeout=PROBE_S, max_pool_size=32)

    def close(self) -> None:
        """Close its connections."""
        self.client.close()

    async def _do(self, act: Callable[[], T]) -> T:
        return await asyncio.to_thread(act)

    # -- containers --------------------------------------------------------------------------------------------------

    async def listed(self, labels: Mapping[str, str] | None = None, *, is_all: bool = True) -> list[dict[str, Any]]:
        """`docker ps`, newest first, of those that have these labels."""
        filters: dict[str, Any] = {"label": [f"{name}={value}" for name, value in labels.items()]} if labels else {}
        return await self._do(partial(self.client.api.containers, all=is_all, filters=filters))

    async def of_project(self, app_name: str) -> list[Row]:
        """Of a compose, stopped ones too."""
        return [_matched(one) for one in await self.listed({PROJECT: app_name})]

    async def of_name(self, app_name: str) -> list[Row]:
        """Whose names begin so; other stacks' too."""
        return [_matched(one) for one in await self.listed() if _name(one).startswith(app_name)]

    async def tasks(self, label: str, name: str) -> list[dict[str, Any]]:
        """Containers that stand for tasks of a Swarm stack or service, in the order of their slots."""
        found = await self.listed({label: name})
        return sorted(found, key=_name)

    async def inspect(self, container_id: str) -> Row | None:
        """All of it; None when there is none."""
        with contextlib.suppress(NotFound):
            return dict(await self._do(partial(self.client.api.inspect_container, container_id)))
        return None

    async def events(self, minutes: float) -> list[Row]:
        """What happened to containers, newest first."""
        until = time.time()
        since = datetime.fromtimestamp(until - minutes * 60, UTC)

        def read() -> list[Row]:
            stream = self.client.api.events(since=since, until=datetime.fromtimestamp(until, UTC), decode=True)
            return [dict(event) for event in stream if event.get("Type") == "container"]

        return list(reversed(await self._do(read)))

    async def usage(self) -> list[Row]:
        """`docker stats` of what runs."""
        running = await self.listed(is_all=False)
        stats = await asyncio.gather(*(self._stats(one["Id"]) for one in running))
        return [_usage(one, stat) for one, stat in zip(running, stats, strict=True) if stat is not None]

    async def _stats(self, container_id: str) -> Row | None:
        with contextlib.suppress(APIError, ValueError):  # it is going: an error, or an answer without a body
            return dict(await self._do(partial(self.client.api.stats, container_id, stream=False, one_shot=True)))
        return None

    async def has_image(self, name: str) -> bool:
        """Whether the engine holds it."""
        with contextlib.suppress(ImageNotFound):
            await self._do(partial(self.client.api.inspect_image, name))
            return True
        return False

    async def info(self) -> Row:
        """`docker info`"""
        return dict(await self._do(self.client.api.info))

    async def disk(self) -> Row:
        """`docker system df`"""
        return dict(await self._do(self.client.api.df))

    # -- networks and removal ----------------------------------------------------------------------------------------

    async def ensure_shared_network(self) -> None:
        """Make the network of the proxy; others may have, or make it at the same time."""
        await self._do(self._shared_network)

    def _shared_network(self) -> None:
        if self.client.networks.list(names=[f"^{SHARED_NETWORK}$"]):
            return
        with contextlib.suppress(APIError):
            self.client.networks.create(
                SHARED_NETWORK, driver="bridge", check_duplicate=True, labels={bed_engine.LABEL: "1"}
            )

    async def remove_everything_of(self, app_name: str, *, with_volumes: bool = True) -> None:
        """Containers, networks and volumes of one compose, application or database."""
        await self._do(partial(self._remove, app_name, with_volumes=with_volumes))

    def _remove(self, app_name: str, *, with_volumes: bool) -> None:
        for label in (PROJECT, NAMESPACE, SWARM_SERVICE):
            mine: dict[str, Any] = {"label": f"{label}={app_name}"}
            for container in self.client.containers.list(all=True, filters=mine, ignore_removed=True):
                bed_engine.remove(partial(container.remove, force=True, v=True))
            for network in self.client.networks.list(filters=mine):
                bed_engine.remove(network.remove)
            for volume in self.client.volumes.list(filters=mine) if with_volumes else []:
                bed_engine.remove(partial(volume.remove, force=True))
        for image in self.client.images.list(name=app_name):
            for tag in image.tags:
                if tag.startswith(f"{app_name}:"):
                    bed_engine.remove(partial(self.client.images.remove, tag))


def _name(container: dict[str, Any]) -> str:
    return str(container["Names"][0]).lstrip("/")


def _matched(one: dict[str, Any]) -> Row:
    return {"containerId": one["Id"][:12], "name": _name(one), "state": one["State"], "status": one["Status"]}


def host_row(one: dict[str, Any]) -> Row:
    """One row of `docker.getContainers`."""
    row = _matched(one)
    return {
        "containerId": row["containerId"],
        "name": row["name"],
        "image": one["Image"],
        "ports": ", ".join(_port(port) for port in one["Ports"]),
        "state": row["state"],
        "status": row["status"],
    }


def _port(port: dict[str, Any]) -> str:
    inner = f"{port['PrivatePort']}/{port['Type']}"
    return f"{port['IP']}:{port['PublicPort']}->{inner}" if "PublicPort" in port else inner


def label_row(one: dict[str, Any]) -> Row:
    """One row of `docker.getContainersByAppLabel`."""
    row = _matched(one)
    return {name: row[name] for name in ("containerId", "name", "state")}


def task_row(one: dict[str, Any], *, node: str, is_stack: bool) -> Row:
    """One row of the calls that list tasks."""
    slot, _, task = _name(one).rpartition(".")
    since = one["Status"].removeprefix("Up ")
    row = {"containerId": task, "name": slot, "state": "running"}
    state = {"currentState": f"Running {since} ago"}
    return {**row, "node": node, **state, "error": ""} if is_stack else {**row, **state, "node": node, "error": ""}


def match_task(one: dict[str, Any], *, node: str) -> Row:
    """One row of `docker.getContainersByAppNameMatch` of a stack."""
    since = one["Status"].removeprefix("Up ")
    return {
        "containerId": one["Id"][:12],
        "name": _name(one),
        "node": node,
        "state": one["State"],
        "status": f"Running {since} ago",
    }


def _usage(one: dict[str, Any], stat: Row) -> Row:
    memory = stat.get("memory_stats", {})
    used, limit = memory.get("usage", 0), memory.get("limit", 0) or 1
    return {
        "BlockIO": "0B / 0B",
        "CPUPerc": "0.00%",
        "Container": one["Id"][:12],
        "ID": one["Id"][:12],
        "MemPerc": f"{100 * used / limit:.2f}%",
        "MemUsage": f"{used / 2**20:.4g}MiB / {limit / 2**30:.4g}GiB",
        "Name": _name(one),
        "NetIO": "0B / 0B",
    }


def fetched_at() -> str:
    """Now."""
    return iso(datetime.now(UTC))

"""Containers, tasks and events as Dokploy sees them, and the Swarm's machines."""

from __future__ import annotations

from typing import Literal

from integrations.dokploy.client.docker_models import (
    ContainerRow,
    ContainerUsage,
    Events,
    Inspection,
    ServerHealth,
    SwarmNodeRow,
    TaskRow,
)
from integrations.dokploy.client.transport import Patience, Transport


class Containers:
    """`server_id` None: the machine Dokploy runs on. The orders work on every container of the host, if any does."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def all(self, *, server_id: str | None = None) -> list[ContainerRow]:
        """Of the whole host; names that hold `dokploy` are left out, and an error reads as none."""
        return await self._transport.get("docker.getContainers", list[ContainerRow], {"serverId": server_id})

    async def of_app(
        self,
        app_name: str,
        app_type: Literal["docker-compose", "stack"] | None = None,
        *,
        server_id: str | None = None,
    ) -> list[ContainerRow]:
        """Of one compose, stopped ones too. Without a type names with that beginning count, other stacks' too.

        An error reads as none: an empty list does not prove that there are none.
        """
        params = {"appName": app_name, "appType": app_type, "serverId": server_id}
        return await self._transport.get("docker.getContainersByAppNameMatch", list[ContainerRow], params)

    async def running_of_app(
        self, app_name: str, kind: Literal["standalone", "swarm"], *, server_id: str | None = None
    ) -> list[ContainerRow]:
        """Running ones only."""
        params = {"appName": app_name, "type": kind, "serverId": server_id}
        return await self._transport.get("docker.getContainersByAppLabel", list[ContainerRow], params)

    async def tasks_of_stack(self, app_name: str, *, server_id: str | None = None) -> list[TaskRow]:
        """Tasks of a Swarm stack, with the node and error of each."""
        params = {"appName": app_name, "serverId": server_id}
        return await self._transport.get("docker.getStackContainersByAppName", list[TaskRow], params)

    async def tasks_of_service(self, service: str, *, server_id: str | None = None) -> list[TaskRow]:
        """Tasks of a Swarm service by its full name (`<app_name>_<service>`; an application's is its `app_name`)."""
        params = {"appName": service, "serverId": server_id}
        return await self._transport.get("docker.getServiceContainersByAppName", list[TaskRow], params)

    async def inspect(self, container_id: str, *, server_id: str | None = None) -> Inspection | None:
        """`docker inspect`; None: there is no such container."""
        params = {"containerId": container_id, "serverId": server_id}
        return await self._transport.get_or_none("docker.getConfig", Inspection, params)

    async def events(self, *, minutes: int | None = None, server_id: str | None = None) -> Events:
        """What happened in the last minutes (15 unless told), newest first."""
        return await self._transport.get("docker.getEvents", Events, {"minutes": minutes, "serverId": server_id})

    async def host_health(self, *, server_id: str | None = None, since_hours: int | None = None) -> ServerHealth:
        """Memory, processors, disk and networks of the host."""
        params = {"serverId": server_id, "sinceHours": since_hours}
        return await self._transport.get("docker.getServerHealth", ServerHealth, params, patience=Patience.SLOW)

    async def usage(self, *, server_id: str | None = None) -> list[ContainerUsage]:
        """`docker stats` of all containers; takes two seconds and more."""
        params = {"serverId": server_id}
        return await self._transport.get(
            "swarm.getContainerStats", list[ContainerUsage], params, patience=Patience.SLOW
        )

    async def nodes(self, *, server_id: str | None = None) -> list[SwarmNodeRow]:
        """Machines of the Swarm."""
        return await self._transport.get("swarm.getNodes", list[SwarmNodeRow], {"serverId": server_id})

    async def restart(self, container_id: str, *, server_id: str | None = None) -> None:
        """Restart by id or name; answers when done (10 s where SIGTERM is ignored)."""
        await self._order("docker.restartContainer", container_id, server_id)

    async def start(self, container_id: str, *, server_id: str | None = None) -> None:
        """Start by id or name."""
        await self._order("docker.startContainer", container_id, server_id)

    async def stop(self, container_id: str, *, server_id: str | None = None) -> None:
        """Stop by id or name; answers when done."""
        await self._order("docker.stopContainer", container_id, server_id)

    async def kill(self, container_id: str, *, server_id: str | None = None) -> None:
        """Kill by id or name."""
        await self._order("docker.killContainer", container_id, server_id)

    async def remove(self, container_id: str, *, server_id: str | None = None) -> None:
        """Remove by id or name."""
        await self._order("docker.removeContainer", container_id, server_id)

    async def _order(self, procedure: str, container_id: str, server_id: str | None) -> None:
        body = {"containerId": container_id} | ({"serverId": server_id} if server_id is not None else {})
        await self._transport.order(procedure, body, patience=Patience.SLOW)

"""Remote servers, and the settings of the machine Dokploy runs on."""

from __future__ import annotations

from integrations.dokploy.client.docker_models import DiskUsageRow
from integrations.dokploy.client.instance_models import (
    InfrastructureHealth,
    Server,
    ServerTime,
    UpdateData,
    WebServerSettings,
)
from integrations.dokploy.client.transport import Patience, Transport


class Servers:
    """The machine Dokploy runs on is none of them."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def all(self) -> list[Server]:
        """Of the organization."""
        return await self._transport.get("server.all", list[Server])

    async def one(self, server_id: str) -> Server:
        """One server."""
        return await self._transport.get("server.one", Server, {"serverId": server_id})

    async def count(self) -> int:
        """How many there are."""
        return await self._transport.get("server.count", int)

    async def validate(self, server_id: str) -> dict[str, object]:
        """What is set up on it, asked over SSH: Docker, Swarm, network, folder."""
        params = {"serverId": server_id}
        return await self._transport.get("server.validate", dict[str, object], params, patience=Patience.SLOW)

    async def time(self) -> ServerTime:
        """Dokploy's clock."""
        return await self._transport.get("server.getServerTime", ServerTime)

    async def metrics(self, agent_url: str, token: str, *, points: int) -> list[dict[str, object]]:
        """What a monitoring agent measured on its host."""
        params = {"url": agent_url, "token": token, "dataPoints": str(points)}
        return await self._transport.get("server.getServerMetrics", list[dict[str, object]], params)

    async def container_metrics(
        self, agent_url: str, token: str, app_name: str, *, points: int
    ) -> list[dict[str, object]]:
        """What a monitoring agent measured of a container."""
        params = {"url": agent_url, "token": token, "appName": app_name, "dataPoints": str(points)}
        return await self._transport.get("user.getContainerMetrics", list[dict[str, object]], params)

    async def set_builds_concurrency(self, server_id: str, builds: int) -> None:
        """How many deployments run at once on a remote server."""
        body = {"serverId": server_id, "buildsConcurrency": builds}
        await self._transport.order("server.updateBuildsConcurrency", body)


class Instance:
    """Dokploy itself. What prunes volumes, restarts or updates it is left out."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def version(self) -> str:
        """`v0.30.2`"""
        return await self._transport.get("settings.getDokployVersion", str)

    async def release_tag(self) -> str:
        """`latest`"""
        return await self._transport.get("settings.getReleaseTag", str)

    async def is_cloud(self) -> bool:
        """Whether it is Dokploy Cloud."""
        return await self._transport.get("settings.isCloud", bool)

    async def is_up(self) -> bool:
        """Whether its web server answers. Needs no key and costs none of its calls; says nothing of the database."""
        return (await self._transport.get("health", dict[str, bool])).get("ok", False)

    async def is_healthy(self) -> bool:
        """Whether Dokploy reaches its own database."""
        return (await self._transport.get("settings.health", dict[str, str])).get("status") == "ok"

    async def ip(self) -> str:
        """Its public address; empty when none is set."""
        return await self._transport.get("settings.getIp", str)

    async def update_data(self) -> UpdateData:
        """Whether there is a newer Dokploy; nothing is changed."""
        return await self._transport.post("settings.getUpdateData", UpdateData)

    async def infrastructure_health(self) -> InfrastructureHealth:
        """Dokploy's database and proxy; needs an admin's key."""
        return await self._transport.get("settings.checkInfrastructureHealth", InfrastructureHealth)

    async def disk_usage(self) -> list[DiskUsageRow]:
        """`docker system df`"""
        return await self._transport.get("settings.getDockerDiskUsage", list[DiskUsageRow], patience=Patience.SLOW)

    async def web_server_settings(self) -> WebServerSettings:
        """Nightly clean-up, builds at once, address."""
        return await self._transport.get("settings.getWebServerSettings", WebServerSettings)

    async def set_builds_concurrency(self, builds: int) -> None:
        """How many deployments run at once on Dokploy's own machine."""
        await self._transport.order("settings.updateBuildsConcurrency", {"buildsConcurrency": builds})

    async def clean_unused_images(self, *, server_id: str | None = None) -> None:
        """Remove every image that no container uses; a stack that is stopped must pull or build again."""
        await self._clean("settings.cleanUnusedImages", server_id)

    async def clean_build_cache(self, *, server_id: str | None = None) -> None:
        """Remove the builder's cache."""
        await self._clean("settings.cleanDockerBuilder", server_id)

    async def clean_stopped_containers(self, *, server_id: str | None = None) -> None:
        """Remove every stopped container of the host."""
        await self._clean("settings.cleanStoppedContainers", server_id)

    async def _clean(self, procedure: str, server_id: str | None) -> None:
        body = {} if server_id is None else {"serverId": server_id}
        await self._transport.order(procedure, body, patience=Patience.LONG)

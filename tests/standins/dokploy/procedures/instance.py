"""settings.*, server.*, user.*, registry.* and what Dokploy Cloud or an enterprise licence would answer."""

from __future__ import annotations

from tests.standins.dokploy import rows
from tests.standins.dokploy.calls import Call, Catalogue, Refusal, may, needs
from tests.standins.dokploy.rows import Row
from tests.standins.dokploy.stage import Stage
from tests.standins.dokploy.state import find

catalogue = Catalogue()
VERSION = "v0.30.2"


@catalogue.get("settings.getDokployVersion")
async def version(stage: Stage, call: Call) -> str:
    return VERSION


@catalogue.get("settings.getReleaseTag")
async def release_tag(stage: Stage, call: Call) -> str:
    return "latest"


@catalogue.get("settings.isCloud")
async def is_cloud(stage: Stage, call: Call) -> bool:
    return False


@catalogue.get("settings.health")
async def health(stage: Stage, call: Call) -> Row:
    return {"status": "ok"}


@catalogue.get("settings.getIp")
async def ip(stage: Stage, call: Call) -> str:
    return str(stage.state.settings["serverIp"] or "")


@catalogue.post("settings.getUpdateData")
async def update_data(stage: Stage, call: Call) -> Row:
    return {"latestVersion": None, "updateAvailable": False}


@catalogue.get("settings.getWebServerSettings")
async def web_server_settings(stage: Stage, call: Call) -> Row:
    return stage.state.settings


@catalogue.get("settings.checkInfrastructureHealth", right="owner")
async def infrastructure(stage: Stage, call: Call) -> Row:
    return {name: {"status": "healthy"} for name in ("postgres", "traefik")} | stage.infrastructure


@catalogue.get("settings.checkGPUStatus", may("serverId"), right="owner")
async def gpu(stage: Stage, call: Call) -> Row:
    return dict(rows.recorded("settings.checkGPUStatus"))


@catalogue.get("settings.haveTraefikDashboardPortEnabled", may("serverId"), right="owner")
async def traefik_port(stage: Stage, call: Call) -> None:
    raise Refusal("INTERNAL_SERVER_ERROR", "Resource type not found")


@catalogue.get("settings.getDockerDiskUsage", may("serverId"))
async def disk_usage(stage: Stage, call: Call) -> list[Row]:
    used = await stage.engine.disk()
    images, volumes = used["Images"] or [], used["Volumes"] or []
    containers, cache = used["Containers"] or [], used["BuildCache"] or []
    return [
        _disk("Images", images, sum(one["Containers"] > 0 for one in images), used["LayersSize"]),
        _disk("Containers", containers, sum(one["State"] == "running" for one in containers), 0),
        _disk("Local Volumes", volumes, sum(one["UsageData"]["RefCount"] > 0 for one in volumes), 0),
        _disk("Build Cache", cache, 0, 0),
    ]


def _disk(kind: str, found: list[Row], active: int, size: float) -> Row:
    shown = f"{size / 1e6:.4g}MB" if size else "0B"
    sizes = {"size": shown, "reclaimable": "0B", "sizeBytes": size}
    return {"type": kind, "totalCount": len(found), "active": active, **sizes}


@catalogue.post("settings.updateBuildsConcurrency", needs("buildsConcurrency", "number"), right="owner")
async def builds_concurrency(stage: Stage, call: Call) -> bool:
    stage.state.builds_concurrency = call["buildsConcurrency"]
    stage.queue.pump()
    return True


async def _clean(stage: Stage, command: str) -> bool:
    """Nothing is removed: the engine is shared with other tests. What was asked for is in the log of requests."""
    stage.cleaned.append(command)
    return True


@catalogue.post("settings.cleanUnusedImages", may("serverId"), right="owner")
async def clean_images(stage: Stage, call: Call) -> bool:
    return await _clean(stage, "docker image prune --all --force")


@catalogue.post("settings.cleanDockerBuilder", may("serverId"), right="owner")
async def clean_builder(stage: Stage, call: Call) -> bool:
    return await _clean(stage, "docker builder prune --all --force")


@catalogue.post("settings.cleanStoppedContainers", may("serverId"), right="owner")
async def clean_containers(stage: Stage, call: Call) -> bool:
    return await _clean(stage, "docker container prune --force")


@catalogue.get("server.all", right="server")
async def servers(stage: Stage, call: Call) -> list[Row]:
    counted = stage.state.composes.values()
    total = {server: sum(row["serverId"] == server for row in counted) for server in stage.state.servers}
    return [{**row, "totalSum": total[row["serverId"]]} for row in stage.state.servers.values()]


@catalogue.get("server.one", needs("serverId"), right="server")
async def server(stage: Stage, call: Call) -> Row:
    row = find(stage.state.servers, call["serverId"], "Server")
    return {**row, "deployments": stage.state.deployments_of("serverId", row["serverId"]), "sshKey": None}


@catalogue.get("server.count", right="server")
async def server_count(stage: Stage, call: Call) -> int:
    return len(stage.state.servers)


@catalogue.post(
    "server.updateBuildsConcurrency", needs("serverId"), needs("buildsConcurrency", "number"), right="server"
)
async def server_concurrency(stage: Stage, call: Call) -> Row:
    row = find(stage.state.servers, call["serverId"], "Server")
    row["buildsConcurrency"] = call["buildsConcurrency"]
    stage.queue.pump()
    return row


@catalogue.get("server.getServerTime")
async def server_time(stage: Stage, call: Call) -> Row:
    return {"time": rows.now(), "timezone": "UTC"}


@catalogue.get("server.getServerMetrics", needs("url"), needs("token"), needs("dataPoints"))
async def server_metrics(stage: Stage, call: Call) -> None:
    raise Refusal("INTERNAL_SERVER_ERROR", "fetch failed")


@catalogue.get("user.getContainerMetrics", needs("url"), needs("token"), needs("appName"), needs("dataPoints"))
async def container_metrics(stage: Stage, call: Call) -> None:
    raise Refusal("INTERNAL_SERVER_ERROR", "fetch failed")


@catalogue.get("user.get")
async def me(stage: Stage, call: Call) -> Row:
    return call.member.row(list(stage.state.keys.values()))


@catalogue.get("user.session")
async def session(stage: Stage, call: Call) -> Row:
    organization = {"activeOrganizationId": call.member.organization_id}
    return {"user": {"id": call.member.user_id}, "session": organization}


@catalogue.get("user.getPermissions")
async def permissions(stage: Stage, call: Call) -> Row:
    return call.member.permissions()


@catalogue.get("registry.all", right="registry")
async def registries(stage: Stage, call: Call) -> list[Row]:
    return list(stage.state.registries.values())


@catalogue.get("registry.one", needs("registryId"), right="registry")
async def registry(stage: Stage, call: Call) -> Row:
    return find(stage.state.registries, call["registryId"], "Registry")


@catalogue.post("registry.testRegistryById", needs("registryId"), may("serverId"), right="registry")
async def test_registry(stage: Stage, call: Call) -> bool:
    find(stage.state.registries, call["registryId"], "Registry")
    return True


@catalogue.get("auditLog.all")
async def audit_log(stage: Stage, call: Call) -> None:
    raise Refusal("FORBIDDEN", "Valid enterprise license required")

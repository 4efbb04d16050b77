"""Which method of the client each recorded call is, and which recordings are not replayed, each with its reason."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

from pydantic.alias_generators import to_snake

from integrations.dokploy.client.dokploy_client import Dokploy
from integrations.dokploy.models import DatabaseKind

Params = dict[str, Any]
Method = Callable[[Dokploy, Params], Awaitable[object]]
POSTGRES = DatabaseKind.POSTGRES


def _rest(params: Params, *without: str) -> dict[str, Any]:
    return {to_snake(name): value for name, value in params.items() if name not in without}


def _job(params: Params) -> dict[str, Any]:
    return {"title": params.get("title"), "description": params.get("description")}


def _tail(params: Params) -> dict[str, Any]:
    tail = params.get("tail")
    return {"tail": int(tail) if tail else None, "since": params.get("since"), "search": params.get("search")}


def _deployment_log(dokploy: Dokploy, params: Params) -> Awaitable[object]:
    tail = params.get("tail")
    return dokploy.deployments.log(params["deploymentId"], tail=int(tail) if tail else None)


async def _health(dokploy: Dokploy, _: Params) -> object:
    return {"status": "ok" if await dokploy.instance.is_healthy() else "?"}


METHODS: Mapping[str, Method] = {
    "GET application.one": lambda d, p: d.applications.one(p["applicationId"]),
    "POST application.deploy": lambda d, p: d.applications.deploy(p["applicationId"], **_job(p)),
    "POST application.redeploy": lambda d, p: d.applications.redeploy(p["applicationId"], **_job(p)),
    "POST application.reload": lambda d, p: d.applications.reload(p["applicationId"], p["appName"]),
    "POST application.start": lambda d, p: d.applications.start(p["applicationId"]),
    "POST application.stop": lambda d, p: d.applications.stop(p["applicationId"]),
    "GET backup.one": lambda d, p: d.backups.one(p["backupId"]),
    "POST compose.cleanQueues": lambda d, p: d.composes.clean_queue(p["composeId"]),
    "POST compose.deploy": lambda d, p: d.composes.deploy(p.get("composeId", "x"), **_job(p)),
    "GET compose.getConvertedCompose": lambda d, p: d.composes.converted_file(p["composeId"]),
    "GET compose.loadServices": lambda d, p: d.composes.services(p["composeId"], source=p.get("type")),
    "GET compose.one": lambda d, p: d.composes.one(p["composeId"]),
    "GET compose.readLogs": lambda d, p: d.composes.logs(p["composeId"], p["containerId"], **_tail(p)),
    "POST compose.redeploy": lambda d, p: d.composes.redeploy(p["composeId"], **_job(p)),
    "POST compose.saveEnvironment": lambda d, p: d.composes.save_environment(p["composeId"], p["env"]),
    "POST compose.start": lambda d, p: d.composes.start(p["composeId"]),
    "POST compose.stop": lambda d, p: d.composes.stop(p["composeId"]),
    "POST compose.update": lambda d, p: d.composes.update(p["composeId"], **_rest(p, "composeId")),
    "GET deployment.all": lambda d, p: d.deployments.of_application(p["applicationId"]),
    "GET deployment.allByCompose": lambda d, p: d.deployments.of_compose(p["composeId"]),
    "GET deployment.allByType": lambda d, p: d.deployments.of(cast(Any, p["type"]), p["id"]),
    "GET deployment.allCentralized": lambda d, p: d.deployments.all(),
    "GET deployment.queueList": lambda d, p: d.deployments.queue(),
    "GET deployment.readLogs": _deployment_log,
    "GET docker.getConfig": lambda d, p: d.containers.inspect(p["containerId"]),
    "GET docker.getContainersByAppLabel": lambda d, p: d.containers.running_of_app(p["appName"], p["type"]),
    "GET docker.getContainersByAppNameMatch": lambda d, p: d.containers.of_app(p["appName"], p.get("appType")),
    "POST docker.restartContainer": lambda d, p: d.containers.restart(p["containerId"]),
    "GET domain.byComposeId": lambda d, p: d.domains.of_compose(p["composeId"]),
    "POST domain.validateDomain": lambda d, p: d.domains.check(p["domain"], server_ip=p.get("serverIp")),
    "GET environment.byProjectId": lambda d, p: d.environments.of_project(p["projectId"]),
    "GET postgres.one": lambda d, p: d.databases.one(POSTGRES, p["postgresId"]),
    "POST postgres.reload": lambda d, p: d.databases.reload(POSTGRES, p["postgresId"], p["appName"]),
    "POST postgres.start": lambda d, p: d.databases.start(POSTGRES, p["postgresId"]),
    "POST postgres.stop": lambda d, p: d.databases.stop(POSTGRES, p["postgresId"]),
    "GET project.all": lambda d, p: d.projects.all(),
    "POST rollback.rollback": lambda d, p: d.rollbacks.roll_back(p["rollbackId"]),
    "GET settings.checkInfrastructureHealth": lambda d, p: d.instance.infrastructure_health(),
    "GET settings.getDokployVersion": lambda d, p: d.instance.version(),
    "GET settings.health": _health,
    "GET user.get": lambda d, p: d.users.me(),
    "GET user.getPermissions": lambda d, p: d.users.permissions(),
    "GET volumeBackups.list": lambda d, p: d.volume_backups.of(p["volumeBackupType"], p["id"]),
}
"""By method and procedure; the parameters are the recorded ones."""

UNUSED: frozenset[str] = frozenset(
    {
        "GET application.readAppMonitoring",
        "GET application.readLogs",
        "POST application.saveDockerProvider",
        "POST application.update",
        "GET compose.getDefaultCommand",
        "GET compose.loadMountsByService",
        "POST compose.refreshToken",
        "GET compose.search",
        "POST deployment.killProcess",
        "POST deployment.removeDeployment",
        "GET docker.getContainers",
        "GET docker.getEvents",
        "GET docker.getServerHealth",
        "GET docker.getServiceContainersByAppName",
        "GET docker.getStackContainersByAppName",
        "POST docker.startContainer",
        "POST docker.stopContainer",
        "POST domain.create",
        "GET environment.one",
        "GET environment.search",
        "GET health",
        "GET notification.all",
        "POST notification.createCustom",
        "POST notification.testCustomConnection",
        "POST postgres.deploy",
        "GET project.homeStats",
        "GET project.one",
        "GET project.search",
        "POST rollback.delete",
        "GET schedule.list",
        "POST schedule.runManually",
        "GET server.all",
        "GET server.count",
        "GET server.getServerMetrics",
        "GET server.getServerTime",
        "GET server.one",
        "GET settings.getDockerDiskUsage",
        "GET settings.getIp",
        "GET settings.getReleaseTag",
        "POST settings.getUpdateData",
        "GET settings.getWebServerSettings",
        "GET settings.isCloud",
        "GET swarm.getContainerStats",
        "GET swarm.getNodes",
        "GET user.getContainerMetrics",
        "GET user.session",
    }
)
"""Not used: no method of the client makes these calls. Sent through its transport all the same."""

BY_TRANSPORT: Mapping[str, str] = {
    "error-404-unknown-procedure": "a procedure nobody has; shows how one is refused",
    "error-404-wrong-method": "GET in place of POST; shows how that is refused",
    "error-400-missing-query": "the client's methods cannot leave the id out",
    "error-400-missing-body-field": "the client's methods cannot leave the id out",
    "domain.validateDomain-as-GET": "GET in place of POST",
    "postgres.restart": "does not exist in Dokploy; `reload` is the restart",
    "postgres.reload-missing-appName": "the client's method cannot leave the name out",
    "application.cancelDeployment": "always refused by a self-hosted Dokploy",
    "compose.cancelDeployment": "always refused by a self-hosted Dokploy",
    "auditLog.all": "always refused without an enterprise licence",
    "settings.haveTraefikDashboardPortEnabled": "not used; shows an ordinary 500",
    "settings.checkGPUStatus": "not used; shows an answer without a model",
    "notification.receiveNotification-bad-token": "called by Dokploy's agent, not by us; shows a refusal",
    "compose.deploy-with-commitHash": "a field Dokploy drops silently; the client's method has none",
    "compose.update-git-source": "moves a stack to another repository, which nothing in the guardian does",
    "compose.update-appName": "a field Dokploy ignores; the client's method has none",
}
"""Sent word for word through the client's transport: no method makes this call, but its answer must be understood."""

_SETTING_UP = "made the laboratory; the guardian creates and removes no services"
_WEBHOOK = "a deploy webhook: no key, no API call"
NOT_REPLAYED: Mapping[str, str] = {
    "api-head-warmup": "HEAD of an unknown path, no API call",
    "application.create": _SETTING_UP,
    "compose.create": _SETTING_UP,
    "compose.create-git": _SETTING_UP,
    "compose.create-stack": _SETTING_UP,
    "compose.delete": "never offered: it removes a stack and its volumes",
    "compose.killBuild": "never offered: it ends the builds of every stack",
    "environment.create": _SETTING_UP,
    "notification.receiveNotification-dokploy-host": "called by Dokploy's monitoring agent, not by us",
    "notification.receiveNotification-remote": "called by Dokploy's monitoring agent, not by us",
    "postgres.create": _SETTING_UP,
    "postgres.update": _SETTING_UP,
    "project.create": _SETTING_UP,
    "registry.create": _SETTING_UP,
    "schedule.create": _SETTING_UP,
    "server.create": _SETTING_UP,
    "server.remove": _SETTING_UP,
    "trpc-compose.one": "tRPC's own endpoint, which the client does not use",
    "trpc-settings.health-noauth": "tRPC's own endpoint, which the client does not use",
    "user.assignPermissions": _SETTING_UP,
    "user.createUserWithCredentials": _SETTING_UP,
    "webhook-in-compose-GET": _WEBHOOK,
    "webhook-in-compose-autodeploy-off": _WEBHOOK,
    "webhook-in-compose-bad-token": _WEBHOOK,
    "webhook-in-compose-github-push": _WEBHOOK,
    "webhook-in-compose-raw-empty": _WEBHOOK,
}
"""Why each of the others is not replayed."""

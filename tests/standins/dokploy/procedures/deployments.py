"""deployment.* and rollback.*"""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from docker.errors import DockerException

from tests.standins.dokploy import applications, rows, swarm, trees
from tests.standins.dokploy.calls import NOTHING, Call, Catalogue, Refusal, may, needs, not_found, one_of
from tests.standins.dokploy.rows import Row
from tests.standins.dokploy.stage import Stage
from tests.standins.dokploy.state import find, pick

catalogue = Catalogue()
COLUMNS = {
    "application": "applicationId",
    "compose": "composeId",
    "server": "serverId",
    "schedule": "scheduleId",
    "previewDeployment": "previewDeploymentId",
    "backup": "backupId",
    "volumeBackup": "volumeBackupId",
}


@catalogue.get("deployment.allByCompose", needs("composeId"), service="composeId")
async def of_compose(stage: Stage, call: Call) -> list[Row]:
    return stage.state.deployments_of("composeId", stage.state.compose(call["composeId"])["composeId"])


@catalogue.get("deployment.all", needs("applicationId"), service="applicationId")
async def of_application(stage: Stage, call: Call) -> list[Row]:
    row = stage.state.application(call["applicationId"])
    return stage.state.deployments_of("applicationId", row["applicationId"])


@catalogue.get("deployment.allByServer", needs("serverId"), right="server")
async def of_server(stage: Stage, call: Call) -> list[Row]:
    return stage.state.deployments_of("serverId", call["serverId"])


@catalogue.get("deployment.allByType", needs("id"), one_of("type", *COLUMNS))
async def of_type(stage: Stage, call: Call) -> list[Row]:
    kept = stage.state.rollbacks
    found = stage.state.deployments_of(COLUMNS[call["type"]], call["id"])
    return [{**row, "rollback": _rollback(kept.get(row["rollbackId"] or ""))} for row in found]


def _rollback(kept: Row | None) -> Row | None:
    return applications.rollback_row(kept) if kept is not None else None


@catalogue.get("deployment.allCentralized")
async def everything(stage: Stage, call: Call) -> list[Row]:
    state = stage.state
    listed = []
    for row in reversed(state.deployments.values()):
        compose = state.composes.get(row["composeId"] or "")
        application = state.applications.get(row["applicationId"] or "")
        owner = compose or application
        if owner is None or not call.member.sees(row["composeId"] or row["applicationId"]):
            continue
        shown = {
            "application": _brief(stage, application, "applicationId"),
            "compose": _brief(stage, compose, "composeId"),
        }
        listed.append({**row, **shown, "server": trees.server_name(state, row), "buildServer": None})
    return listed


def _brief(stage: Stage, row: Row | None, id_column: str) -> Row | None:
    if row is None:
        return None
    environment = stage.state.environments[row["environmentId"]]
    project = stage.state.projects[environment["projectId"]]
    return {
        **pick(row, id_column, "name", "appName", "icon"),
        "environment": {**pick(environment, "environmentId", "name"), "project": pick(project, "projectId", "name")},
        "server": trees.server_name(stage.state, row),
    }


@catalogue.get("deployment.queueList")
async def queue_list(stage: Stage, call: Call) -> list[Row]:
    return stage.queue.listed(lambda job: stage.href(job.application_type, job.service_id))


@catalogue.get("deployment.readLogs", needs("deploymentId"), may("tail", "number"))
async def read_logs(stage: Stage, call: Call) -> str:
    """The last lines; empty when the file is gone."""
    row = find(stage.state.deployments, call["deploymentId"], "Deployment")
    call.member.demand_service(row["composeId"] or row["applicationId"] or "")
    return _last_lines(Path(row["logPath"]), call["tail"] or 100)


def _last_lines(log: Path, tail: int) -> str:
    with contextlib.suppress(FileNotFoundError):
        return "".join(log.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)[-tail:])
    return ""


@catalogue.post("deployment.killProcess", needs("deploymentId"))
async def kill_process(stage: Stage, call: Call) -> None:
    find(stage.state.deployments, call["deploymentId"], "Deployment")
    raise Refusal("BAD_REQUEST", "Deployment is not running")


@catalogue.post("deployment.removeDeployment", needs("deploymentId"))
async def remove(stage: Stage, call: Call) -> Row:
    row = find(stage.state.deployments, call["deploymentId"], "Deployment")
    await asyncio.to_thread(Path(row["logPath"]).unlink, missing_ok=True)
    return stage.state.deployments.pop(row["deploymentId"])


@catalogue.post("rollback.rollback", needs("rollbackId"))
async def roll_back(stage: Stage, call: Call) -> object:
    """Any failure reads the same; no deployment is added, and the application's row keeps the newer image."""
    kept = stage.state.rollbacks.get(call["rollbackId"])
    row = stage.state.applications.get(kept["applicationId"]) if kept else None
    if kept is None or row is None:
        raise Refusal("BAD_REQUEST", "Error input: Rolling back")
    try:
        await applications.run_service(stage, row, image=kept["image"])
    except swarm.SwarmFailed as error:
        raise Refusal("BAD_REQUEST", "Error input: Rolling back") from error
    return NOTHING


@catalogue.post("rollback.delete", needs("rollbackId"))
async def forget_rollback(stage: Stage, call: Call) -> Row:
    kept = stage.state.rollbacks.pop(call["rollbackId"], None)
    if kept is None:
        raise not_found("Rollback")
    deployment = stage.state.deployments.get(kept["deploymentId"])
    shown = {**applications.rollback_row(kept), "deployment": rows.copied(deployment) if deployment else None}
    if deployment is not None:
        deployment["rollbackId"] = None
    with contextlib.suppress(DockerException):
        await asyncio.to_thread(stage.engine.client.images.remove, kept["image"])
    return shown

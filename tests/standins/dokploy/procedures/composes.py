"""compose.*"""

from __future__ import annotations

import secrets
import shlex

from tests.standins.dokploy import jobs, rows, scripts, trees
from tests.standins.dokploy.calls import (
    NOTHING,
    Call,
    Catalogue,
    Refusal,
    may,
    needs,
    not_found,
    one_of,
)
from tests.standins.dokploy.convert import BadFile, converted, parsed
from tests.standins.dokploy.queue import Job
from tests.standins.dokploy.rows import Row
from tests.standins.dokploy.stage import Stage
from tests.standins.dokploy.state import find, pick

catalogue = Catalogue()
FIXED = ("composeId", "appName", "serverId", "createdAt")
"""Columns that an update leaves alone, whatever it is sent."""
SEARCHED = (
    "composeId",
    "name",
    "appName",
    "description",
    "environmentId",
    "composeStatus",
    "sourceType",
    "createdAt",
)
STORED_LIMIT = 100


def full(stage: Stage, compose: Row) -> Row:
    """A compose with all that hangs on it."""
    state, own_id = stage.state, compose["composeId"]
    return {
        **compose,
        "environment": trees.with_project(state, compose),
        "deployments": list(reversed(state.deployments_of("composeId", own_id))),
        "mounts": stage.mounts_of(compose),
        "domains": state.domains_of(own_id),
        "github": None,
        "gitlab": None,
        "bitbucket": None,
        "gitea": None,
        "server": state.servers.get(compose["serverId"] or ""),
        "backups": [row for row in state.backups.values() if row["composeId"] == own_id],
    }


@catalogue.get("compose.one", needs("composeId"), service="composeId")
async def one(stage: Stage, call: Call) -> Row:
    compose = stage.state.compose(call["composeId"])
    return {**full(stage, compose), "hasGitProviderAccess": True, "unauthorizedProvider": None}


@catalogue.post(
    "compose.create", needs("name"), needs("environmentId"), may("appName"), right="service", takes_all=True
)
async def create(stage: Stage, call: Call) -> Row:
    find(stage.state.environments, call["environmentId"], "Environment")
    row = stage.state.add_compose(**{"appName": None, "sourceType": "github", **call.params})
    call.member.services.append(row["composeId"])
    return row


@catalogue.post("compose.update", needs("composeId"), right="service", service="composeId", takes_all=True)
async def update(stage: Stage, call: Call) -> Row:
    compose = stage.state.compose(call["composeId"])
    compose.update({name: value for name, value in call.params.items() if name in compose and name not in FIXED})
    return compose


@catalogue.post(
    "compose.saveEnvironment",
    needs("composeId"),
    needs("env"),
    may("createEnvFile", "boolean"),
    service="composeId",
)
async def save_environment(stage: Stage, call: Call) -> bool:
    compose = stage.state.compose(call["composeId"])
    compose["env"] = call["env"]
    if call["createEnvFile"] is not None:
        compose["createEnvFile"] = call["createEnvFile"]
    return True


@catalogue.post("compose.deploy", needs("composeId"), may("title"), may("description"), service="composeId")
async def deploy(stage: Stage, call: Call) -> Row:
    return queue(stage, call, "deploy", "Deployment queued")


@catalogue.post("compose.redeploy", needs("composeId"), may("title"), may("description"), service="composeId")
async def redeploy(stage: Stage, call: Call) -> Row:
    return queue(stage, call, "redeploy", "Redeployment queued")


def queue(stage: Stage, call: Call, kind: str, message: str) -> Row:
    """Queue a job; the answer holds no id of it."""
    compose = stage.state.compose(call["composeId"])
    job = Job(
        kind=kind,
        application_type="compose",
        service_id=compose["composeId"],
        title=call["title"] or jobs.TITLES[kind],
        description=call["description"] or "",
        server_id=compose["serverId"],
    )
    stage.queue.add(job)
    return {"success": True, "message": message, "composeId": compose["composeId"]}


@catalogue.post("compose.start", needs("composeId"), service="composeId")
async def start(stage: Stage, call: Call) -> bool:
    await jobs.start(stage, stage.state.compose(call["composeId"]))
    return True


@catalogue.post("compose.stop", needs("composeId"), service="composeId")
async def stop(stage: Stage, call: Call) -> bool:
    await jobs.stop(stage, stage.state.compose(call["composeId"]))
    return True


@catalogue.get(
    "compose.loadServices",
    needs("composeId"),
    one_of("type", "cache", "fetch", is_required=False),
    service="composeId",
)
async def load_services(stage: Stage, call: Call) -> list[str]:
    compose = stage.state.compose(call["composeId"])
    if call["type"] == "fetch":
        await stage.shell.run(f"(set -e;{jobs.source_script(stage, compose)})")
    try:
        data = parsed(stage.compose_file(compose).read_text(encoding="utf-8"))
    except (FileNotFoundError, BadFile) as error:
        raise not_found("Services") from error
    return list(data.get("services") or {})


@catalogue.get("compose.getConvertedCompose", needs("composeId"), right="service", service="composeId")
async def get_converted(stage: Stage, call: Call) -> str:
    compose = stage.state.compose(call["composeId"])
    try:
        text = compose["composeFile"]
        if compose["sourceType"] != "raw":
            text = stage.compose_file(compose).read_text(encoding="utf-8")
        return converted(text, compose, stage.state.domains_of(compose["composeId"]))
    except FileNotFoundError as error:
        raise Refusal("INTERNAL_SERVER_ERROR", "Compose file not found") from error
    except BadFile as error:
        raise Refusal("INTERNAL_SERVER_ERROR", str(error)) from error


@catalogue.get("compose.getDefaultCommand", needs("composeId"), service="composeId")
async def default_command(stage: Stage, call: Call) -> str:
    compose = stage.state.compose(call["composeId"])
    return f"docker {scripts.up_arguments({**compose, 'command': ''})}"


@catalogue.get(
    "compose.readLogs",
    needs("composeId"),
    needs("containerId"),
    may("tail", "number"),
    may("since"),
    may("search"),
    service="composeId",
)
async def read_logs(stage: Stage, call: Call) -> str:
    stage.state.compose(call["composeId"])
    return await container_log(stage, call, call["containerId"])


async def container_log(stage: Stage, call: Call, container: str) -> str:
    """Both streams with times; a search that finds nothing is a failed command."""
    since = f"--since {call['since']}" if call["since"] not in (None, "all") else ""
    words = str(call["search"] or "").replace("'", "'\\''")
    search = f" | grep -iF '{words}'" if words else ""
    tail = call["tail"] or 100
    command = f"docker container logs --timestamps --tail {tail} {since} {shlex.quote(container)} 2>&1{search}"
    return await stage.shell.run(command)


@catalogue.get("compose.loadMountsByService", needs("composeId"), needs("serviceName"), service="composeId")
async def load_mounts(stage: Stage, call: Call) -> list[Row]:
    name = stage.state.compose(call["composeId"])["appName"]
    labels = {"com.docker.compose.project": name, "com.docker.compose.service": call["serviceName"]}
    found: list[Row] = []
    for container in (await stage.engine.listed(labels))[:1]:
        inspected = await stage.engine.inspect(container["Id"]) or {"Mounts": []}
        found = [mount for mount in inspected["Mounts"] if mount["Type"] == "volume"]
    return found


@catalogue.post("compose.cleanQueues", needs("composeId"), service="composeId")
async def clean_queues(stage: Stage, call: Call) -> Row:
    stage.queue.clean(stage.state.compose(call["composeId"])["composeId"])
    return {"success": True, "message": "Queues cleaned successfully"}


@catalogue.post("compose.cancelDeployment", needs("composeId"), service="composeId")
async def cancel_deployment(stage: Stage, call: Call) -> None:
    raise Refusal("BAD_REQUEST", "Deployment cancellation only available in cloud version")


@catalogue.post("compose.killBuild", needs("composeId"), service="composeId")
async def kill_build(stage: Stage, call: Call) -> object:
    """Ends nothing here: on a real host it hits the compose commands of every stack."""
    stage.state.compose(call["composeId"])
    return NOTHING


@catalogue.post("compose.refreshToken", needs("composeId"), service="composeId")
async def refresh_token(stage: Stage, call: Call) -> bool:
    stage.state.compose(call["composeId"])["refreshToken"] = secrets.token_urlsafe(15)
    return True


@catalogue.post(
    "compose.delete", needs("composeId"), needs("deleteVolumes", "boolean"), right="service", service="composeId"
)
async def delete(stage: Stage, call: Call) -> Row:
    compose = stage.state.compose(call["composeId"])
    shown = rows.copied(full(stage, compose))
    await stage.engine.remove_everything_of(compose["appName"], with_volumes=bool(call["deleteVolumes"]))
    stage.deleted.add(compose["appName"])
    del stage.state.composes[compose["composeId"]]
    for table in (stage.state.deployments, stage.state.domains):
        for row_id in [key for key, row in table.items() if row["composeId"] == compose["composeId"]]:
            del table[row_id]
    return shown


@catalogue.get(
    "compose.search",
    may("q"),
    may("name"),
    may("appName"),
    may("projectId"),
    may("environmentId"),
    may("limit", "number"),
    may("offset", "number"),
)
async def search(stage: Stage, call: Call) -> Row:
    """Only what the caller was given or created itself, owners too."""
    own = [row for row in stage.state.composes.values() if row["composeId"] in call.member.services]
    found = [row for row in own if _fits(stage, row, call)]
    offset, limit = call["offset"] or 0, min(call["limit"] or 20, STORED_LIMIT)
    return {"items": [pick(row, *SEARCHED) for row in found[offset : offset + limit]], "total": len(found)}


def _fits(stage: Stage, row: Row, call: Call) -> bool:
    text = str(call["q"] or "").casefold()
    told = " ".join(str(row[column] or "") for column in ("name", "appName", "description")).casefold()
    environment = stage.state.environments[row["environmentId"]]
    return (
        text in told
        and call["environmentId"] in (None, row["environmentId"])
        and call["projectId"] in (None, environment["projectId"])
        and call["appName"] in (None, row["appName"])
        and call["name"] in (None, row["name"])
    )

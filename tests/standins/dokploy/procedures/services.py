"""application.* and the six kinds of databases."""

from __future__ import annotations

import shlex

from tests.standins.dokploy import applications, jobs, rows, swarm, trees
from tests.standins.dokploy.calls import NOTHING, Call, Catalogue, Refusal, failed, may, needs
from tests.standins.dokploy.engine import SWARM_SERVICE
from tests.standins.dokploy.procedures.composes import container_log
from tests.standins.dokploy.procedures.projects import page
from tests.standins.dokploy.queue import Job
from tests.standins.dokploy.rows import Row
from tests.standins.dokploy.stage import Stage
from tests.standins.dokploy.state import DATABASE_KINDS, find, pick

catalogue = Catalogue()
OWN = "applicationId"
TAIL = (may("tail", "number"), may("since"), may("search"))
JOB = (needs(OWN), may("title"), may("description"))
NAME = needs("appName", missing="nonoptional")


@catalogue.get("application.one", needs(OWN), service=OWN)
async def one(stage: Stage, call: Call) -> Row:
    return applications.full(stage, stage.state.application(call[OWN]), is_one=True)


@catalogue.post("application.create", needs("name"), needs("environmentId"), may("appName"), right="service")
async def create(stage: Stage, call: Call) -> Row:
    find(stage.state.environments, call["environmentId"], "Environment")
    return stage.state.add_application(**call.params)


@catalogue.post("application.update", needs(OWN), service=OWN, right="service", takes_all=True)
async def update(stage: Stage, call: Call) -> bool:
    row = stage.state.application(call[OWN])
    row.update({name: value for name, value in call.params.items() if name in row and name not in (OWN, "appName")})
    return True


@catalogue.post("application.saveDockerProvider", needs(OWN), service=OWN, right="service", takes_all=True)
async def save_image(stage: Stage, call: Call) -> bool:
    row = stage.state.application(call[OWN])
    row.update({name: call[name] for name in ("dockerImage", "username", "password", "registryUrl")})
    row["sourceType"] = "docker"
    return True


def _queue(stage: Stage, call: Call, kind: str) -> object:
    row = stage.state.application(call[OWN])
    job = Job(
        kind=kind,
        application_type="application",
        service_id=row[OWN],
        title=call["title"] or jobs.TITLES[kind],
        description=call["description"] or "",
        server_id=row["serverId"],
    )
    stage.queue.add(job)
    return NOTHING


@catalogue.post("application.deploy", *JOB, service=OWN)
async def deploy(stage: Stage, call: Call) -> object:
    return _queue(stage, call, "deploy")


@catalogue.post("application.redeploy", *JOB, service=OWN)
async def redeploy(stage: Stage, call: Call) -> object:
    return _queue(stage, call, "redeploy")


@catalogue.post("application.start", needs(OWN), service=OWN)
async def start(stage: Stage, call: Call) -> Row:
    """To one replica; the answer is the row as it was before."""
    row = stage.state.application(call[OWN])
    before = rows.copied(applications.full(stage, row))
    try:
        await applications.scale(stage, row, 1)
    except swarm.SwarmFailed as error:
        raise failed(f"Command failed: docker service scale {row['appName']}=1\n{error}\n") from error
    row["applicationStatus"] = "done"
    return before


@catalogue.post("application.stop", needs(OWN), service=OWN)
async def stop(stage: Stage, call: Call) -> Row:
    row = stage.state.application(call[OWN])
    before = rows.copied(applications.full(stage, row))
    await applications.scale(stage, row, 0)
    row["applicationStatus"] = "idle"
    return before


@catalogue.post("application.reload", needs(OWN), NAME, service=OWN)
async def reload(stage: Stage, call: Call) -> bool:
    await applications.run_service(stage, stage.state.application(call[OWN]))
    return True


@catalogue.get("application.readLogs", needs(OWN), *TAIL, service=OWN)
async def read_logs(stage: Stage, call: Call) -> str:
    return await _service_log(stage, call, stage.state.application(call[OWN]))


async def _service_log(stage: Stage, call: Call, row: Row) -> str:
    tasks = await stage.engine.tasks(SWARM_SERVICE, row["appName"])
    if not tasks:
        return ""
    return await container_log(stage, call, shlex.quote(tasks[0]["Id"]))


@catalogue.get("application.readAppMonitoring", needs("appName"))
async def monitoring(stage: Stage, call: Call) -> None:
    """Nobody has the page open."""


@catalogue.post("application.cancelDeployment", needs(OWN), service=OWN)
async def cancel(stage: Stage, call: Call) -> None:
    raise Refusal("BAD_REQUEST", "Deployment cancellation only available in cloud version")


@catalogue.post("application.cleanQueues", needs(OWN), service=OWN)
async def clean_queues(stage: Stage, call: Call) -> Row:
    stage.queue.clean(stage.state.application(call[OWN])[OWN])
    return {"success": True, "message": "Queues cleaned successfully"}


@catalogue.get(
    "application.search",
    may("q"),
    may("projectId"),
    may("environmentId"),
    may("limit", "number"),
    may("offset", "number"),
)
async def search(stage: Stage, call: Call) -> Row:
    text = str(call["q"] or "").casefold()
    columns = (OWN, "name", "appName", "description", "environmentId", "applicationStatus", "sourceType", "createdAt")
    seen = [row for row in stage.state.applications.values() if call.member.sees(row[OWN])]
    return page(call, [pick(row, *columns) for row in seen if text in f"{row['name']} {row['appName']}".casefold()])


# -- databases -------------------------------------------------------------------------------------------------------


def _full(stage: Stage, kind: str, row: Row) -> Row:
    backups = [one for one in stage.state.backups.values() if one.get(f"{kind}Id") == row[f"{kind}Id"]]
    shown = {"environment": trees.with_project(stage.state, row), "mounts": stage.mounts_of(row)}
    return {**row, **shown, "server": stage.state.servers.get(row["serverId"] or ""), "backups": backups}


def _declare_databases() -> None:
    for kind in DATABASE_KINDS:
        _declare(kind)


def _declare(kind: str) -> None:
    id_column = f"{kind}Id"

    def found(stage: Stage, call: Call) -> Row:
        return find(stage.state.databases[kind], call[id_column], kind.capitalize())

    async def one(stage: Stage, call: Call) -> Row:
        return _full(stage, kind, found(stage, call))

    async def create(stage: Stage, call: Call) -> Row:
        return stage.state.add_database(kind, **call.params)

    async def update(stage: Stage, call: Call) -> bool:
        row = found(stage, call)
        row.update({name: value for name, value in call.params.items() if name in row and name != "appName"})
        return True

    async def run(stage: Stage, call: Call) -> Row:
        row = found(stage, call)
        before = rows.copied(_full(stage, kind, row))
        await _run(stage, row)
        return before

    async def stop(stage: Stage, call: Call) -> Row:
        row = found(stage, call)
        before = rows.copied(_full(stage, kind, row))
        await applications.scale(stage, row, 0)
        row["applicationStatus"] = "idle"
        return before

    async def reload(stage: Stage, call: Call) -> bool:
        await _run(stage, found(stage, call))
        return True

    async def read_logs(stage: Stage, call: Call) -> str:
        return await _service_log(stage, call, found(stage, call))

    async def save_environment(stage: Stage, call: Call) -> bool:
        found(stage, call)["env"] = call["env"]
        return True

    own = needs(id_column)
    catalogue.get(f"{kind}.one", own, service=id_column)(one)
    catalogue.post(f"{kind}.create", needs("name"), needs("environmentId"), right="service", takes_all=True)(create)
    catalogue.post(f"{kind}.update", own, service=id_column, right="service", takes_all=True)(update)
    catalogue.post(f"{kind}.start", own, service=id_column)(run)
    catalogue.post(f"{kind}.stop", own, service=id_column)(stop)
    catalogue.post(f"{kind}.reload", own, NAME, service=id_column)(reload)
    catalogue.post(f"{kind}.deploy", own, service=id_column)(run)
    catalogue.get(f"{kind}.readLogs", own, *TAIL, service=id_column)(read_logs)
    catalogue.post(f"{kind}.saveEnvironment", own, needs("env"), service=id_column)(save_environment)


async def _run(stage: Stage, row: Row) -> None:
    try:
        await applications.run_service(stage, row, replicas=1)
    except swarm.SwarmFailed as error:
        row["applicationStatus"] = "error"
        raise failed(f"Command failed: docker service scale {row['appName']}=1\n{error}\n") from error
    row["applicationStatus"] = "done"


_declare_databases()

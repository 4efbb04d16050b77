"""docker.* and swarm.*"""

from __future__ import annotations

import shlex

from tests.standins.dokploy import engine as docker_engine
from tests.standins.dokploy import rows
from tests.standins.dokploy.calls import NOTHING, Call, Catalogue, may, needs, one_of
from tests.standins.dokploy.engine import NAMESPACE, SWARM_SERVICE
from tests.standins.dokploy.rows import Row
from tests.standins.dokploy.stage import Stage

catalogue = Catalogue()
NODE = "vm"


@catalogue.get("docker.getContainers", may("serverId"), right="docker")
async def get_containers(stage: Stage, call: Call) -> list[Row]:
    """Of the whole host, but names that hold `dokploy` are hidden."""
    listed = [docker_engine.host_row(one) for one in await stage.engine.listed()]
    return [row for row in listed if "dokploy" not in row["name"]]


@catalogue.get(
    "docker.getContainersByAppNameMatch",
    needs("appName"),
    one_of("appType", "stack", "docker-compose", is_required=False),
    may("serverId"),
)
async def by_name(stage: Stage, call: Call) -> list[Row]:
    """Not checked per service: any member gets the list."""
    name = call["appName"]
    if call["appType"] == "docker-compose":
        return await stage.engine.of_project(name)
    if call["appType"] == "stack":
        tasks = await stage.engine.tasks(NAMESPACE, name)
        return [docker_engine.match_task(one, node=NODE) for one in tasks if one["State"] != "exited"]
    return await stage.engine.of_name(name)


@catalogue.get(
    "docker.getContainersByAppLabel",
    needs("appName"),
    one_of("type", "standalone", "swarm"),
    may("serverId"),
    right="docker",
)
async def by_label(stage: Stage, call: Call) -> list[Row]:
    """Running ones only."""
    name = call["appName"]
    if call["type"] == "swarm":
        found = await stage.engine.listed({SWARM_SERVICE: name}, is_all=False)
    else:
        found = [one for one in await stage.engine.listed(is_all=False) if name in one["Names"][0]]
    return [docker_engine.label_row(one) for one in found]


@catalogue.get("docker.getStackContainersByAppName", needs("appName"), may("serverId"), right="docker")
async def stack_tasks(stage: Stage, call: Call) -> list[Row]:
    tasks = await stage.engine.tasks(NAMESPACE, call["appName"])
    return [docker_engine.task_row(one, node=NODE, is_stack=True) for one in tasks]


@catalogue.get("docker.getServiceContainersByAppName", needs("appName"), may("serverId"), right="docker")
async def service_tasks(stage: Stage, call: Call) -> list[Row]:
    tasks = await stage.engine.tasks(SWARM_SERVICE, call["appName"])
    return [docker_engine.task_row(one, node=NODE, is_stack=False) for one in tasks]


@catalogue.get("docker.getConfig", needs("containerId"), may("serverId"), right="docker")
async def get_config(stage: Stage, call: Call) -> object:
    """Nothing at all when there is no such container."""
    return await stage.engine.inspect(call["containerId"]) or NOTHING


@catalogue.get("docker.getEvents", may("serverId"), may("minutes", "number"), right="docker")
async def get_events(stage: Stage, call: Call) -> Row:
    return {"events": await stage.engine.events(call["minutes"] or 15), "fetchedAt": docker_engine.fetched_at()}


@catalogue.get("docker.getServerHealth", may("serverId"), may("sinceHours", "number"), right="docker+server")
async def server_health(stage: Stage, call: Call) -> Row:
    recorded: Row = rows.recorded("docker.getServerHealth")
    info = await stage.engine.info()
    recorded["checkedAt"] = rows.now()
    recorded["containers"]["containerCount"] = info["Containers"]
    recorded["resources"] |= {"memTotalBytes": info["MemTotal"], "cpuCount": info["NCPU"]}
    return recorded


async def _act(stage: Stage, call: Call, verb: str) -> object:
    await stage.shell.run(f"docker container {verb} {shlex.quote(call['containerId'])}")
    return NOTHING


@catalogue.post("docker.restartContainer", needs("containerId"), may("serverId"), right="docker")
async def restart(stage: Stage, call: Call) -> object:
    return await _act(stage, call, "restart")


@catalogue.post("docker.startContainer", needs("containerId"), may("serverId"), right="docker")
async def start(stage: Stage, call: Call) -> object:
    return await _act(stage, call, "start")


@catalogue.post("docker.stopContainer", needs("containerId"), may("serverId"), right="docker")
async def stop(stage: Stage, call: Call) -> object:
    return await _act(stage, call, "stop")


@catalogue.post("docker.killContainer", needs("containerId"), may("serverId"), right="docker")
async def kill(stage: Stage, call: Call) -> object:
    return await _act(stage, call, "kill")


@catalogue.post("docker.removeContainer", needs("containerId"), may("serverId"), right="docker")
async def remove(stage: Stage, call: Call) -> object:
    return await _act(stage, call, "rm -f")


@catalogue.get("swarm.getContainerStats", may("serverId"), right="docker")
async def usage(stage: Stage, call: Call) -> list[Row]:
    return await stage.engine.usage()


@catalogue.get("swarm.getNodes", may("serverId"), right="docker")
async def nodes(stage: Stage, call: Call) -> list[Row]:
    (node,) = rows.recorded("swarm.getNodes")
    return [{**node, "EngineVersion": (await stage.engine.info())["ServerVersion"]}]

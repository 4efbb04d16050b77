"""The stand-in for Dokploy really runs what it is told, with the statuses of a real one."""

from __future__ import annotations

import base64
from typing import Any

import docker
import pytest

from tests.standins.conftest import FileOf
from tests.standins.dokploy import DokployStandin, Service
from tests.standins.dokploy.caller import Caller
from tests.testbed.world import eventually

FINAL = ("done", "error")


async def deployed(caller: Caller, stack: Service, procedure: str = "compose.deploy", **body: str) -> dict[str, Any]:
    """Deploy and wait for the end; the deployment."""
    known = {row["deploymentId"] for row in await caller.deployments(stack.id)}
    assert (await caller.post(procedure, composeId=stack.id, **body)).body["success"]

    async def ended() -> dict[str, Any] | None:
        fresh = [row for row in await caller.deployments(stack.id) if row["deploymentId"] not in known]
        return next((row for row in fresh if row["status"] in FINAL), None)

    row = await eventually(ended, 60, what="the end of the deployment")
    assert row is not None
    return dict(row)


async def states(caller: Caller, stack: Service) -> dict[str, str]:
    """Service → state of its container."""
    listed = await caller.get("docker.getContainersByAppNameMatch", appName=stack.app_name, appType="docker-compose")
    prefix = f"{stack.app_name}-"
    return {row["name"].removeprefix(prefix).rpartition("-")[0]: row["state"] for row in listed.body}


@pytest.fixture
def shop(dokploy: DokployStandin, file_of: FileOf) -> Service:
    """A raw compose that was never deployed."""
    return dokploy.add_compose(dokploy.add_project(), "shop", compose_file=file_of(web="web.py"), env="TOKEN=abc")


async def test_a_deploy_brings_up_what_the_file_says(
    caller: Caller, shop: Service, docker_client: docker.DockerClient
) -> None:
    assert (await caller.get("compose.loadServices", composeId=shop.id)).status == 404
    row = await deployed(caller, shop, title="first", description="by a test")
    assert (row["title"], row["description"], row["status"]) == ("first", "by a test", "done")
    assert row["finishedAt"] > row["startedAt"]
    assert (await caller.one(shop.id))["composeStatus"] == "done"
    log = await caller.log(row["deploymentId"])
    assert log.startswith("Initializing deployment\nFile 'docker-compose.yml' created: ✅\n╔═")
    assert "║ Source Type: docker raw ✅ " in log
    assert log.endswith("Docker Compose Deployed: ✅\n")
    container = docker_client.containers.get(shop.container("web"))
    labels = container.labels
    assert labels["com.docker.compose.project"] == shop.app_name
    assert labels["com.docker.compose.project.working_dir"] == str(shop.code_dir)
    assert (shop.code_dir / ".env").read_text().splitlines()[:3] == [
        f'APP_NAME="{shop.app_name}"',
        f'COMPOSE_PROJECT_NAME="{shop.app_name}"',
        'TOKEN="abc"',
    ]
    assert (await caller.get("compose.loadServices", composeId=shop.id)).body == ["web"]
    assert await states(caller, shop) == {"web": "running"}


async def test_an_unknown_image_fails_and_leaves_the_old_containers_alone(
    dokploy: DokployStandin, caller: Caller, shop: Service
) -> None:
    await deployed(caller, shop)
    bad = "services:\n  web:\n    image: 127.0.0.1:9/nosuch:v9\n"
    await caller.post("compose.update", composeId=shop.id, composeFile=bad)
    row = await deployed(caller, shop)
    assert (row["status"], row["errorMessage"]) == ("error", None)
    log = await caller.log(row["deploymentId"])
    assert "Error: ❌ Docker command failed" in log
    assert log.endswith("\nError occurred ❌, check the logs for details.\n")
    assert shop.status == "error"
    assert await states(caller, shop) == {"web": "running"}


async def test_bad_yaml_is_stored_and_fails_at_the_deploy(caller: Caller, shop: Service) -> None:
    await caller.post("compose.update", composeId=shop.id, composeFile="services:\n  web:\n   image: [unclosed\n")
    row = await deployed(caller, shop)
    assert row["status"] == "error"
    assert "❌ Has occurred an error: Flow sequence in block collection must be" in await caller.log(
        row["deploymentId"]
    )


async def test_done_says_nothing_about_a_container_that_crashes(
    dokploy: DokployStandin, caller: Caller, file_of: FileOf
) -> None:
    stack = dokploy.add_compose(dokploy.add_project(), "crasher", compose_file=file_of(api="crash.py"))
    assert (await deployed(caller, stack))["status"] == "done"

    async def crashed() -> bool:
        return await states(caller, stack) == {"api": "exited"}

    assert await eventually(crashed)
    assert stack.status == "done"


async def test_stop_and_start_keep_the_file_of_the_last_deploy(
    caller: Caller, shop: Service, dokploy: DokployStandin
) -> None:
    never = await caller.post("compose.stop", composeId=shop.id)
    assert (never.status, never.body["message"]) == (500, "Command execution failed: spawn /bin/sh ENOENT")
    await deployed(caller, shop)
    assert (await caller.post("compose.stop", composeId=shop.id)).body is True
    assert (shop.status, await states(caller, shop)) == ("idle", {"web": "exited"})
    assert (await caller.post("compose.start", composeId=shop.id)).body is True
    assert (shop.status, await states(caller, shop)) == ("done", {"web": "running"})
    assert len(dokploy.deployments(shop)) == 1


async def test_a_redeploy_has_its_own_title(caller: Caller, shop: Service) -> None:
    await deployed(caller, shop)
    assert (await deployed(caller, shop, "compose.redeploy"))["title"] == "Rebuild deployment"


async def test_no_more_than_eleven_deployments_are_remembered(
    dokploy: DokployStandin, caller: Caller, shop: Service
) -> None:
    await caller.post("compose.update", composeId=shop.id, composeFile="services: [\n")
    for number in range(13):
        await deployed(caller, shop, title=f"try {number}")
    titles = [row["title"] for row in await caller.deployments(shop.id)]
    assert titles == [f"try {number}" for number in range(12, 1, -1)]


async def test_the_error_notice_carries_the_script_and_in_it_the_secrets(
    dokploy: DokployStandin, caller: Caller, shop: Service
) -> None:
    dokploy.add_notification("http://127.0.0.1:9/nobody")
    await caller.post("compose.update", composeId=shop.id, composeFile="services: [\n")
    await deployed(caller, shop)
    sent = await eventually(lambda: dokploy.posted, what="the notice")
    text = sent[0].body["errorMessage"]
    encoded = text.partition('.env;\necho "')[2].partition('"')[0]
    assert 'TOKEN="abc"' in base64.b64decode(encoded).decode()
    assert sent[0].status is None

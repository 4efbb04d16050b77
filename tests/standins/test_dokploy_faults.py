"""The stand-in for Dokploy misbehaves when told to, and keeps count."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import aiohttp
import docker
import pytest
from pydantic import SecretStr

from core.settings import DokploySettings
from integrations.dokploy.client.dokploy_client import Dokploy
from integrations.dokploy.client.secret_values import reveal
from tests.standins.conftest import FileOf
from tests.standins.dokploy import DokployStandin, Service
from tests.standins.dokploy.caller import Caller
from tests.standins.test_dokploy_deploying import deployed
from tests.testbed.world import eventually


@pytest.fixture
def shop(dokploy: DokployStandin, file_of: FileOf) -> Service:
    """A raw compose that was never deployed."""
    return dokploy.add_compose(dokploy.add_project(), "shop", compose_file=file_of(web="web.py"))


async def test_a_lost_answer_has_queued_the_deploy_all_the_same(
    dokploy: DokployStandin, caller: Caller, shop: Service
) -> None:
    dokploy.hold_queue()
    dokploy.lose_answer("compose.deploy")
    with pytest.raises(aiohttp.ClientError):
        await caller.post("compose.deploy", composeId=shop.id, title="lost")
    queued = (await caller.get("deployment.queueList")).body
    assert [(job["state"], job["data"]["titleLog"]) for job in queued] == [("waiting", "lost")]
    assert shop.status == "idle"
    assert dokploy.deployments(shop) == []
    dokploy.release_queue()
    await eventually(lambda: shop.status == "done")


async def test_a_dropped_call_has_done_nothing(dokploy: DokployStandin, caller: Caller, shop: Service) -> None:
    dokploy.drop("compose.deploy")
    with pytest.raises(aiohttp.ClientError):
        await caller.post("compose.deploy", composeId=shop.id)
    assert (await caller.get("deployment.queueList")).body == []


async def test_a_bad_gateway_answers_once(dokploy: DokployStandin, caller: Caller) -> None:
    dokploy.fail_gateway("project.all")
    statuses = [(await caller.get("project.all")).status for _ in range(2)]
    assert statuses == [502, 200]
    assert [one.status for one in dokploy.asked("project.all")] == [502, 200]


async def test_a_hanging_call_ends_when_released(dokploy: DokployStandin, caller: Caller) -> None:
    dokploy.hang("*")
    call = asyncio.create_task(caller.post("settings.getUpdateData"))
    await eventually(lambda: dokploy.asked("settings.getUpdateData"))
    assert (await caller.get("settings.health")).status == 200
    assert not call.done()
    dokploy.release_hanging()
    with pytest.raises(aiohttp.ClientError):
        await call


async def test_the_queue_keeps_its_order_and_cleaning_spares_what_runs(
    dokploy: DokployStandin, caller: Caller, file_of: FileOf
) -> None:
    project = dokploy.add_project()
    one, two = (dokploy.add_compose(project, name, compose_file=file_of(web="web.py")) for name in ("one", "two"))
    dokploy.hold_running()
    for service, title in ((one, "a"), (two, "b"), (one, "c"), (one, "d")):
        await caller.post("compose.deploy", composeId=service.id, title=title)

    async def queue() -> list[tuple[str, str, str]]:
        jobs = (await caller.get("deployment.queueList")).body
        return [(job["id"], job["state"], job["data"]["titleLog"]) for job in reversed(jobs)]

    waiting = [("job-2", "waiting", "b"), ("job-3", "waiting", "c"), ("job-4", "waiting", "d")]
    assert await queue() == [("job-1", "active", "a"), *waiting]
    assert (await caller.post("compose.cleanQueues", composeId=one.id)).status == 200
    assert await queue() == [("job-1", "active", "a"), ("job-2", "waiting", "b")]
    dokploy.let_one_run()
    await eventually(lambda: two.status == "running")
    assert (one.status, await queue()) == ("done", [("job-2", "active", "b")])
    dokploy.release_running()
    await eventually(lambda: two.status == "done")
    assert [row["title"] for row in dokploy.deployments(one)] == ["a"]


async def test_a_restart_in_the_middle_kills_the_deploy_and_loses_the_queue(
    dokploy: DokployStandin, caller: Caller, testbed_image: str, docker_client: docker.DockerClient
) -> None:
    slow = (
        f"services:\n  gate:\n    image: {testbed_image}\n    command: [sleep, '60']\n    init: true\n"
        f"  web:\n    image: {testbed_image}\n    command: [sleep, '60']\n    init: true\n"
        "    depends_on: {gate: {condition: service_completed_successfully}}\n"
    )
    stack = dokploy.add_compose(dokploy.add_project(), "slow", compose_file=slow)
    for title in ("first", "second"):
        await caller.post("compose.deploy", composeId=stack.id, title=title)
    mine: dict[str, Any] = {"label": f"com.docker.compose.project={stack.app_name}"}
    await eventually(lambda: bool(docker_client.containers.list(filters=mine)), what="the gate")
    address = dokploy.url
    dokploy.restart()
    assert dokploy.url == address
    assert (await caller.get("deployment.queueList")).body == []
    (row,) = dokploy.deployments(stack)
    assert (row["title"], row["status"], row["finishedAt"]) == ("first", "cancelled", None)
    assert stack.status == "idle"
    stack.row["composeFile"] = slow.replace("60", "0")
    again = await deployed(caller, stack, title="again")
    assert again["status"] == "done", await caller.log(again["deploymentId"])


async def test_while_it_is_down_connections_are_refused(dokploy: DokployStandin, caller: Caller) -> None:
    dokploy.go_down()
    with pytest.raises(aiohttp.ClientConnectorError):
        await caller.get("settings.health")
    dokploy.come_back()
    assert (await caller.get("settings.health")).body == {"status": "ok"}


async def test_a_key_lets_five_calls_pass_unless_told_otherwise(dokploy: DokployStandin) -> None:
    caller = Caller(url=dokploy.url, key=dokploy.add_key())
    answers = [await caller.get("settings.isCloud") for _ in range(7)]
    assert [one.status for one in answers] == [200] * 5 + [401] * 2
    assert answers[-1].body == {"message": "Unauthorized"}
    lost = Caller(url=dokploy.url, key=dokploy.add_key(has_organization=False, rate_limit=None))
    assert (await lost.get("settings.isCloud")).body == {"message": "Unauthorized"}


async def test_a_body_of_two_megabytes_is_refused_before_the_key(dokploy: DokployStandin, shop: Service) -> None:
    nobody = Caller(url=dokploy.url, key="wrong")
    answer = await nobody.post("compose.update", composeId=shop.id, composeFile="#" * 2_000_000)
    assert (answer.status, answer.text) == (413, "Body exceeded 1mb limit")


async def test_fifty_projects_are_listed_with_a_latency_and_counted(dokploy: DokployStandin, caller: Caller) -> None:
    filled = dokploy.fill(projects=50, composes=4)
    assert len(filled) == 200
    dokploy.set_latency(0.15)
    dokploy.forget_requests()
    began = time.monotonic()
    projects = (await caller.get("project.all")).body
    ids = [one["projectId"] for one in projects[:8]]
    await asyncio.gather(*(caller.get("environment.byProjectId", projectId=one) for one in ids))
    assert time.monotonic() - began >= 0.3
    assert (len(projects), len(dokploy.requests), dokploy.most_at_once) == (50, 9, 8)


async def test_the_products_client_understands_it(dokploy: DokployStandin, shop: Service) -> None:
    settings = DokploySettings(url=dokploy.url, api_key=SecretStr(dokploy.api_key), timeout_s=20, pace_s=0)
    client = Dokploy(settings)
    try:
        assert await client.instance.version() == "v0.30.2"
        assert (await client.composes.deploy(shop.id, title="by the client")).success
        await eventually(lambda: shop.status == "done")
        compose = await client.composes.one(shop.id)
        assert (compose.app_name, compose.deployments[0].title) == (shop.app_name, "by the client")
        assert "web.py" in reveal(await client.composes.converted_file(shop.id))
        (container,) = await client.containers.of_app(shop.app_name, "docker-compose")
        inspected = await client.containers.inspect(container.container_id)
        assert inspected is not None
        await client.containers.restart(container.container_id)
        assert [project.name for project in await client.projects.all()] == ["shop"]
    finally:
        await client.aclose()


def test_a_sync_test_can_begin_with_something_deployed(dokploy: DokployStandin, shop: Service) -> None:
    assert (shop.status, dokploy.deployments(shop)) == ("idle", [])
    assert (dokploy.deploy(shop)["status"], shop.status) == ("done", "done")


async def test_a_search_misses_what_somebody_else_made(dokploy: DokployStandin, caller: Caller, shop: Service) -> None:
    dokploy.add_compose(dokploy.add_project(), "shop of another", is_of_another=True)
    found = (await caller.get("compose.search", q="shop")).body
    assert ([row["name"] for row in found["items"]], found["total"]) == (["shop"], 1)


async def test_nothing_is_left_on_the_engine(
    docker_host: str, compose_config: str, tmp_path: Path, testbed_image: str, docker_client: docker.DockerClient
) -> None:
    text = (
        f"services: {{web: {{image: '{testbed_image}', command: [sleep, '60'], volumes: ['data:/data']}}}}\n"
        "volumes: {data: {}}\n"
    )
    with DokployStandin(docker_host=docker_host, docker_config=compose_config, home=tmp_path) as own:
        project = own.add_project()
        kept, deleted = (own.add_compose(project, name, compose_file=text) for name in ("kept", "deleted"))
        for stack in (kept, deleted):
            assert (await asyncio.to_thread(own.deploy, stack))["status"] == "done"
        caller = Caller(url=own.url, key=own.api_key)
        assert (await caller.post("compose.delete", composeId=deleted.id, deleteVolumes=False)).status == 200
        assert docker_client.volumes.get(f"{deleted.app_name}_data") is not None
    for stack in (kept, deleted):
        mine: dict[str, Any] = {"label": f"com.docker.compose.project={stack.app_name}"}
        assert docker_client.containers.list(all=True, filters=mine) == []
        assert docker_client.networks.list(filters=mine) == []
        assert docker_client.volumes.list(filters=mine) == []

"""Applications, databases, Swarm stacks, and stacks on machines that are not watched."""

from dataclasses import replace
from functools import partial

import docker
import pytest

from core.actions.catalog import Outcome
from core.deployments.platform import ManagedKind, ManagedResource
from core.errors import Refused
from core.monitoring.inventory import Container, ContainerState
from tests.integrations.dokploy.action_fixtures import world
from tests.integrations.dokploy.action_world import ActionWorld
from tests.testbed.registry import Registry
from tests.testbed.world import eventually

__all__ = ["world"]


async def test_an_application_is_deployed_stopped_and_not_rolled_back(world: ActionWorld) -> None:
    app = world.standin.add_application(world.project, "shop", image=world.image, command="sleep 600")
    await _manage(world, app.id, app.app_name, "shop", ManagedKind.APPLICATION)
    done = await world.do("application.deploy", name="shop", why="first")
    deploy = await world.deploys.get(done.key)
    assert deploy is not None
    assert (deploy.managed_kind, deploy.managed_id) == (ManagedKind.APPLICATION, app.id)
    assert world.standin.asked("application.deploy")[0].params["title"] == deploy.title
    with pytest.raises(Refused, match="rollbacks are not set up for it"):
        await world.preview("application.rollback", name="shop")
    with pytest.raises(Refused, match="is an application, not a compose"):
        await world.do("compose.deploy", stack="shop")


async def test_a_database_is_stopped_and_started_again(world: ActionWorld) -> None:
    base = world.standin.add_database(world.project, "orders", kind="postgres", image=world.image, command="sleep 600")
    await _manage(world, base.id, base.app_name, "orders", ManagedKind.DATABASE, kind="postgres")
    await world.client.transport.order("postgres.deploy", {"postgresId": base.id})
    started = await world.do("database.start", name="orders")
    assert started.result.is_ok
    stopped = await world.do("database.stop", name="orders")
    assert stopped.result.message.key == "dokploy.one_stopped"
    again = await world.undo(stopped)
    assert again.result.message.key == "dokploy.one_started"
    reloaded = await world.do("database.reload", name="orders")
    assert reloaded.result.is_ok
    assert world.posts("postgres.rebuild") == 0


async def _manage(
    world: ActionWorld, managed_id: str, app_name: str, name: str, kind_of: ManagedKind, *, kind: str = ""
) -> None:
    one = ManagedResource(id=managed_id, kind=kind_of, name=name, app_name=app_name, type=kind)
    world.inventory = replace(world.inventory, managed=(*world.inventory.managed, one))


async def test_an_application_goes_back_to_the_image_before(
    world: ActionWorld, registry: Registry, docker_client: docker.DockerClient
) -> None:
    image = registry.push(docker_client, world.image, "shop/app", "v1")
    app = world.standin.add_application(
        world.project, "shop", image=image, command="sleep 600", rollbackActive=True, rollbackRegistryId="any"
    )
    await _manage(world, app.id, app.app_name, "shop", ManagedKind.APPLICATION)
    for number in (1, 2):
        await world.client.applications.deploy(app.id)
        await eventually(partial(_has_done, world, app.id, number))
        if number == 1:
            with pytest.raises(Refused, match="only one image"):
                await world.preview("application.rollback", name="shop")
    shown = await world.preview("application.rollback", name="shop")
    assert shown.lines == (f"- {app.app_name}:v2", f"+ {app.app_name}:v1")
    done = await world.do("application.rollback", name="shop")
    assert done.result.data["image"] == f"{app.app_name}:v1"
    undone = await world.undo(done)
    assert undone.result.data["image"] == f"{app.app_name}:v2"


def _has_done(world: ActionWorld, application_id: str, count: int) -> bool:
    rows = world.standin.state.deployments_of("applicationId", application_id)
    return bool(sum(row["status"] == "done" for row in rows) == count)


async def test_a_swarm_stack_is_started_by_a_deploy(world: ActionWorld) -> None:
    granada = await world.compose(compose_type="stack")
    done = await world.do("compose.start", stack="granada")
    assert done.result.message.key == "dokploy.ordered"
    assert (world.posts("compose.start"), world.posts("compose.deploy")) == (0, 1)
    await world.ended(granada, done.key)
    restarted = await world.do("compose.restart_service", stack="granada", service="web")
    assert restarted.result.message.key == "dokploy.service_restarted"
    stopped = await world.do("compose.stop", stack="granada")
    assert stopped.result.is_ok
    with pytest.raises(Refused, match=r"dokploy\.compose\.start"):
        await world.undo(stopped)


async def test_a_swarm_stack_takes_its_limit_under_deploy(world: ActionWorld) -> None:
    granada = await world.compose(compose_type="stack")
    await world.do("compose.set_memory_limit", stack="granada", service="web", limit_mb=64)
    assert "limits:" in granada.row["composeFile"]
    assert "mem_limit" not in granada.row["composeFile"]


async def test_a_stack_on_an_unwatched_host_is_deployed_but_not_watched(world: ActionWorld) -> None:
    server = world.standin.add_server("far")
    world.is_watched = False
    granada = await world.compose(server_id=server["serverId"])
    done = await world.do("compose.deploy", stack="granada")
    deploy = await world.ended(granada, done.key)
    assert (deploy.host, dict(deploy.containers_before)) == (None, {})
    with pytest.raises(Refused, match="is not watched here"):
        await world.preview("compose.update_images", stack="granada")
    restarted = await world.do("compose.restart_service", stack="granada", service="web")
    assert restarted.result.message.key == "dokploy.service_restarted"


async def test_a_project_that_dokploy_does_not_manage_is_left_to_its_owner(world: ActionWorld) -> None:
    plain = Container(
        host="local", id="1" * 64, name="plain-web-1", stack="plain", service="web", project="plain",
        image="nginx", state=ContainerState.RUNNING,
    )  # fmt: skip
    world.inventory = replace(world.inventory, containers=(plain,))
    with pytest.raises(Refused, match="Dokploy does not manage it"):
        await world.do("compose.deploy", stack="plain")


async def test_the_card_of_a_deploy_shows_what_is_new(world: ActionWorld) -> None:
    granada = await world.running()
    done = await world.do("compose.deploy", stack="granada")
    await world.ended(granada, done.key)
    assert not (await world.preview("compose.deploy", stack="granada")).lines
    await world.do("compose.set_memory_limit", stack="granada", service="web", limit_mb=64)
    await world.do("compose.set_environment", stack="granada", key="NEW", value="1")
    shown = await world.preview("compose.redeploy", stack="granada")
    assert any("mem_limit: 64m" in line for line in shown.lines)
    assert "+ NEW" in shown.lines


async def test_a_tag_that_is_written_but_does_not_run_is_deployed(world: ActionWorld) -> None:
    granada = await world.running(file=world.file())
    tag = world.image.rpartition(":")[2]
    done = await world.do("compose.change_image_tag", stack="granada", service="web", tag=tag)
    assert (done.result.outcome, done.result.ends_here) == (Outcome.NO_DATA, True)
    await world.do("compose.set_image_tag", stack="granada", service="web", tag="other")
    done = await world.do("compose.change_image_tag", stack="granada", service="web", tag="other")
    assert done.result.message.key == "dokploy.ordered"
    await eventually(lambda: world.standin.deployments(granada)[0]["status"] == "error")

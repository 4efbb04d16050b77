"""Deploys are written down before they are sent, sent once, and can be taken back."""

import asyncio

import pytest

from core.deployments.deploys import DeployKind, DeployPhase, VersionVerdict
from core.errors import ActionFailed, Refused, SystemUnavailable, UnknownTarget
from integrations.dokploy.client.dokploy_errors import AnswerLost
from tests.integrations.dokploy.action_fixtures import world
from tests.integrations.dokploy.action_world import ActionWorld
from tests.testbed.world import eventually

__all__ = ["world"]


async def test_a_deploy_keeps_its_version_and_a_record(world: ActionWorld) -> None:
    granada = await world.compose(env="DB_PASSWORD=correct-horse-battery")
    done = await world.do("compose.deploy", stack="granada", why="new menu")

    deploy = await world.deploys.get(done.key)
    assert deploy is not None
    assert (deploy.what, deploy.phase, deploy.managed_id) == (DeployKind.DEPLOY, DeployPhase.WAITING, granada.id)
    assert (deploy.requested_by, deploy.requested_name, deploy.known_ids) == ("tg:1", "Ada", ())
    assert deploy.title.startswith("Ada: new menu · ig-")
    sent = world.standin.asked("compose.deploy")
    assert [one.params["title"] for one in sent] == [deploy.title]
    version = await world.versions.get(deploy.version_id or 0)
    assert version is not None
    assert (version.by, version.deploy_key, version.verdict) == ("tg:1", done.key, VersionVerdict.UNKNOWN)
    assert version.env_keys == ("DB_PASSWORD",)
    assert version.images == {"web": world.image}
    content = await world.versions.content(version.id)
    assert content is not None
    assert content.env == "DB_PASSWORD=correct-horse-battery"

    after = await world.ended(granada, done.key)
    assert after.phase is DeployPhase.GOOD
    assert [row["title"] for row in world.standin.deployments(granada)] == [deploy.title]


async def test_the_record_is_written_before_the_order_is_sent(world: ActionWorld) -> None:
    await world.compose()
    world.standin.lose_answer("compose.deploy")
    with pytest.raises(AnswerLost):
        await world.do("compose.deploy", stack="granada")
    (deploy,) = await world.deploys.unfinished()
    assert (deploy.key, deploy.phase) == ("call-1", DeployPhase.WAITING)
    assert world.posts("compose.deploy") == 1


async def test_an_order_that_never_arrived_is_closed(world: ActionWorld) -> None:
    granada = await world.compose()
    key = world.standin.add_key(role="member", rate_limit=None)
    stranger = world.catalog_with(world.client_of(key))
    action = stranger.get("dokploy.compose.deploy")
    with world.calling(), pytest.raises(Refused, match="give its role the right"):
        await action.run(action.parse({"stack": "granada"}))
    assert not await world.deploys.unfinished()
    assert not world.standin.deployments(granada)


async def test_a_deploy_fails_if_dokploy_does_not_respond_before_it_is_sent(world: ActionWorld) -> None:
    await world.compose()
    world.standin.go_down()
    with world.calling(), pytest.raises(ActionFailed, match="nothing was deployed"):
        action = world.action("compose.deploy")
        await action.run(action.parse({"stack": "granada"}))
    assert not await world.deploys.unfinished()


async def test_two_simultaneous_deploys_become_one(world: ActionWorld) -> None:
    granada = await world.compose()
    world.standin.hold_running()
    first = await world.do("compose.deploy", stack="granada", why="first")
    with pytest.raises(Refused, match="Ada: first"):
        await world.do("compose.deploy", stack="granada", why="second")
    world.standin.release_running()
    await world.ended(granada, first.key)
    assert world.posts("compose.deploy") == 1


async def test_a_deploy_is_refused_while_an_answer_of_ours_is_lost(world: ActionWorld) -> None:
    await world.compose()
    world.standin.drop("compose.deploy")
    with pytest.raises(SystemUnavailable):
        await world.do("compose.deploy", stack="granada", why="first")
    with pytest.raises(Refused, match="under way already"):
        await world.do("compose.redeploy", stack="granada")
    assert world.posts("compose.redeploy") == 0


async def test_the_version_found_running_is_saved_as_good(world: ActionWorld) -> None:
    granada = await world.running()
    done = await world.do("compose.redeploy", stack="granada")
    deploy = await world.deploys.get(done.key)
    assert deploy is not None
    found = await world.versions.get(deploy.version_before or 0)
    assert found is not None
    assert (found.by, found.verdict) == ("found", VersionVerdict.GOOD)
    assert set(found.image_ids) == {"web"}
    assert set(deploy.containers_before.values()) == {0}
    await world.ended(granada, done.key)


async def test_a_file_edited_in_dokploy_since_is_not_called_good(world: ActionWorld) -> None:
    granada = await world.running()
    await world.client.composes.update(granada.id, compose_file=world.file(more="    mem_limit: 64m\n"))
    await world.look()
    done = await world.do("compose.redeploy", stack="granada")
    deploy = await world.deploys.get(done.key)
    assert deploy is not None
    assert deploy.version_before is None
    await world.ended(granada, done.key)


async def test_a_bad_deploy_is_undone_by_the_version_before(world: ActionWorld) -> None:
    granada = await world.running()
    good = world.file()
    await world.do("compose.set_image_tag", stack="granada", service="web", tag="no-such-tag")
    bad = await world.do("compose.deploy", stack="granada")
    await world.ended(granada, bad.key, verdict=VersionVerdict.BAD)
    assert world.standin.deployments(granada)[0]["status"] == "error"

    back = await world.undo(bad)
    deploy = await world.deploys.get(back.key)
    assert deploy is not None
    assert deploy.what is DeployKind.ROLLBACK
    assert granada.row["composeFile"] == good
    await world.ended(granada, back.key)
    assert world.standin.deployments(granada)[0]["status"] == "done"


async def test_without_a_good_version_there_is_nothing_to_go_back_to(world: ActionWorld) -> None:
    granada = await world.compose(file=world.file(image="no-such-image:1"))
    bad = await world.do("compose.deploy", stack="granada")
    await world.ended(granada, bad.key, verdict=VersionVerdict.BAD)
    with pytest.raises(Refused, match="nothing to go back to"):
        await world.undo(bad)


async def test_an_unknown_name_and_an_unmanaged_project_get_different_errors(world: ActionWorld) -> None:
    await world.compose()
    with pytest.raises(UnknownTarget, match="did you mean 'granada'"):
        await world.do("compose.deploy", stack="granda")


async def test_a_deploy_outside_of_a_call_is_refused(world: ActionWorld) -> None:
    await world.compose()
    action = world.action("compose.deploy")
    with pytest.raises(Refused, match="through the gateway"):
        await action.run(action.parse({"stack": "granada"}))
    assert world.posts("compose.deploy") == 0


async def test_the_preview_names_what_will_fail(world: ActionWorld) -> None:
    granada = await world.compose(file=world.file(more='    environment: {A: "${NOT_SET}"}\n'))
    world.standin.add_domain(granada, "granada.example.com", service_name="gone")
    shown = await world.preview("compose.deploy", stack="granada")
    keys = {one.key: one.values for one in shown.warnings}
    assert keys["dokploy.warn.unset"] == {"names": "NOT_SET"}
    assert keys["dokploy.warn.lost_domain"] == {"domain": "granada.example.com"}
    await world.client.composes.save_environment(granada.id, "NOT_SET=1")
    assert (await world.preview("compose.deploy", stack="granada")).basis != shown.basis


async def test_broken_yaml_is_refused_with_its_line(world: ActionWorld) -> None:
    await world.compose(file="services:\n  web:\n    image: [unclosed\n")
    with pytest.raises(Refused, match="line"):
        await world.preview("compose.deploy", stack="granada")


async def test_a_waiting_deploy_is_taken_out_of_the_queue(world: ActionWorld) -> None:
    granada = await world.compose()
    world.standin.hold_queue()
    await world.do("compose.deploy", stack="granada", why="too early")
    done = await world.do("compose.cancel_waiting", stack="granada")
    dropped = done.result.data["dropped"]
    assert isinstance(dropped, list)
    assert [str(title).startswith("Ada: too early") for title in dropped] == [True]
    world.standin.release_queue()
    assert not await world.client.deployments.queue()
    assert not world.standin.deployments(granada)
    again = await world.do("compose.cancel_waiting", stack="granada")
    assert again.result.message.key == "dokploy.nothing_waits"


async def test_the_waiting_deploys_of_others_are_left_alone(world: ActionWorld) -> None:
    granada = await world.compose()
    world.standin.hold_queue()
    await asyncio.gather(*(world.client.composes.deploy(granada.id, title=f"by hand {n}") for n in range(2)))
    with pytest.raises(Refused, match="by hand 0"):
        await world.do("compose.cancel_waiting", stack="granada")
    assert len(await world.client.deployments.queue()) == 2


async def test_a_long_reason_with_a_secret_fits_the_title_without_it(world: ActionWorld) -> None:
    await world.compose()
    why = "password=correct-horse-battery\nand " + "very " * 40
    await world.do("compose.deploy", stack="granada", why=why)
    (sent,) = world.standin.asked("compose.deploy")
    assert len(sent.params["title"]) <= 80
    assert "\n" not in sent.params["title"] + sent.params["description"]
    assert "correct-horse" not in str(sent.params)
    assert "· ig-" in sent.params["title"]


async def test_a_job_that_has_ended_but_not_left_the_queue_is_waited_for(world: ActionWorld) -> None:
    granada = await world.compose()
    world.standin.hold_running()
    await world.client.composes.deploy(granada.id)
    (row,) = await eventually(lambda: list(world.standin.state.deployments.values()))
    row["status"] = "done"  # as in the moment before its job ends
    world.standin.forget_requests()
    shown = asyncio.create_task(world.preview("compose.deploy", stack="granada"))
    await eventually(lambda: len(world.standin.asked("deployment.queueList")) >= 2)
    world.standin.release_running()
    assert (await shown).basis


async def test_a_job_that_does_not_leave_the_queue_refuses(world: ActionWorld) -> None:
    granada = await world.compose()
    world.standin.hold_running()
    await world.client.composes.deploy(granada.id, title="by hand")
    (row,) = await eventually(lambda: list(world.standin.state.deployments.values()))
    row["status"] = "done"
    with pytest.raises(Refused, match="by hand"):
        await world.preview("compose.deploy", stack="granada")
    world.standin.release_running()

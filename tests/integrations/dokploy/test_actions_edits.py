"""Edits of a stack's file and environment: shown, proved by Dokploy, written, taken back. Nothing is deployed."""

from datetime import UTC, datetime

import pytest

from core.actions.catalog import Outcome
from core.deployments.deploys import VersionVerdict
from core.errors import ActionFailed, Refused
from integrations.compose_file.file_errors import ComposeFileError
from integrations.dokploy.client.dokploy_errors import RightMissing
from tests.integrations.dokploy.action_fixtures import world
from tests.integrations.dokploy.action_world import ActionWorld

__all__ = ["world"]
SECRET = "correct-horse-battery"


async def test_a_memory_limit_is_previewed_set_and_undone(world: ActionWorld) -> None:
    before = world.file(more="    mem_limit: 64m  # enough?\n")
    granada = await world.compose(file=before)
    shown = await world.preview("compose.set_memory_limit", stack="granada", service="web", factor=2)
    assert [line for line in shown.lines if line[:1] in "+-"] == [
        "- mem_limit: 64m  # enough?",
        "+ mem_limit: 128m  # enough?",
    ]
    done = await world.do("compose.set_memory_limit", stack="granada", service="web", factor=2)
    assert done.result.is_ok
    assert (done.result.data["old_limit_mb"], done.result.data["new_limit_mb"]) == (64, 128)
    assert granada.row["composeFile"] == before.replace("64m", "128m")
    assert not world.standin.deployments(granada)
    after = await world.preview("compose.set_memory_limit", stack="granada", service="web", factor=2)
    assert after.basis != shown.basis

    back = await world.undo(done)
    assert back.result.message.key == "dokploy.edit_back"
    assert granada.row["composeFile"] == before
    again = await world.undo(done)
    assert again.result.message.key == "dokploy.edit_back_already"


async def test_an_edit_is_not_undone_over_a_later_change(world: ActionWorld) -> None:
    granada = await world.compose()
    done = await world.do("compose.set_memory_limit", stack="granada", service="web", limit_mb=64)
    later = granada.row["composeFile"] + "# by hand\n"
    await world.client.composes.update(granada.id, compose_file=later)
    with pytest.raises(Refused, match="changed since"):
        await world.undo(done)
    assert granada.row["composeFile"] == later


async def test_undoing_the_deploy_also_undoes_the_edit(world: ActionWorld) -> None:
    granada = await world.running()
    edit = await world.do("compose.set_image_tag", stack="granada", service="web", tag="no-such-tag")
    deploy = await world.do("compose.redeploy", stack="granada")
    await world.ended(granada, deploy.key, verdict=VersionVerdict.BAD)
    undone = await world.undo(deploy)
    await world.ended(granada, undone.key)
    assert (await world.undo(edit)).result.message.key == "dokploy.edit_back_already"


async def test_the_running_version_is_saved_before_an_edit(world: ActionWorld) -> None:
    granada = await world.running()
    await world.do("compose.set_memory_limit", stack="granada", service="web", limit_mb=64)
    (kept,) = await world.versions.of(granada.id)
    content = await world.versions.content(kept.id)
    assert kept.verdict is VersionVerdict.GOOD
    assert content is not None
    assert content.compose_file == world.file()


async def test_setting_the_same_limit_changes_nothing(world: ActionWorld) -> None:
    await world.compose(file=world.file(more="    mem_limit: 64m\n"))
    done = await world.do("compose.set_memory_limit", stack="granada", service="web", limit_mb=64)
    assert done.result.outcome is Outcome.NO_DATA
    assert world.posts("compose.update") == 0


async def test_more_memory_than_the_host_has_is_refused(world: ActionWorld) -> None:
    granada = await world.running()
    with pytest.raises(Refused, match="8192 MB in all"):
        await world.preview("compose.set_memory_limit", stack="granada", service="web", limit_mb=9000)
    assert granada.row["composeFile"] == world.file()


async def test_a_limit_set_by_a_variable_names_the_variable(world: ActionWorld) -> None:
    await world.compose(file=world.file(more="    mem_limit: ${WEB_MEMORY:-64m}\n"))
    with pytest.raises(ComposeFileError, match="WEB_MEMORY") as caught:
        await world.preview("compose.set_memory_limit", stack="granada", service="web", factor=2)
    assert caught.value.variable == "WEB_MEMORY"


async def test_an_unknown_service_is_named_with_the_nearest(world: ActionWorld) -> None:
    await world.compose()
    with pytest.raises(ComposeFileError, match="did you mean 'web'"):
        await world.preview("compose.set_cpu_limit", stack="granada", service="wbe", cpus=1)


async def test_a_file_that_dokploy_cannot_deploy_is_put_back(world: ActionWorld) -> None:
    granada = await world.compose()
    world.standin.add_domain(granada, "granada.example.com", service_name="gone")
    with pytest.raises(ActionFailed, match="the old one was put back"):
        await world.do("compose.set_memory_limit", stack="granada", service="web", limit_mb=64)
    assert granada.row["composeFile"] == world.file()


async def test_a_broken_file_is_not_edited(world: ActionWorld) -> None:
    broken = "services:\n  web:\n    image: [unclosed\n"
    granada = await world.compose(file=broken)
    with pytest.raises(ComposeFileError, match="line"):
        await world.do("compose.set_memory_limit", stack="granada", service="web", limit_mb=64)
    assert granada.row["composeFile"] == broken


async def test_a_file_from_git_is_not_edited_here(world: ActionWorld) -> None:
    await world.compose(file="", git_url="https://git.example.com/granada.git")
    with pytest.raises(Refused, match="change it in the repository") as caught:
        await world.preview("compose.set_memory_limit", stack="granada", service="web", limit_mb=64)
    assert "set_environment" in str(caught.value)


async def test_a_key_without_the_permission_is_told_so(world: ActionWorld) -> None:
    granada = await world.compose()
    key = world.standin.add_key(role="member", services=(granada,), rate_limit=None)
    member = world.catalog_with(world.client_of(key))
    action = member.get("dokploy.compose.set_memory_limit")
    with world.calling(), pytest.raises(RightMissing, match="give its role the right"):
        await action.run(action.parse({"stack": "granada", "service": "web", "limit_mb": 64}))
    assert granada.row["composeFile"] == world.file()


async def test_a_lost_answer_to_an_edit_is_looked_up(world: ActionWorld) -> None:
    granada = await world.compose()
    world.standin.lose_answer("compose.update")
    done = await world.do("compose.set_memory_limit", stack="granada", service="web", limit_mb=64)
    assert done.result.is_ok
    assert "64m" in granada.row["composeFile"]
    assert world.posts("compose.update") == 1

    world.standin.drop("compose.update")
    with pytest.raises(ActionFailed, match="did not arrive"):
        await world.do("compose.set_memory_limit", stack="granada", service="web", limit_mb=96)
    assert "64m" in granada.row["composeFile"]


@pytest.mark.parametrize(
    ("name", "params", "written"),
    [
        ("set_memory_limit", {"limit_mb": 96}, "mem_limit: 96m"),
        ("set_cpu_limit", {"cpus": 1.5}, "cpus: 1.5"),
        ("set_image_tag", {"tag": "v2"}, ":v2  # ours"),
        ("set_healthcheck", {"test": "curl -f localhost", "interval_s": 5, "retries": 3}, "retries: 3"),
        ("set_restart_policy", {"policy": "unless-stopped"}, "restart: unless-stopped"),
        ("set_volume", {"source": "data", "target": "/data", "read_only": True}, "- data:/data:ro"),
    ],
)
async def test_each_edit_writes_its_line_and_verifies_it(
    world: ActionWorld, name: str, params: dict[str, object], written: str
) -> None:
    granada = await world.compose()
    given = {"stack": "granada", "service": "web", **params}
    action = world.action(f"compose.{name}")
    assert action.outcome is not None
    assert await action.outcome(action.parse(given), datetime.now(UTC)) is Outcome.FAILED
    shown = await world.preview(f"compose.{name}", **given)
    assert any(written.strip() in line for line in shown.lines)
    done = await world.do(f"compose.{name}", **given)
    assert done.result.is_ok
    assert written in granada.row["composeFile"]
    assert granada.row["composeFile"].startswith("# kept by hand\n")
    assert await action.outcome(action.parse(given), datetime.now(UTC)) is Outcome.OK
    await world.undo(done)
    assert granada.row["composeFile"] == world.file()


async def test_a_value_of_the_environment_is_set_and_never_shown(world: ActionWorld) -> None:
    granada = await world.compose(env="OLD=1\n", file=world.file(more='    environment: {A: "${API_URL}"}\n'))
    given = {"stack": "granada", "key": "API_URL", "value": SECRET}
    shown = await world.preview("compose.set_environment", **given)
    assert (shown.lines, shown.warnings) == (("+ API_URL",), ())
    done = await world.do("compose.set_environment", **given)
    assert granada.row["env"] == f"OLD=1\nAPI_URL={SECRET}\n"
    assert SECRET not in f"{shown} {done.result} {world.action('compose.set_environment').parse(given)}"
    await world.undo(done)
    assert granada.row["env"] == "OLD=1\n"


async def test_a_variable_that_the_file_does_not_use_is_warned_of(world: ActionWorld) -> None:
    await world.compose()
    shown = await world.preview("compose.set_environment", stack="granada", key="UNUSED", value="1")
    assert [one.key for one in shown.warnings] == ["dokploy.warn.unused_variable"]


async def test_the_port_of_a_domain_is_set_and_put_back(world: ActionWorld) -> None:
    granada = await world.compose()
    domain = world.standin.add_domain(granada, "granada.example.com", service_name="web", port=80)
    given = {"stack": "granada", "domain_id": domain["domainId"], "port": 8000}
    assert "+ port: 8000" in (await world.preview("domain.set_port", **given)).lines
    done = await world.do("domain.set_port", **given)
    assert (domain["port"], domain["serviceName"], domain["host"]) == (8000, "web", "granada.example.com")
    await world.undo(done)
    assert domain["port"] == 80


async def test_a_file_too_large_for_dokploy_changes_nothing(world: ActionWorld) -> None:
    granada = await world.compose(env="A=1\n")
    with pytest.raises(ActionFailed, match=r"1 ?MB|1024 kB"):
        await world.do("compose.set_environment", stack="granada", key="BIG", value="x" * 2_000_000)
    with pytest.raises(ActionFailed, match=r"1 ?MB|1024 kB"):
        await world.do("compose.set_healthcheck", stack="granada", service="web", test="x" * 2_000_000)
    assert (granada.row["env"], granada.row["composeFile"]) == ("A=1\n", world.file())

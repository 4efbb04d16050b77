"""Looking, stopping, starting, restarting; what a member's key may not; and no secret anywhere."""

import importlib
import inspect
import pkgutil
from datetime import UTC, datetime
from typing import Any

import pytest

import integrations.dokploy
from core.actions.catalog import Outcome, Risk
from core.errors import GuardianError, NotFound, Refused
from knowledge.config.text_files import load_texts
from tests.integrations.dokploy.action_fixtures import world
from tests.integrations.dokploy.action_world import ActionWorld

__all__ = ["world"]
SECRETS = ("correct-horse-battery", "hunter2-staple", "s3cr3t-in-the-log", "tok_9f8e7d6c5b4a3f2e1d0c")


# -- the catalogue -----------------------------------------------------------------------------------------------------


async def test_every_action_says_what_it_will_do(world: ActionWorld) -> None:
    texts = load_texts()
    for action in world.catalog:
        assert texts.has(f"action.{action.name}"), action.name
        assert action.risk is Risk.READ or texts.has(f"did.{action.name}"), action.name
        assert action.doc, action.name


async def test_every_change_has_a_preview_and_an_undo(world: ActionWorld) -> None:
    changes = [one for one in world.catalog if one.risk is Risk.CHANGE]
    assert len(changes) >= 16
    assert not [one.name for one in changes if one.undo is None or one.snapshot is None]
    not_shown = {one.name for one in changes if one.preview is None}
    assert not_shown == {"dokploy.application.deploy", "dokploy.application.redeploy"}
    assert not [one.name for one in world.catalog if one.risk is Risk.DESTRUCTIVE]


async def test_without_a_client_every_action_is_unavailable(world: ActionWorld) -> None:
    absent = world.catalog_with(None)
    assert {one.name for one in absent} == {one.name for one in world.catalog}
    assert all("setting `dokploy`" in str(one.unavailable()) for one in absent)
    assert all(one.unavailable() is None for one in world.catalog)


async def test_no_action_calls_a_forbidden_procedure() -> None:
    """The actions' own modules call none of it; what the client lacks nobody can reach at all."""
    sources = {
        one.name: inspect.getsource(importlib.import_module(one.name))
        for one in pkgutil.walk_packages(integrations.dokploy.__path__, "integrations.dokploy.")
    }
    assert "integrations.dokploy.actions" in sources
    asked = {name: text.split('"""', 2)[-1] for name, text in sources.items()}
    for procedure in ('"compose.killBuild', '"compose.delete', 'rebuild"', "cleanUnusedVolumes", "cleanAll"):
        assert not [name for name, text in asked.items() if procedure in text], procedure
    actions = [name for name in sources if "DokployToolset" in sources[name]]
    assert len(actions) >= 10
    for name in actions:
        assert not any(
            word in asked[name]
            for word in (".schedules.", ".clean_unused", ".clean_build", ".clean_stopped", ".kill(", ".remove(")
        ), name


# -- reads -------------------------------------------------------------------------------------------------------------


async def test_a_stack_is_shown_with_what_runs(world: ActionWorld) -> None:
    granada = await world.running(env="DB_PASSWORD=x\n", file=world.file(more="    mem_limit: 64m\n"))
    world.standin.add_domain(granada, "granada.example.com", service_name="web")
    shown = (await world.read("compose.show", stack="granada")).data
    assert (shown["containers_running"], shown["environment_keys"]) == (1, ["DB_PASSWORD"])
    (service,) = _rows(shown["services"])
    assert (service["memory_limit_mb"], service["memory_limit_in"]) == (64, "mem_limit")
    (domain,) = _rows(shown["domains"])
    assert (domain["url"], domain["port"]) == ("http://granada.example.com", 8000)
    listed = (await world.read("compose.list")).data
    (row,) = _rows(listed["stacks"])
    assert (row["stack"], row["containers_running"], row["is_troubled"]) == ("granada", 1, False)
    services = (await world.read("compose.services", stack="granada")).data
    assert [one["service"] for one in _rows(services["services"])] == ["web"]
    domains = (await world.read("compose.domains", stack="granada")).data
    assert [one["resolves"] for one in _rows(domains["domains"])] == [False]


async def test_the_deployer_is_shown_for_our_own_deployments(world: ActionWorld) -> None:
    granada = await world.running()
    done = await world.do("compose.deploy", stack="granada", why="new menu")
    await world.ended(granada, done.key)
    shown = (await world.read("compose.deployments", stack="granada")).data
    assert [one["by"] for one in _rows(shown["deployments"])] == ["Ada", None]


async def test_a_failed_deployment_shows_its_error(world: ActionWorld) -> None:
    granada = await world.compose(file=world.file(image="127.0.0.1:9/none:1"))
    await world.deployed_by_hand(granada)
    shown = await world.read("compose.deployment_log", stack="granada")
    assert shown.message.key == "dokploy.log_error"
    assert "127.0.0.1:9" in str(shown.data["error_line"])
    assert shown.data["error"]


async def test_a_stack_never_deployed_is_no_error(world: ActionWorld) -> None:
    await world.compose()
    for name in ("deployments", "deployment_log", "versions", "changes", "domains", "unset_variables"):
        shown = await world.read(f"compose.{name}", stack="granada")
        assert shown.outcome is Outcome.NO_DATA, name
    services = await world.read("compose.services", stack="granada")
    assert [one["service"] for one in _rows(services.data["services"])] == ["web"]
    with pytest.raises(NotFound, match="no deployment 'x'"):
        await world.read("compose.deployment_log", stack="granada", deployment_id="x")


async def test_unset_variables_are_named(world: ActionWorld) -> None:
    await world.compose(env="A=1", file=world.file(more='    environment: {X: "${A} ${B} ${C:-3}"}\n'))
    shown = await world.read("compose.unset_variables", stack="granada")
    assert shown.data["unset_variables"] == ["B"]


async def test_the_queue_names_the_stacks(world: ActionWorld) -> None:
    await world.compose()
    world.standin.hold_queue()
    await world.do("compose.deploy", stack="granada", why="lunch")
    (job,) = _rows((await world.read("compose.queue")).data["jobs"])
    assert (job["stack"], job["is_running"], job["what"]) == ("granada", False, "deploy")


async def test_the_health_of_dokploy_is_shown(world: ActionWorld) -> None:
    good = await world.read("platform.health")
    assert (good.message.key, good.data["version"]) == ("dokploy.health_good", "v0.30.2")


async def test_backups_are_listed_and_run(world: ActionWorld) -> None:
    granada = await world.compose()
    plan = world.standin.add_backup(granada, database="orders")
    listed = await world.read("platform.backups")
    (row,) = _rows(listed.data["backups"])
    assert (row["name"], row["database"], row["last_status"]) == ("granada", "orders", None)
    done = await world.do("platform.run_backup", backup_id=plan["backupId"])
    assert done.result.is_ok
    (row,) = _rows((await world.read("platform.backups")).data["backups"])
    assert row["last_status"] == "done"
    world.standin.make_backups_fail(plan, "no space")
    with pytest.raises(GuardianError):
        await world.do("platform.run_backup", backup_id=plan["backupId"])
    assert _rows((await world.read("platform.backups")).data["backups"])[0]["last_status"] == "error"


# -- stop, start, restart ----------------------------------------------------------------------------------------------


async def test_a_stack_is_stopped_and_started_again(world: ActionWorld) -> None:
    await world.running()
    stopped = await world.do("compose.stop", stack="granada")
    assert stopped.result.message.key == "dokploy.stopped"
    outcome = world.action("compose.stop").outcome
    assert outcome is not None
    given = world.action("compose.stop").parse({"stack": "granada"})
    assert await outcome(given, datetime.now(UTC)) is Outcome.OK
    again = await world.undo(stopped)
    assert again.result.message.values["running"] == 1
    started = await world.do("compose.start", stack="granada")
    assert (started.result.is_ok, started.result.ends_here) == (True, True)
    assert await outcome(given, datetime.now(UTC)) is Outcome.FAILED


async def test_a_lost_answer_to_a_start_is_not_called_good(world: ActionWorld) -> None:
    await world.running()
    await world.do("compose.stop", stack="granada")
    world.standin.lose_answer("compose.start")
    done = await world.do("compose.start", stack="granada")
    assert (done.result.outcome, done.result.ends_here) == (Outcome.UNKNOWN, True)
    action = world.action("compose.start")
    assert action.outcome is not None
    assert await action.outcome(action.parse({"stack": "granada"}), datetime.now(UTC)) is Outcome.OK


async def test_stop_is_refused_while_a_deployment_runs(world: ActionWorld) -> None:
    await world.compose()
    world.standin.hold_running()
    await world.do("compose.deploy", stack="granada")
    with pytest.raises(Refused, match="in Dokploy's queue already"):
        await world.do("compose.stop", stack="granada")
    world.standin.release_running()


async def test_a_stack_never_deployed_cannot_be_started(world: ActionWorld) -> None:
    await world.compose()
    with pytest.raises(GuardianError, match="never deployed"):
        await world.do("compose.start", stack="granada")


async def test_one_service_is_restarted(world: ActionWorld) -> None:
    two = world.file() + world.file().partition("services:\n")[2].replace("web:", "side:", 1)
    await world.running(file=two)
    before = {one.service: one.started_at for one in world.inventory.containers}
    begun = datetime.now(UTC)
    done = await world.do("compose.restart_service", stack="granada", service="side")
    assert done.result.message.key == "dokploy.service_restarted"
    await world.look()
    after = {one.service: one.started_at for one in world.inventory.containers}
    assert (after["web"], after["side"] != before["side"]) == (before["web"], True)
    action = world.action("compose.restart_service")
    assert action.outcome is not None
    given = action.parse({"stack": "granada", "service": "side"})
    assert await action.outcome(given, begun) is Outcome.OK
    with pytest.raises(NotFound, match="it has side, web"):
        await world.do("compose.restart_service", stack="granada", service="none")


async def test_a_restart_without_the_docker_right_names_it(world: ActionWorld) -> None:
    granada = await world.running()
    key = world.standin.add_key(role="member", services=(granada,), rate_limit=None)
    member = world.catalog_with(world.client_of(key)).get("dokploy.compose.restart_service")
    with pytest.raises(Refused, match="docker"):
        await member.run(member.parse({"stack": "granada", "service": "web"}))


# -- secrets -----------------------------------------------------------------------------------------------------------


async def test_no_secret_is_in_any_answer_preview_or_error(world: ActionWorld) -> None:
    file = world.file(
        more=f"    environment:\n      DB_PASSWORD: {SECRETS[1]}\n      URL: postgres://u:{SECRETS[1]}@db/x\n"
        f"    labels:\n      - traefik.http.middlewares.a.basicauth.users=u:{SECRETS[3]}\n"
    ).replace("/srv/web.py", f"/srv/web.py --password={SECRETS[2]}")
    granada = await world.running(file=file, env=f"DB_PASSWORD={SECRETS[0]}\nPLAIN={SECRETS[3]}\n")
    world.redactor.add(SECRETS[3])
    said: list[object] = []
    for action in world.catalog:
        given = _some_params(world, action.name, granada.id)
        if given is None:
            continue
        for look in (action.run if action.risk is Risk.READ else None, action.preview):
            if look is None:
                continue
            try:
                said.append(await look(action.parse(given)))
            except GuardianError as error:
                said.append(f"{action.name}: {error!r} {error}")
    done = await world.do("compose.set_environment", stack="granada", key="DB_PASSWORD", value=SECRETS[0] + "x")
    said += [done.result, (await world.undo(done)).result]
    deploy = await world.do("compose.deploy", stack="granada", why=f"password={SECRETS[2]}")
    said += [deploy.result, await world.ended(granada, deploy.key)]
    said += [one.params for one in world.standin.asked("compose.deploy")]
    said += [await world.deploys.recent(), await world.versions.of(granada.id)]
    assert len(said) > 20
    for secret in SECRETS:
        assert not [one for one in said if secret in repr(one)], secret


def _some_params(world: ActionWorld, name: str, managed_id: str) -> dict[str, object] | None:
    fields = world.catalog.get(name).params.model_fields
    values: dict[str, object] = {
        "stack": "granada",
        "service": "web",
        "tag": "v9",
        "limit_mb": 64,
        "cpus": 1.0,
        "key": "DB_PASSWORD",
        "value": SECRETS[0],
        "test": "true",
        "policy": "always",
        "source": "data",
        "target_path": "/data",
        "domain_id": "none",
        "port": 80,
        "name": "granada",
    }
    if "backup_id" in fields:
        return None
    given = {name: values[name] for name in fields if name in values}
    return {"target" if name == "target_path" else name: value for name, value in given.items()}


def _rows(value: object) -> list[dict[str, Any]]:
    assert isinstance(value, list)
    return value

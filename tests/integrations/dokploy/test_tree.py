"""Dokploy's projects as managed stacks: names, places, and how many requests it takes."""

from __future__ import annotations

import time

import pytest
from aiohttp import web
from pydantic import SecretStr

from core.deployments.platform import ManagedKind, StackName, StackNames, folded
from core.settings import DokploySettings
from integrations.dokploy.client.dokploy_client import Dokploy
from integrations.dokploy.client.dokploy_errors import RightMissing
from integrations.dokploy.polling.project_tree import load_tree
from tests.integrations.dokploy.conftest import KEY
from tests.integrations.dokploy.fleet import Fleet
from tests.integrations.dokploy.replay import ReplayServer, recordings

RECORDINGS = recordings()


def _speaks(server: ReplayServer, *names: str) -> None:
    by_path = {RECORDINGS[name].path: RECORDINGS[name] for name in names}

    async def answer(request: web.Request) -> web.StreamResponse:
        found = by_path[request.path]
        return web.Response(body=found.content, status=found.status, content_type="application/json")

    server.answer = answer


async def test_the_recorded_tree_is_read_whole(server: ReplayServer, dokploy: Dokploy) -> None:
    _speaks(server, "project.all", "environment.byProjectId")
    names = StackNames()
    found = {one.name: one for one in (await load_tree(dokploy)).managed(names)}

    assert {name: str(one.kind) for name, one in found.items()} == {
        "lab-swarm": "compose",
        "lab-iso": "compose",
        "lab-stack": "compose",
        "lab-git": "compose",
        "lab-app": "application",
        "lab-pg": "database",
    }
    stack = found["lab-stack"]
    assert (stack.id, stack.app_name, stack.status) == ("3CwYjB6fsiwNDsecQATT2", "labstack-t1ev9p", "done")
    assert (stack.project, stack.environment, stack.environment_id) == (
        "lab-project",
        "production",
        "KkxNHk09KAujsGKraSd2s",
    )
    assert stack.databases == ("lab-pg",)
    assert found["lab-pg"].type == "postgres"
    assert found["lab-pg"].databases == ()
    assert names.of("labstack-t1ev9p") == "lab-stack"
    assert len(server.asked) == 2


async def test_equal_names_are_told_apart_by_environment_and_project(server: ReplayServer, dokploy: Dokploy) -> None:
    fleet = Fleet()
    fleet.compose("web", "shop")
    fleet.compose("web", "blog")
    staging = fleet.compose("api", "blog", environment="staging")
    fleet.compose("api", "shop")
    fleet.mount(server)
    found = {one.id: one.name for one in (await load_tree(dokploy)).managed(StackNames())}
    assert found == {
        "id-web": "shop-web-production",
        "id-blog-web": "blog-web-production",
        staging.id: "api-staging",
        "id-api": "api",
    }


async def test_a_name_once_given_stays(server: ReplayServer, dokploy: Dokploy) -> None:
    fleet = Fleet()
    fleet.compose("web", "shop")
    fleet.mount(server)
    names = StackNames()
    (await load_tree(dokploy)).managed(names)
    fleet.compose("web", "blog")
    found = {one.id: one.name for one in (await load_tree(dokploy)).managed(names)}
    assert found == {"id-web": "web", "id-blog-web": "web-production"}


async def test_fifty_projects_are_loaded_in_time_and_with_few_requests(server: ReplayServer) -> None:
    fleet = Fleet(delay_s=0.15)
    for number in range(200):
        fleet.compose(f"stack{number}", f"project{number % 50}")
    fleet.mount(server)
    async with Dokploy(DokploySettings(url=server.url, api_key=SecretStr(KEY))) as client:
        began = time.perf_counter()
        tree = await load_tree(client)
        managed = tree.managed(StackNames())
        took_s = time.perf_counter() - began
    assert len(managed) == 200
    assert len(tree.project_ids) == 50
    assert len(server.asked) == 51
    assert server.most_under_way <= 8
    assert took_s <= 2.0


async def test_a_project_that_goes_meanwhile_is_left_out(server: ReplayServer, dokploy: Dokploy) -> None:
    fleet = Fleet()
    fleet.compose("web")
    fleet.projects.append("gone")
    fleet.mount(server)

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.query.get("projectId") == "project-gone":
            missing = RECORDINGS["error-404-unknown-id"]
            return web.Response(body=missing.content, status=404, content_type="application/json")
        return await fleet._answer(request)

    server.answer = answer
    tree = await load_tree(dokploy)
    assert [one.id for one in tree.leaves] == ["id-web"]


async def test_a_missing_right_is_said(server: ReplayServer, dokploy: Dokploy) -> None:
    fleet = Fleet(denied={"environment.byProjectId"})
    fleet.compose("web")
    fleet.mount(server)
    with pytest.raises(RightMissing):
        await load_tree(dokploy)


async def test_a_members_key_sees_its_part(server: ReplayServer, dokploy: Dokploy) -> None:
    _speaks(server, "memberwith-project.all", "environment.byProjectId")
    tree = await load_tree(dokploy)
    assert all(one.kind is not ManagedKind.DATABASE or one.type for one in tree.leaves)


HOSTILE = {
    "*bold* [link](http://evil.example)": "bold-link-http-evil.example",
    "<script>alert(1)</script>": "script-alert-1-script",
    "\u202etxet desrever": "txet desrever",
    "zero\u200bwidth": "zerowidth",
    "two\nlines\rand\ttabs": "two lines and tabs",
    "ctl\x01\x1b[31mred": "ctl-31mred",
    "{stack} {0}": "stack-0",
    "!cancel": "cancel",
    "a/b:c d": "a-b-c d",
    "Peña Grande": "Peña Grande",
    "日本": "日本",
    "x" * 5000: "x" * 60,
    "🚀": "its-own",
    "-": "its-own",
}


def test_what_is_no_letter_of_a_name_is_left_out() -> None:
    assert {given: names_of(given) for given in HOSTILE} == HOSTILE


@pytest.mark.parametrize("pair", [("Granada", "granada"), ("!all", "all"), ("a/b", "a:b"), ("peña", "pena")])
def test_names_that_are_typed_alike_are_told_apart(pair: tuple[str, str]) -> None:
    names = StackNames()
    names.learn(
        StackName(app_name=f"app-{number}", name=name, environment="production") for number, name in enumerate(pair)
    )
    found = names.to_json()
    assert len({folded(one) for one in found.values()}) == 2
    again = StackNames()
    again.learn([StackName(app_name="app-0", name=pair[0])])
    again.learn([StackName(app_name="app-1", name=pair[1], environment="production")])
    assert again.of("app-1") == f"{names_of(pair[1])}-production"


def names_of(name: str) -> str:
    """What it is called where nobody else is."""
    names = StackNames()
    names.learn([StackName(app_name="its-own", name=name)])
    return names.of("its-own")


def test_what_was_renamed_or_deleted_since_the_last_run_loses_its_name() -> None:
    kept = {"a": "granada", "b": "malaga-staging", "c": "gone"}
    found = [StackName(app_name="a", name="sevilla"), StackName(app_name="b", name="malaga", environment="staging")]
    names = StackNames(kept)
    names.learn([])
    assert names.to_json() == kept, "nothing was told: nothing is concluded"
    names.learn([*found, StackName(app_name="d", name="granada")])
    assert names.to_json() == {"a": "sevilla", "b": "malaga-staging", "d": "granada"}
    settled = StackNames(kept)
    settled.settle()
    settled.learn(found)
    assert settled.to_json() == kept, "while it runs no name changes"

"""What `infraguardian check` says of a Dokploy: the key, its rights, what it sees, and the next step."""

from __future__ import annotations

from aiohttp import web
from pydantic import SecretStr

from core.integration import CheckLine
from core.settings import DokploySettings
from integrations.dokploy.access_check import NEEDED_RIGHTS
from integrations.dokploy.health import check
from knowledge.config.text_files import load_texts
from tests.integrations.dokploy.conftest import KEY
from tests.integrations.dokploy.replay import ReplayServer, recordings

RECORDINGS = recordings()
OWNER = ("settings.getDokployVersion", "user.get", "user.getPermissions", "project.all")


def speaks(server: ReplayServer, *names: str) -> None:
    by_path = {RECORDINGS[name].path: RECORDINGS[name] for name in names}

    async def answer(request: web.Request) -> web.StreamResponse:
        found = by_path[request.path]
        return web.Response(body=found.content, status=found.status, content_type="application/json")

    server.answer = answer


async def checked(server: ReplayServer, **changes: object) -> dict[str, CheckLine]:
    settings = DokploySettings.model_validate({"url": server.url, "api_key": SecretStr(KEY), "pace_s": 0.0, **changes})
    return {line.name.key: line async for line in check(settings)}


async def test_an_owners_key_is_all_well(server: ReplayServer) -> None:
    speaks(server, *OWNER)
    lines = await checked(server)
    assert all(line.ok for line in lines.values())
    assert lines["dokploy_check.server"].name.values["version"] == "v0.30.2"
    assert int(str(lines["dokploy_check.sees"].name.values["composes"])) > 0
    assert "dokploy_check.no_webhook" in lines


async def test_a_missing_right_says_what_it_costs(server: ReplayServer) -> None:
    speaks(server, *OWNER[:2], "memberwith-user.getPermissions", "project.all")
    line = (await checked(server))["dokploy_check.right"]
    assert not line.ok
    assert line.problem is not None and line.problem.key == "dokploy_check.without.service_create"


async def test_a_wrong_key_ends_the_check_with_the_next_step(server: ReplayServer) -> None:
    server.replay(RECORDINGS["error-401-bad-key"])
    lines = await checked(server)
    assert list(lines) == ["dokploy_check.down"]
    step = lines["dokploy_check.down"].next_step
    assert step is not None and step.key == "dokploy_check.next.key"


async def test_an_unreachable_address_asks_to_fix_the_setting(server: ReplayServer) -> None:
    lines = await checked(server, url="http://127.0.0.1:9", connect_timeout_s=1.0, retries=0)
    step = lines["dokploy_check.down"].next_step
    assert step is not None and step.key == "dokploy_check.next.url"


def test_every_right_that_may_be_missing_has_its_sentence() -> None:
    texts = load_texts()
    assert all(texts.has(f"dokploy_check.without.{what}_{verb}") for what, verb in NEEDED_RIGHTS)

"""Wrong addresses, keys, references and stacks: the exact cause and the next step, in the chat, and nothing breaks."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.e2e.dokploy_world import GOOD, DokployWorld

URL, KEY = "INFRAGUARDIAN_DOKPLOY__URL", "INFRAGUARDIAN_DOKPLOY__API_KEY"
QUICK = {"INFRAGUARDIAN_WATCH__UNREACHABLE_AFTER_S": "1"}
NO_KEY = ("rejects the key", "belongs to no organization", "set it as dokploy.api_key")


@pytest.mark.parametrize("wrong", ["address", "system", "organization"])
async def test_a_wrong_setting_is_said_with_what_to_correct(shop: DokployWorld, wrong: str) -> None:
    await shop.stack("granada", shop.file(api=GOOD))
    settings, words = {
        "address": (
            {URL: "http://127.0.0.1:9"},
            ("nothing is listening at http://127.0.0.1:9", "is dokploy.url right?"),
        ),
        "system": (
            {URL: shop.world.chat_server.base_url.removesuffix("/bot")},
            ("is not dokploy", "set dokploy.url"),
        ),
        "organization": ({KEY: shop.dokploy.add_key(has_organization=False, rate_limit=None)}, NO_KEY),
    }[wrong]
    await shop.start("granada", **settings, **QUICK)
    assert "isn't responding yet" in shop.world.log()
    card = await shop.world.card("someone needs to take over")
    shown = card.text.casefold().replace("`", "")
    assert all(word in shown for word in words), card.text
    answer = await shop.world.ask(shop.world.ada, "/deploy granada", "dokploy isn't responding")
    assert any(word in answer.text.casefold().replace("`", "") for word in words), answer.text


async def test_a_key_with_dokploys_default_limit_is_recognised(shop: DokployWorld) -> None:
    await shop.stack("granada", shop.file(api=GOOD))
    await shop.start("granada", **{KEY: shop.dokploy.add_key()}, **QUICK)
    card = await shop.world.card("over its limit", "someone needs to take over", timeout_s=30)
    assert "rateLimitEnabled: false" in card.text


async def test_a_key_without_a_permission_says_so_at_the_start_and_when_needed(shop: DokployWorld) -> None:
    granada = await shop.stack("granada", shop.file(api=GOOD))
    key = shop.dokploy.add_key(role="member", rights={"docker"}, services=(granada,), rate_limit=None)
    await shop.start("granada", **{KEY: key})
    assert "lacks the permission service:create. Compose files can't be changed" in shop.world.log()
    sent = await shop.order("/deploy granada")
    await shop.private("up and healthy", after=sent)
    sent = await shop.order("/tag granada/api v2")
    refused = await shop.private("the key's user doesn't have permission for that", after=sent)
    assert "Give its role the permission in Dokploy" in refused.text
    assert len(shop.dokploy.deployments(granada)) == 2


async def test_a_stack_that_was_never_deployed(shop: DokployWorld) -> None:
    shop.dokploy.add_compose(shop.project, "granada", compose_file=shop.file(api=GOOD))
    await shop.start("granada")
    ada, ask = shop.world.ada, shop.world.ask
    await ask(ada, "/services granada", "not deployed yet")
    await ask(ada, "/logs granada", "has no containers")
    await ask(ada, "/rollback granada", "no good version of granada")
    sent = await shop.order("/deploy granada")
    await shop.private("is up", "healthy for", after=sent)


async def test_what_dokploy_does_not_manage(shop: DokployWorld) -> None:
    await shop.stack("granada", shop.file(api=GOOD))
    shop.world.stack.service("api")
    plain = shop.world.stack.project
    await shop.start("granada", plain)
    ada, ask = shop.world.ada, shop.world.ask
    for command in ("deploy", "rollback"):
        answer = await ask(ada, f"/{command} {plain}", "dokploy doesn't manage it")
        assert "docker compose pull && docker compose up -d" in answer.text
    await ask(ada, "/deploy sevilla", "sevilla")
    assert shop.dokploy.asked("compose.deploy") == []


async def test_a_commit_where_a_branch_is_needed(shop: DokployWorld, tmp_path: Path) -> None:
    """Dokploy would wipe the code folder over it."""
    commit = _repository(tmp_path / "code", shop.file(api=GOOD))
    granada = await shop.stack("granada", "", git_url=f"file://{tmp_path / 'code'}")
    await shop.start("granada")
    answer = await shop.world.ask(shop.world.ada, f"/rollback granada {commit}", "branch")
    assert "tag" in answer.text
    assert "commit" in answer.text
    assert shop.dokploy.asked("compose.deploy") == []
    assert granada.row["customGitBranch"] == "main"


def _repository(folder: Path, file: str) -> str:
    """A repository with one commit that holds this Compose file; its hash."""
    folder.mkdir()
    (folder / "docker-compose.yml").write_text(file, encoding="utf-8")
    who = ("-c", "user.name=Grace", "-c", "user.email=grace@example.org")
    for arguments in (("init", "-q", "-b", "main"), ("add", "."), (*who, "commit", "-q", "-m", "first")):
        subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, timeout=30)
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, check=True, capture_output=True, timeout=30)
    return done.stdout.decode().strip()

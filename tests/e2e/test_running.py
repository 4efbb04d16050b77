"""The program as a process: what it says of wrong settings, how it checks, starts twice and ends."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from playground import Fault
from tests.e2e.world import World
from tests.standins.ollama import OllamaStandIn

BROKEN_RUNBOOK = """\
name: {en: Mine, es: Mío}
trigger: {event: container_died}
when: [evidence.exit_kode == 3]
cause: mine
diagnosis:
  says: {en: It ended., es: Terminó.}
"""


async def test_a_broken_runbook_is_named_with_file_and_line_and_nothing_starts(world: World) -> None:
    own = world.home / "own"
    own.mkdir()
    (own / "mine.yml").write_text(BROKEN_RUNBOOK)
    for command in ("serve", "check"):
        code, said = await world.run(command, INFRAGUARDIAN_RUNBOOKS_DIR=str(own))
        assert code == 2, said
        assert "mine.yml:3" in said
        assert "exit_code" in said
        assert "Traceback" not in said
    assert not world.chat_server.is_polled


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"INFRAGUARDIAN_WATCH__POLL_S": "soon"}, ["watch.poll_s"]),
        ({"INFRAGUARDIAN_WATSCH__POLL_S": "5"}, ["watsch", "watch"]),
        ({"TELEGRAM_ADMINS": "ada"}, ["admins"]),
        ({"INFRAGUARDIAN_ENGINES__LOCAL__URL": "http:/nowhere"}, ["engines.local.url"]),
        ({"INFRAGUARDIAN_DATA_DIR": "/proc/nobody/may"}, ["data_dir"]),
    ],
    ids=["number", "section", "admins", "engine", "data-dir"],
)
async def test_a_wrong_setting_is_named_and_nothing_starts(
    world: World, settings: dict[str, str], words: list[str]
) -> None:
    code, said = await world.run("serve", **settings)
    assert code == 2, said
    assert all(word in said.casefold() for word in words), said
    assert "Traceback" not in said


async def test_a_broken_settings_file_is_named(world: World) -> None:
    (world.home / "infraguardian.yml").write_text("language: en\nwatch: {poll_s: [1, 2\n")
    code, said = await world.run("serve")
    assert code == 2, said
    assert "infraguardian.yml" in said
    assert "Traceback" not in said


async def test_a_wrong_token_is_said_with_the_next_step(world: World) -> None:
    code, said = await world.run("serve", TELEGRAM_BOT_TOKEN="700000001:not-the-token-at-all-aaaaaaaaaaaaaaa")
    assert code == 2, said
    assert "@BotFather" in said
    assert "not-the-token" not in said
    code, said = await world.run(
        "check", "--quick", TELEGRAM_BOT_TOKEN="700000001:not-the-token-at-all-aaaaaaaaaaaaaaa"
    )
    assert code == 1, said
    assert "@BotFather" in said


async def test_check_shows_the_state_of_every_system_and_the_next_step(world: World) -> None:
    async with OllamaStandIn() as ollama:
        code, said = await world.run("check", INFRAGUARDIAN_OLLAMA__URL=ollama.url)
        assert code == 0, said
        assert "FAIL" not in said
        for words in ("Docker engine local", "API", "@infraguardian_bot", "gpt-oss:20b", "Records", "Disk", "runbooks"):
            assert words in said, said

        del ollama.models["gpt-oss:20b"]
        code, said = await world.run(
            "check", INFRAGUARDIAN_OLLAMA__URL=ollama.url, INFRAGUARDIAN_ENGINES__LOCAL__URL="unix:///nowhere.sock"
        )
    assert code == 1
    assert "ollama pull gpt-oss:20b" in said
    assert "engines.local.url" in said
    assert "Traceback" not in said


async def test_it_stops_at_once_even_during_an_incident(world: World) -> None:
    container = world.stack.service("api")
    await world.start()
    container.kill(signal="SIGKILL")
    await world.card("api", timeout_s=40)
    began = time.monotonic()
    assert await world.stop() == 0
    assert time.monotonic() - began < 10
    assert "Traceback" not in world.log(), world.log()


async def test_a_second_start_on_the_same_records_is_refused(world: World) -> None:
    container = world.stack.service("api")
    await world.start()
    assert world.process is not None
    code, said = await world.run("serve")
    assert code == 2, said
    assert f"process {world.process.pid}" in said
    container.kill(signal="SIGKILL")
    await world.tap("Approve", timeout_s=40)
    await world.card("Resolved", timeout_s=60)
    assert world.events("api", "start") == 2


async def test_another_program_on_the_same_bot_is_said_clearly(world: World, tmp_path: Path) -> None:
    await world.start()
    world.chat_server.faults.add("getUpdates", Fault.conflict(), times=1)
    told = "another program is reading this bot's messages"
    await world.until(lambda: told in world.log(), 20, "the conflict is said")
    await world.ask(world.ada, "/whoami", "admin", timeout_s=40)

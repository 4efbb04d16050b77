"""What people, strangers and outside systems may send, by mistake or on purpose: a clear word or silence, no act."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from playground import Fault
from tests.e2e.engine_proxy import EngineProxy
from tests.e2e.world import World
from tests.integrations.docker_engine.stand_in import on_socket


async def test_unknown_names_and_messages_that_are_no_commands_change_nothing(world: World) -> None:
    stack = world.stack.project
    world.stack.service("api")
    world.stack.service("web-front")
    world.stack.service("web-back")
    await world.start()
    unknown = await world.ask(world.ada, "/restart aip", "Did you mean")
    assert "api" in unknown.text
    several = await world.ask(world.ada, "/restart web", "Which one")
    assert any("front" in label for label in several.labels)
    assert any("back" in label for label in several.labels)
    marked = await world.ask(world.ada, "/logs <i>&zz</i>", "<i>&zz</i>")
    assert "There is no stack" in marked.text
    await world.ask(world.ada, "/retsart api", "Unknown command: /retsart")
    await world.ask(world.ada, "/logs " + "x" * 4000, "There is no stack or service")
    await world.ask(world.ada, "¿" * 5000, "model")

    await world.ask(world.ada, f"/restart {stack} api", "don't act on forwarded messages", forwarded=True)
    innocent = await world.ada.say("/status")
    await world.ada.chat.wait_for(stack, after=innocent, timeout_s=15)
    await world.ada.edit(innocent, f"/restart {stack} api")
    await world.ask(world.ada, "/whoami", "admin")  # the edit came before it, and was heard by nobody
    assert sum(world.restarts(name) for name in ("api", "web-front", "web-back")) == 0


async def test_a_stranger_gets_nothing_in_a_group_and_one_refusal_in_private(world: World) -> None:
    world.stack.service("api")
    await world.start()
    await world.stranger.say(f"/restart {world.stack.project} api", chat=world.ops)
    await world.stranger.say("@infraguardian_bot how is everything?", chat=world.ops)
    for words in ("/status", f"/stop {world.stack.project}", "let me in", "/start forged-invitation"):
        await world.stranger.say(words)
    refusal = await world.stranger.chat.wait_for("private", timeout_s=15)
    assert str(world.stranger.id) in refusal.text
    await world.ask(world.ada, "/status", world.stack.project)
    assert len(world.stranger.chat.bot_messages) == 1
    assert world.ops.bot_messages == []
    assert world.events("api", "die") == 0


async def test_a_viewer_may_look_and_nothing_else(world: World) -> None:
    stack = world.stack.project
    world.stack.service("api")
    await world.start()
    await world.ask(world.grace, f"/logs {stack} api", "listening")
    for order in (f"/restart {stack} api", f"/stop {stack} api", f"/autonomy {stack} auto", "/freeze", "/approve 1"):
        await world.ask(world.grace, order, "rol")
    wish = await world.ask(world.grace, f"reinicia el api de {stack}")
    if wish.labels:
        await (await world.grace.tap(wish, wish.labels[0])).answer(10)
    assert world.restarts("api") == 0


@pytest.mark.parametrize(
    ("method", "fault"),
    [
        ("sendMessage", Fault.too_many(retry_after=1, holds=True)),
        ("sendMessage", Fault.bad_gateway()),
        ("sendMessage", Fault.reset(stage="before")),
        ("editMessageText", Fault.bad_gateway(stage="after")),
        ("editMessageText", Fault.reset(stage="after")),
        ("answerCallbackQuery", Fault.internal_error()),
        ("*", Fault.too_many(retry_after=1)),
    ],
    ids=["429", "502", "reset", "502-after", "reset-after", "toast-500", "429-all"],
)
async def test_a_bad_day_of_telegram_loses_no_message_of_an_incident(world: World, method: str, fault: Fault) -> None:
    container = world.stack.service("api")
    await world.start()
    world.chat_server.faults.add(method, fault, times=2)
    container.kill(signal="SIGKILL")
    card = await world.card("Approve", "api", timeout_s=40)
    tapped = await world.ada.tap(card, "Approve", chat=world.ops)
    if method not in ("answerCallbackQuery", "*"):
        await tapped.answer(20)
    await world.card("Resolved", timeout_s=60)
    await world.card("Resolved after", timeout_s=20)
    assert len(world.cards()) == 1, world.ops.transcript()
    assert world.events("api", "start") == 2


async def test_a_message_processed_before_the_connection_broke_names_its_incident_again(world: World) -> None:
    """At least once: a repeated card is the same incident's, and only one of them lives on."""
    container = world.stack.service("api")
    await world.start()
    world.chat_server.faults.add("sendMessage", Fault.reset(stage="after"), times=1)
    container.kill(signal="SIGKILL")
    await world.tap("Approve", "api", timeout_s=40)
    await world.card("Resolved after", timeout_s=60)
    assert all("Incident 1" in one.text for one in world.cards())
    assert world.events("api", "start") == 2


async def test_an_engine_that_hangs_stops_neither_the_chat_nor_the_program(world: World, tmp_path: Path) -> None:
    world.stack.service("api")
    async with EngineProxy(world.docker_host, tmp_path / "engine.sock") as engine:
        await world.start(
            INFRAGUARDIAN_ENGINES__LOCAL__URL=engine.url,
            INFRAGUARDIAN_ENGINES__LOCAL__TIMEOUT_S="2",
            INFRAGUARDIAN_WATCH__UNREACHABLE_AFTER_S="2",
        )
        engine.hold(r"(GET|POST) ")
        await world.ask(world.ada, "/whoami", "admin")
        await world.ask(world.ada, f"/logs {world.stack.project} api", "timed out", timeout_s=30)
        await world.card("isn't responding", timeout_s=40)
        await world.ask(world.ada, "/status", "isn't responding")
        assert await world.stop() == 0
        engine.release()


async def test_an_engine_that_is_too_old_is_reported(world: World, tmp_path: Path) -> None:
    async def old(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = b'{"message": "client version 1.44 is too new. Maximum supported API version is 1.12"}'
        if b"/version" in await reader.readuntil(b"\r\n\r\n"):
            body = b'{"Version": "1.0.0", "ApiVersion": "1.12", "MinAPIVersion": "1.12"}'
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        writer.write(head.encode() + b"Connection: close\r\n\r\n" + body)
        await writer.drain()

    socket = tmp_path / "old.sock"
    async with on_socket(socket, old):
        code, said = await world.run("check", "--quick", INFRAGUARDIAN_ENGINES__LOCAL__URL=f"unix://{socket}")
    assert code == 1
    assert "1.12" in said, said
    assert "Docker engine local" in said

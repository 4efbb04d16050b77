"""Updates by webhook: only with the secret, only after they are committed, each handled once."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from pydantic import SecretStr

from bot.incoming.telegram_webhook import TELEGRAM_SECRET_HEADER
from core.errors import SettingsError
from tests.bot.world import ADA, FaceWorld
from tests.testbed.world import eventually

SECRET = "a-random-word-of-letters-and-digits"


@pytest.fixture
async def hooked(idle: FaceWorld) -> AsyncIterator[tuple[FaceWorld, str]]:
    """Give a world that is posted to, and the address."""
    listening = socket.create_server(("127.0.0.1", 0))
    address = f"http://127.0.0.1:{listening.getsockname()[1]}"
    runner = web.AppRunner(idle.application)
    idle.telegram |= {"webhook_url": address, "webhook_secret": SecretStr(SECRET)}
    try:
        async with idle.running() as world:
            await runner.setup()
            await web.SockSite(runner, listening).start()
            await eventually(lambda: world.server.webhook_url, what="the webhook")
            yield world, world.server.webhook_url
    finally:
        await runner.cleanup()
        listening.close()


def _update(world: FaceWorld, number: int, text: str) -> dict[str, object]:
    person = {"id": ADA, "is_bot": False, "first_name": "Ada"}
    chat = {"id": ADA, "type": "private", "first_name": "Ada"}
    date = int(world.clock.now().timestamp())
    return {
        "update_id": number,
        "message": {"message_id": number, "date": date, "chat": chat, "from": person, "text": text},
    }


async def test_an_update_is_taken_once_and_only_with_the_secret(hooked: tuple[FaceWorld, str]) -> None:
    world, url = hooked
    assert len(url.rsplit("/", 1)[1]) == 32
    update = _update(world, 9, "/whoami")
    async with aiohttp.ClientSession() as client:
        for headers in ({}, {TELEGRAM_SECRET_HEADER: "wrong"}):
            async with client.post(url, json=update, headers=headers) as answer:
                assert answer.status == 404
        right = {TELEGRAM_SECRET_HEADER: SECRET}
        async with client.post(url, data=b"not json", headers=right) as answer:
            assert answer.status == 400
        async with client.post(url, data=b"x" * 700_000, headers=right) as answer:
            assert answer.status == 413
        for _ in range(2):
            async with client.post(url, json=update, headers=right) as answer:
                assert answer.status == 200
    await world.says(world.ada.chat, "Role: admin")
    await world.quiet()
    assert len(world.ada.chat.bot_messages) == 1


async def test_telegram_posts_and_people_are_answered(hooked: tuple[FaceWorld, str]) -> None:
    world, _ = hooked
    await world.ada.say("/status")
    answer = await world.says(world.ada.chat, "All good")
    await (await world.ada.replay(answer, "wy:77")).answer()
    assert not world.server.calls_of("getUpdates")


async def test_a_webhook_without_a_secret_is_refused(idle: FaceWorld, tmp_path: Path) -> None:
    idle.telegram |= {"webhook_url": "https://example.org"}
    with pytest.raises(SettingsError, match="webhook_secret"):
        async with idle.running():
            pass

"""A running chat face."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from playground.server import BotApiServer
from tests.bot.world import TOKEN, FaceWorld


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[BotApiServer]:
    """Give a Bot API server."""
    async with BotApiServer(token=TOKEN, state_path=tmp_path / "chat.db") as server:
        yield server


@pytest.fixture
def idle(server: BotApiServer, tmp_path: Path) -> FaceWorld:
    """Give a world whose face is not started yet."""
    return FaceWorld(server=server, home=tmp_path / "data")


@pytest.fixture
async def world(idle: FaceWorld) -> AsyncIterator[FaceWorld]:
    """Give a world whose cards go to Ada's private chat."""
    async with idle.running() as running:
        yield running

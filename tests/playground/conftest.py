"""A playground server, its people, and python-telegram-bot as its client."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from telegram import Bot
from telegram.request import HTTPXRequest

from playground import BotApiServer, Group, PlaygroundPerson

TOKEN = "123456789:playground-test"


@asynccontextmanager
async def running_bot(server: BotApiServer, token: str = TOKEN, read_timeout_s: float = 5) -> AsyncIterator[Bot]:
    """Give the real client, connected to the server."""
    bot = Bot(
        token,
        base_url=server.base_url,
        base_file_url=server.base_file_url,
        request=HTTPXRequest(read_timeout=read_timeout_s),
        get_updates_request=HTTPXRequest(read_timeout=read_timeout_s),
    )
    async with bot:
        yield bot


@pytest.fixture(autouse=True)
def retry_after_is_a_timedelta(monkeypatch: pytest.MonkeyPatch) -> None:
    """Choose the newer of the client's two types; the older one warns."""
    monkeypatch.setenv("PTB_TIMEDELTA", "true")


@pytest.fixture
async def server() -> AsyncIterator[BotApiServer]:
    async with BotApiServer(token=TOKEN) as server:
        yield server


@pytest.fixture
async def bot(server: BotApiServer) -> AsyncIterator[Bot]:
    async with running_bot(server) as bot:
        yield bot


@pytest.fixture
def ada(server: BotApiServer) -> PlaygroundPerson:
    return server.person(1001, "Ada", username="ada")


@pytest.fixture
def grace(server: BotApiServer) -> PlaygroundPerson:
    return server.person(1002, "Grace", language_code="es")


@pytest.fixture
def forum(server: BotApiServer, ada: PlaygroundPerson, grace: PlaygroundPerson) -> Group:
    return server.group(-1001234, "Ops", members=[ada, grace], administrators=[ada], is_forum=True)


@pytest.fixture
def state_path(tmp_path: Path) -> Path:
    return tmp_path / "playground.sqlite"

"""A stand-in server and a model that talks to it, with waits short enough for tests."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from core.settings import OllamaSettings
from integrations.ollama.client import OllamaModel
from tests.standins.ollama import OllamaStandIn


class WallClock:
    """The real time."""

    def now(self) -> datetime:
        """The moment."""
        return datetime.now(UTC)


async def until(condition: Callable[[], bool], *, within_s: float = 5.0) -> None:
    """Wait for a condition; fails when it does not come true in time."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - the condition lies in another program's state
            await asyncio.sleep(0.005)


@pytest.fixture
async def ollama() -> AsyncIterator[OllamaStandIn]:
    """A running stand-in."""
    async with OllamaStandIn() as server:
        yield server


MakeModel = Callable[..., OllamaModel]


@pytest.fixture
async def make_model(ollama: OllamaStandIn) -> AsyncIterator[MakeModel]:
    """A factory of models that talk to the stand-in: `make_model(queue=1)` changes settings."""
    made: list[OllamaModel] = []

    def make(**changes: Any) -> OllamaModel:
        settings = OllamaSettings(**{"url": ollama.url, "timeout_s": 10.0, **changes})
        made.append(OllamaModel(settings, clock=WallClock(), back_off_s=(0.01, 0.01)))
        return made[-1]

    yield make
    for model in made:
        await model.aclose()


@pytest.fixture
def model(make_model: MakeModel) -> OllamaModel:
    """A model with the default settings."""
    return make_model()

"""A world on SQLite for the tests of the dialogue."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.settings import Settings
from knowledge.stores import Knowledge
from tests.agent.dialogue.world import World, inventory
from tests.knowledge.tools import SetClock


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    clock = SetClock()
    settings = Settings(data_dir=tmp_path, timezone="Europe/Madrid")
    async with Knowledge(settings, clock) as knowledge:
        yield World(clock=clock, settings=settings, knowledge=knowledge, inventory=inventory(clock))

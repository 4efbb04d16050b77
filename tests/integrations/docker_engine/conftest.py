"""A real engine under test, and its stage."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from core.settings import EngineSettings
from integrations.docker_engine.client.real_engine import RealEngine
from tests.integrations.docker_engine.real_stage import RealStage
from tests.testbed.stack import Stack


@pytest.fixture
async def engine(docker_host: str) -> AsyncIterator[RealEngine]:
    """Give the engine of the test-bed, named local."""
    real = RealEngine("local", EngineSettings(url=docker_host))
    yield real
    await real.close()


@pytest.fixture
def real_stage(engine: RealEngine, stack: Stack) -> RealStage:
    """Give a stage on it."""
    return RealStage(engine, stack)

"""The real engine keeps the contract."""

from __future__ import annotations

import pytest

from tests.integrations.docker_engine.contract import EngineContract
from tests.integrations.docker_engine.real_stage import RealStage


class TestRealEngine(EngineContract):
    @pytest.fixture
    def stage(self, real_stage: RealStage) -> RealStage:
        return real_stage

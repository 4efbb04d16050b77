"""A watched engine, the simulated or the real one, with a sink that listens."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest

from core.incidents.alerts import Alert
from core.monitoring.snapshot import OwnAct
from core.monitoring.watcher import Watcher
from core.settings import EngineSettings, WatchSettings
from integrations.docker_engine.client.real_engine import RealEngine
from integrations.docker_engine.detectors import DETECTORS
from integrations.docker_engine.host_source import EngineSnapshotSource
from integrations.docker_engine.simulated.simulated_engine import SimulatedEngine
from tests.core.scripted_watcher import Heard, WallClock
from tests.integrations.docker_engine.real_stage import RealStage
from tests.integrations.docker_engine.simulated_stage import SimulatedStage
from tests.integrations.docker_engine.stage import Stage
from tests.testbed.stack import Stack
from tests.testbed.world import eventually

SETTLE_S = 1.0


@dataclass(kw_only=True)
class Watched:
    """One engine with its stage, watcher and sink."""

    stage: Stage
    watcher: Watcher
    heard: Heard
    own_acts: list[OwnAct] = field(default_factory=list)

    async def alarm(self, name: str, kind: str) -> Alert:
        """The first alert of that kind about a container."""
        found = await eventually(
            lambda: [one for one in self.heard.of(name) if one.kind == kind], 30, what=f"{kind} of {name}"
        )
        return found[0]

    async def clears(self, fingerprint: str) -> None:
        """Wait until that alert is cleared."""
        await eventually(lambda: fingerprint in self.heard.cleared, 30, what=f"{fingerprint} clears")

    async def settles(self) -> None:
        """Two whole looks later: what was to be said has been said."""
        for _ in range(2):
            await self.watcher.look()


def watcher(stage: Stage, heard: Heard, own_acts: list[OwnAct], **settings: float) -> Watcher:
    async def acts(since: object) -> list[OwnAct]:
        return own_acts

    return Watcher(
        EngineSnapshotSource(stage.engine),
        DETECTORS,
        sink=heard,
        clock=WallClock(),
        settings=WatchSettings(**{"poll_s": 2.0, **settings}),
        own_acts=acts,
        settle_s=SETTLE_S,
    )


@pytest.fixture(params=["simulated", "real"])
async def stage(request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    """Give an empty stage on each engine."""
    if request.param == "simulated":
        simulated = SimulatedEngine("local")
        yield SimulatedStage(simulated)
        await simulated.close()
        return
    make_stack: Callable[..., Stack] = request.getfixturevalue("make_stack")
    docker_host: str = request.getfixturevalue("docker_host")
    real = RealEngine("local", EngineSettings(url=docker_host))
    yield RealStage(real, make_stack())
    await real.close()


@pytest.fixture
async def watched(stage: Stage) -> AsyncIterator[Watched]:
    """Give the stage, watched."""
    heard, own_acts = Heard(), list[OwnAct]()
    async with watcher(stage, heard, own_acts) as eyes:
        await eventually(eyes.has_looked.is_set, 20, what="the first look")
        yield Watched(stage=stage, watcher=eyes, heard=heard, own_acts=own_acts)

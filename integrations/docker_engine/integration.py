"""Docker engines as an integration: their actions, a watcher per host, images for deployments."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial

from core.actions.catalog import Toolset
from core.integration import CheckLine, Integration, IntegrationDeps
from core.monitoring.watcher import AlertSink, Watcher
from core.tasks import Tasks
from core.text import Text
from integrations.docker_engine.actions.toolsets import docker_toolsets
from integrations.docker_engine.client.real_engine import RealEngine
from integrations.docker_engine.deploy_images import DeployImageStore
from integrations.docker_engine.detectors import DETECTORS
from integrations.docker_engine.engine import Engine
from integrations.docker_engine.engine_survey import survey_engines
from integrations.docker_engine.health import check_engines
from integrations.docker_engine.host_source import EngineSnapshotSource
from integrations.docker_engine.simulated.simulated_engine import SimulatedEngine


class DockerIntegration(Integration):
    """The engines named in the settings, or the simulated host when none of them answers."""

    def __init__(self, deps: IntegrationDeps) -> None:
        super().__init__(deps)
        named = deps.settings.engines.items()
        self._engines: Mapping[str, Engine] = {
            name: RealEngine(name, one, names=deps.shared.names) for name, one in named
        }
        deps.shared.images = DeployImageStore(self._engines)
        self._simulated: tuple[str, ...] = ()
        self._notices: tuple[Text, ...] = ()

    async def open(self, stack: AsyncExitStack) -> None:
        """Check which engines answer."""
        found = await survey_engines(self._engines, simulated=self.deps.settings.simulated)
        for engine in found.engines.values():
            stack.push_async_callback(engine.close)
        self._engines, self._notices = found.engines, found.notices
        self._simulated = tuple(found.engines) if found.is_simulated else ()
        self.deps.shared.images = DeployImageStore(found.engines)

    def toolsets(self) -> Sequence[Toolset]:
        """The actions `docker.…`"""
        return docker_toolsets(self._engines, self.deps.redact, keep=self.deps.images_in_use)

    def watchers(self, sink: AlertSink) -> Sequence[Watcher]:
        """Return one watcher per host."""
        return [self._watcher(engine, sink) for engine in self._engines.values()]

    def _watcher(self, engine: Engine, sink: AlertSink) -> Watcher:
        settings = self.deps.settings
        return Watcher(
            EngineSnapshotSource(engine, only=settings.watch.only, ignore=settings.watch.ignore),
            DETECTORS,
            sink=sink,
            clock=self.deps.clock,
            settings=settings.watch,
            series=self.deps.series,
            own_acts=self.deps.own_acts,
            settle_s=settings.verification.window_s,
        )

    def simulated_hosts(self) -> Collection[str]:
        """Return the simulated host, if it is in use."""
        return self._simulated

    async def begin(self, tasks: Tasks) -> None:
        """Start the demo's incident."""
        for engine in self._engines.values():
            if self.deps.is_demo and isinstance(engine, SimulatedEngine):
                tasks.start("demo", partial(self._play, engine))

    async def _play(self, engine: SimulatedEngine) -> None:
        """Make the API need more memory than its limit, as by a bulk insert."""
        await asyncio.sleep(self.deps.settings.demo.incident_after_s)
        engine.oom("granada-api-1", over_s=6.0)

    async def greeting(self) -> Sequence[Text]:
        """Return the notices about engines that do not answer and about a simulated host."""
        return self._notices

    async def checks(self, *, quick: bool) -> AsyncIterator[CheckLine]:
        """Yield one line per engine."""
        async for line in check_engines(self.deps.settings.engines):
            yield line

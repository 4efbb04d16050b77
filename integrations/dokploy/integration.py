"""Integration of Dokploy: names for stacks, actions, a watcher, its announcements, its deploys."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import datetime

from core.actions.catalog import Toolset
from core.actions.executor import CallFinished
from core.bus import Reaction, on
from core.deployments.deploys import DeployChanged
from core.incidents.external_alerts import ExternalAlerts
from core.integration import CheckLine, FollowedPlatform, Hook, Integration, IntegrationDeps
from core.monitoring.watcher import AlertSink, Watcher
from core.settings import DokploySettings
from core.tasks import Tasks
from core.text import Text
from integrations.docker_engine.models import parse_container
from integrations.dokploy.actions.dokploy_toolsets import DokployDeps, build_toolsets
from integrations.dokploy.client.dokploy_client import Dokploy
from integrations.dokploy.detectors import DOKPLOY_DETECTORS
from integrations.dokploy.health import check
from integrations.dokploy.polling.platform_source import NAME
from integrations.dokploy.system import DokploySystem
from integrations.dokploy.webhook import DokployWebhook

NAMES_KEY = "dokploy.names"
SINCE_KEY = "dokploy.since"
BY = "guardian"
LOOK_LIMIT_S = 3.0


def install(deps: IntegrationDeps) -> Integration:
    """Return the integration with a Dokploy, or without one if the settings have none."""
    settings = deps.settings.dokploy
    return NoDokploy(deps) if settings is None else DokployIntegration(deps, settings)


class NoDokploy(Integration):
    """Integration while no Dokploy is configured: the stack names of the last run, and the actions by name."""

    async def open(self, stack: AsyncExitStack) -> None:
        """Load the stack names of the last run."""
        known = await self.deps.values.get(NAMES_KEY)
        self.deps.shared.names.restore(
            {name: str(value) for name, value in known.items()} if isinstance(known, dict) else {}
        )

    def toolsets(self) -> Sequence[Toolset]:
        """Return the actions `dokploy.…`, unavailable."""
        return self._toolsets(None)

    def _toolsets(self, client: Dokploy | None) -> Sequence[Toolset]:
        parts = DokployDeps(
            client=client,
            inventory=self.deps.inventory,
            deploys=self.deps.deploys,
            versions=self.deps.versions,
            images=self.deps.shared.images,
            redact=self.deps.redact,
            clock=self.deps.clock,
        )
        return build_toolsets(parts)


class DokployIntegration(NoDokploy):
    """Integration with one Dokploy; everything is loaded before watching starts, so that stacks have their names."""

    _system: DokploySystem
    _watcher: Watcher

    def __init__(self, deps: IntegrationDeps, settings: DokploySettings) -> None:
        super().__init__(deps)
        self._settings = settings
        self._client = Dokploy(settings)
        self._kept: dict[str, str] = {}
        self._notices: list[Text] = []

    async def open(self, stack: AsyncExitStack) -> None:
        """Open the client and load everything."""
        await super().open(stack)
        names = self.deps.shared.names
        self._kept = names.to_json()
        self._system = await stack.enter_async_context(
            DokploySystem(
                self._client,
                names,
                clock=self.deps.clock,
                since=await self._since(),
                redact=self.deps.redact,
                read=lambda host, raw: parse_container(host, raw, names),
                on_names=self.deps.look_again,
            )
        )
        self._notices = await self._system.warm_up()
        names.settle()
        await self.tick()

    def toolsets(self) -> Sequence[Toolset]:
        """Return the actions `dokploy.…`."""
        return self._toolsets(self._client)

    async def _since(self) -> datetime:
        """Return the time this program first met a Dokploy: earlier events are history."""
        known = await self.deps.values.get(SINCE_KEY)
        if known is None:
            known = self.deps.clock.now().isoformat()
            await self.deps.values.put(SINCE_KEY, known, by=BY)
        return datetime.fromisoformat(str(known))

    async def tick(self) -> None:
        """Save the stack names, for a next run in which Dokploy does not answer."""
        names = self.deps.shared.names.to_json()
        if names != self._kept:
            await self.deps.values.put(NAMES_KEY, dict(names), by=BY)
            self._kept = names

    def watchers(self, sink: AlertSink) -> Sequence[Watcher]:
        """Return one watcher, which also sees the containers of all hosts."""
        settings = self.deps.settings.watch.model_copy(update={"poll_s": self._settings.poll_s})
        self._watcher = Watcher(
            self._system.source,
            DOKPLOY_DETECTORS,
            sink=sink,
            clock=self.deps.clock,
            settings=settings,
            own_acts=self.deps.own_acts,
            around=self.deps.inventory,
        )
        return [self._watcher]

    def hooks(self, alerts: ExternalAlerts) -> Mapping[str, Hook]:
        """Return the hook for its announcements: they only trigger a look, alerts come from the watcher alone."""
        return {NAME: DokployWebhook(self._settings.webhook_secret, self._system.source.announce, self._watcher.poke)}

    def followed(self) -> FollowedPlatform:
        """Return the platform whose deploys are followed."""
        return FollowedPlatform(platform=self._system.follower, settings=self._settings, look=self._look)

    async def _look(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_LIMIT_S):
                await self._watcher.look()

    def reactions(self) -> Sequence[Reaction]:
        """Return the reactions that look again at what our own actions changed."""
        return [on(DeployChanged, self._on_deploy), on(CallFinished, self._on_call)]

    async def _on_deploy(self, event: DeployChanged) -> None:
        """Look again after a step of one of our deploys, so that status and detectors are current."""
        if event.before is None or event.before.phase is not event.deploy.phase:
            await self._ask_about(event.deploy.managed_id)

    async def _on_call(self, event: CallFinished) -> None:
        """Look again after a call of ours changed something there: a stop, a start, an edit."""
        call, stack = event.record.call, event.record.stack
        if call.action.startswith(f"{NAME}.") and stack is not None:
            managed = self.deps.inventory().managed_one(stack)
            if managed is not None:
                await self._ask_about(managed.id)

    async def _ask_about(self, managed_id: str) -> None:
        await self._system.source.changed(managed_id)
        self._watcher.poke()

    async def begin(self, tasks: Tasks) -> None:
        """Start asking the domains."""
        await self._system.watch_domains()

    async def greeting(self) -> Sequence[Text]:
        """Return the number of stacks, the missing rights, or that it does not answer."""
        return self._notices

    async def checks(self, *, quick: bool) -> AsyncIterator[CheckLine]:
        """Check server, key, rights and announcements."""
        async for line in check(self._settings):
            yield line

"""Puts a Dokploy into the guardian: opened before the engines, watched beside them, its deploys followed.

Part of the composition root, and like it imported by nobody below.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime

from aiohttp import web

from agent.deploys.deploy_runtime import DeployDeps, DeployRuntime
from core.actions.catalog import Toolset
from core.actions.executor import CallFinished
from core.actions.gateway import ActionGateway
from core.bus import Bus
from core.clock import Clock
from core.deployments.deploys import DeployChanged
from core.deployments.platform import StackNames
from core.incidents.alerts import Alert
from core.incidents.tracker import IncidentTracker
from core.monitoring.hosts import WatcherGroup
from core.monitoring.inventory import Inventory
from core.monitoring.watcher import Watcher
from core.settings import Settings
from core.text import Text
from integrations.docker_engine.deploy_images import EngineImages
from integrations.docker_engine.engine import Engine
from integrations.docker_engine.models import container_of
from integrations.dokploy.actions.dokploy_toolsets import DokployDeps, toolsets
from integrations.dokploy.detectors import DETECTORS
from integrations.dokploy.polling.platform_source import NAME
from integrations.dokploy.system import DokploySystem
from integrations.dokploy.webhook import DokployHook
from knowledge.stores import Knowledge
from web.hooks import Hooks

NAMES_KEY = "dokploy.names"
SINCE_KEY = "dokploy.since"
LOOK_LIMIT_S = 3.0


@dataclass(frozen=True, kw_only=True)
class Around:
    """What the guardian gives it."""

    watch: WatcherGroup
    door: ActionGateway
    desk: IncidentTracker
    bus: Bus


class DokployWiring:
    """Without a Dokploy in the settings everything here does nothing, and its actions are unavailable."""

    def __init__(self, settings: Settings, knowledge: Knowledge, clock: Clock, redact: Callable[[str], str]) -> None:
        self._settings = settings
        self._knowledge = knowledge
        self._clock = clock
        self._redact = redact
        self._kept: dict[str, str] = {}
        self._runtime: DeployRuntime | None = None
        self._watcher: Watcher | None = None
        self._watch: WatcherGroup | None = None
        self.names = StackNames()
        self.system: DokploySystem | None = None

    async def open(self, stack: AsyncExitStack) -> list[Text]:
        """Ask Dokploy for everything once, so that stacks have their names; what is to be said at the start."""
        known = await self._knowledge.settings.get(NAMES_KEY)
        self._kept = {name: str(value) for name, value in known.items()} if isinstance(known, dict) else {}
        self.names = StackNames(self._kept)
        if self._settings.dokploy is None:
            return []
        self.system = await stack.enter_async_context(
            DokploySystem(
                self._settings.dokploy,
                self.names,
                clock=self._clock,
                since=await self._since(),
                redact=self._redact,
                read=lambda host, raw: container_of(host, raw, self.names),
                on_names=self._look_again,
            )
        )
        notices = await self.system.warm_up()
        self.names.settle()
        await self.keep_names()
        return notices

    async def _since(self) -> datetime:
        """When this program first met a Dokploy: what ended before is history."""
        known = await self._knowledge.settings.get(SINCE_KEY)
        if known is None:
            known = self._clock.now().isoformat()
            await self._knowledge.settings.put(SINCE_KEY, known, by="guardian")
        return datetime.fromisoformat(str(known))

    async def keep_names(self) -> None:
        """Let the next run know what stacks are called, should Dokploy not answer then."""
        names = self.names.to_json()
        if names != self._kept:
            await self._knowledge.settings.put(NAMES_KEY, dict(names), by="guardian")
            self._kept = names

    def watchers(self, desk: IncidentTracker, around: Callable[[], Inventory]) -> list[Watcher]:
        """Its watcher, where there is a Dokploy."""
        if self.system is None:
            return []
        settings = self._settings.watch.model_copy(update={"poll_s": self.system.settings.poll_s})
        self._watcher = Watcher(
            self.system.source,
            DETECTORS,
            sink=desk,
            clock=self._clock,
            settings=settings,
            own_acts=self._knowledge.ledger.acts_since,
            around=around,
        )
        return [self._watcher]

    def toolsets(self, engines: Mapping[str, Engine], inventory: Callable[[], Inventory]) -> list[Toolset]:
        """The actions `dokploy.…`, known by name even where there is none."""
        parts = DokployDeps(
            client=self.system.client if self.system else None,
            inventory=inventory,
            deploys=self._knowledge.deploys,
            versions=self._knowledge.versions,
            images=EngineImages(engines),
            redact=self._redact,
            clock=self._clock,
        )
        return toolsets(parts)

    async def follow(self, around: Around) -> None:
        """Take up the deploys that are under way; to be called before runs start."""
        self._watch = around.watch
        if self.system is None:
            return
        parts = DeployDeps(
            runs=self._knowledge.runs,
            deploys=self._knowledge.deploys,
            versions=self._knowledge.versions,
            platform=self.system.follower,
            watch=around.watch,
            start_times=self._knowledge.start_times,
            door=around.door,
            bus=around.bus,
            clock=self._clock,
            settings=self.system.settings,
            verification=self._settings.verification,
            redact=self._redact,
            review=self._review(around.desk),
        )
        self._runtime = DeployRuntime(parts)
        around.bus.subscribe(DeployChanged, self._on_deploy)
        around.bus.subscribe(CallFinished, self._on_call)
        await self._runtime.load()

    def is_planned(self, alert: Alert) -> bool:
        """Whether a deploy under way explains the alert."""
        return self._runtime is not None and self._runtime.is_planned(alert)

    async def mount(self, stack: AsyncExitStack, application: web.Application) -> None:
        """Listen for what Dokploy announces."""
        if self.system is not None and self._watcher is not None:
            system, watcher = self.system, self._watcher
            hook = DokployHook(system.settings.webhook_secret, system.source.announce, watcher.poke)
            hooks = Hooks({NAME: hook})
            hooks.mount(application)
            await stack.enter_async_context(hooks)

    async def begin(self) -> None:
        """Ask the domains from now on: everything else runs."""
        if self.system is not None:
            await self.system.watch_domains()

    async def _on_deploy(self, event: DeployChanged) -> None:
        """A deploy of ours has taken a step: its status and its detectors are to know now."""
        if event.before is None or event.before.phase is not event.deploy.phase:
            await self._ask_about(event.deploy.managed_id)

    async def _on_call(self, event: CallFinished) -> None:
        """Something of ours has changed there: stopped, started, edited."""
        call, stack = event.record.call, event.record.stack
        if self._watch is not None and call.action.startswith(f"{NAME}.") and stack is not None:
            managed = self._watch.inventory().managed_one(stack)
            if managed is not None:
                await self._ask_about(managed.id)

    async def _ask_about(self, managed_id: str) -> None:
        if self.system is not None and self._watcher is not None:
            await self.system.source.changed(managed_id)
            self._watcher.poke()

    def _review(self, desk: IncidentTracker) -> Callable[[], Awaitable[None]]:
        """What was held back for a deploy is raised after Dokploy was asked: its cause may be that very deploy."""

        async def review() -> None:
            if self._watcher is not None:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_LIMIT_S):
                        await self._watcher.look()
            await desk.review()

        return review

    def _look_again(self) -> None:
        """Stacks have got names: the engines' containers are to bear them."""
        for watcher in self._watch.watchers() if self._watch is not None else ():
            watcher.poke()

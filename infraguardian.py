"""The composition root: builds the parts, connects events with reactions, starts and stops everything."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from agent.chat.dialogue import ChatDeps, RulesFirstDialogue
from agent.deploys.deploy_runtime import DeployDeps, DeployRuntime
from agent.incident.incident_deps import IncidentDeps
from agent.incident.incident_reactions import IncidentReactions
from agent.incident.runtime import IncidentRuntime
from agent.runbooks.loader import load_runbooks
from bot.bot_deps import BotDeps
from bot.telegram_app import TelegramApp
from core.actions.catalog import Catalog
from core.actions.executor import CallStarted, ExecutorDeps
from core.actions.gateway import ActionGateway
from core.bus import Bus, Reaction, on
from core.clock import Clock, SystemClock
from core.incidents import incident_events
from core.incidents.external_alerts import ExternalAlerts
from core.incidents.tracker import IncidentTracker
from core.integration import FollowedPlatform, Install, Integration, IntegrationDeps
from core.monitoring.hosts import WatcherGroup
from core.monitoring.inventory import Inventory
from core.people import KnownPeople
from core.redaction import Redactor, redact
from core.settings import Settings, secrets_of
from core.tasks import Tasks, undone_on_failure
from core.text import text
from integrations.docker_engine.integration import DockerIntegration
from integrations.dokploy import integration as dokploy
from integrations.ollama import integration as ollama
from knowledge.config.text_files import load_texts
from knowledge.history_actions import HistoryToolset
from knowledge.memory.incident_memory import Embedder
from knowledge.ownership import DataDirLock
from knowledge.stores import Knowledge
from playground.opening import open_playground, settings_for_playground
from playground.server import BotApiServer
from web.app import WebApp
from web.hooks import WebhookReceiver

RUNBOOKS_DIR = Path(__file__).resolve().parent / "runbooks"
TICK_S = 5.0
"""Pause between two reviews of all that is due by the clock: approvals, silences, flapping."""
CLEAN_UP_CHECK_S = 3600.0
INTEGRATIONS: tuple[Install, ...] = (DockerIntegration, dokploy.install, ollama.install)
"""The outside systems, in the order in which they are opened."""
T = TypeVar("T")


class Guardian:
    """The whole program as a context manager: opens records, watchers, web and chat; closes them in reverse order."""

    def __init__(
        self, settings: Settings, *, is_demo: bool = False, integrations: Sequence[Install] = INTEGRATIONS
    ) -> None:
        self.settings = settings
        self._is_demo = is_demo
        self._install = tuple(integrations)
        self.clock = SystemClock()
        self.texts = load_texts()
        self.bus = Bus()
        self.redactor = Redactor(secrets_of(settings))
        self.playground: BotApiServer | None = None
        self._stack = AsyncExitStack()
        self._is_ready = asyncio.Event()
        self.watch = WatcherGroup([])
        self.deploys: DeployRuntime | None = None

    async def __aenter__(self) -> Self:
        async with undone_on_failure(self._stack.aclose):
            await self._start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    # -- putting together -------------------------------------------------------------------------------------------

    async def _start(self) -> None:
        await self._open()
        self._put_together()
        for reaction in self._events():
            self.bus.subscribe(reaction.event, reaction.listener)
        await self._remember()
        await self._open_faces()
        await self._begin()

    async def _open(self) -> None:
        """Open all that must be closed again: records and systems."""
        enter = self._stack.enter_async_context
        await enter(DataDirLock(self.settings.data_dir))
        if self.settings.telegram.token is None:
            self.playground = await open_playground(self.settings, self._stack)
            self.settings = settings_for_playground(self.settings, self.playground)
        self.knowledge = await enter(Knowledge(self.settings, self.clock))
        self.people = KnownPeople(self.knowledge.people)
        deps = replace(
            unwatched_deps(self.settings, self.knowledge, self.clock),
            redact=self.redactor.redact,
            inventory=lambda: self.watch.inventory(),
            look_again=self._look_again,
            is_demo=self._is_demo,
        )
        self.integrations = [install(deps) for install in self._install]
        for one in self.integrations:
            await one.open(self._stack)

    def _put_together(self) -> None:
        self.model = _first(one.model() for one in self.integrations)
        self._use_embeddings()
        self.tracker = self._incident_tracker()
        self.reported = ExternalAlerts(
            incidents=self.tracker,
            values=self.knowledge.settings,
            clock=self.clock,
            topology=lambda host: self.watch.topology(host),
            kept_for=timedelta(seconds=self.settings.watch.reported_kept_s),
        )
        self.watch = WatcherGroup(
            [eye for one in self.integrations for eye in one.watchers(self.tracker)], self.reported
        )
        self.catalog = build_catalog(self.integrations, self.knowledge, self.clock, self.watch.inventory)
        self.runbooks = load_runbooks(RUNBOOKS_DIR, self.settings.runbooks_dir, self.catalog)
        self.gateway = ActionGateway(self._executor_deps(), self.knowledge.approvals)
        self.runtime = IncidentRuntime(self._deps(), self.knowledge.runs, self.knowledge.checkpoints)
        self.reactions = IncidentReactions(self.runtime, self.gateway)
        followed = _first(one.followed() for one in self.integrations)
        if followed is not None:
            self.deploys = DeployRuntime(self._deploy_deps(followed))

    async def _remember(self) -> None:
        """Load unfinished work of the last run before anything new arrives."""
        if self.deploys is not None:
            await self.deploys.load()
        await self.people.refresh()
        await self.reported.load()
        self.watch.adopt(await self.tracker.take_up())

    async def _open_faces(self) -> None:
        """Open the web application, then the chat, whose webhook is one of its routes."""
        enter = self._stack.enter_async_context
        self.tasks = await enter(Tasks())
        self.web = WebApp(self.settings.web, self._health)
        self._hooks = WebhookReceiver(
            {name: hook for one in self.integrations for name, hook in one.hooks(self.reported).items()}
        )
        self._hooks.mount(self.web.application)
        self.face = TelegramApp(self._bot_deps(), self.web.application)
        await enter(self.web)
        await enter(self.face)

    async def _begin(self) -> None:
        """Start watching, working and listening, in this order, so that no listener finds an empty inventory."""
        await self._stack.enter_async_context(self.watch)
        await self.watch.looked()
        await self.knowledge.runs.start()
        self._stack.push_async_callback(self.knowledge.runs.stop)  # before what they work with is closed
        self._stack.callback(self.runtime.leave)
        await self.gateway.recover()
        if not any(one.simulated_hosts() for one in self.integrations):  # an engine that is away was not taken out
            await self.tracker.close_unwatched(self.watch.is_watched)
        await self.reactions.take_up(self.tracker.open_ones())
        self._is_ready.set()
        await self._stack.enter_async_context(self._hooks)  # what they took until now has waited
        for one in self.integrations:
            await one.begin(self.tasks)
        self.tasks.start("clock", self._tick, restarts=True)
        self.tasks.start("clean-up", self._clean_up, restarts=True)
        self.tasks.start("preload", self._preload)

    def _use_embeddings(self) -> None:
        self.knowledge.memory.use(redact=self.redactor.redact)
        found = _first(one.embeddings() for one in self.integrations)
        if found is not None:
            self.knowledge.memory.use(embedder=Embedder(identity=found.current, embed=found.embed))

    def _incident_tracker(self) -> IncidentTracker:
        return IncidentTracker(
            store=self.knowledge.incidents,
            silences=self.knowledge.silences,
            bus=self.bus,
            clock=self.clock,
            settings=self.settings.watch,
            simulated_hosts=[host for one in self.integrations for host in one.simulated_hosts()],
            is_planned=lambda alert: self.deploys is not None and self.deploys.is_planned(alert),
        )

    def _deploy_deps(self, followed: FollowedPlatform) -> DeployDeps:
        async def review() -> None:
            await followed.look()
            await self.tracker.review()

        return DeployDeps(
            runs=self.knowledge.runs,
            deploys=self.knowledge.deploys,
            versions=self.knowledge.versions,
            platform=followed.platform,
            watch=self.watch,
            start_times=self.knowledge.start_times,
            gateway=self.gateway,
            bus=self.bus,
            clock=self.clock,
            settings=followed.settings,
            verification=self.settings.verification,
            redact=self.redactor.redact,
            review=review,
        )

    def _look_again(self) -> None:
        for watcher in self.watch.watchers():
            watcher.poke()

    def _dialogue(self) -> RulesFirstDialogue:
        return RulesFirstDialogue(
            ChatDeps(
                gateway=self.gateway,
                inventory=self.watch.inventory,
                firing=self.watch.firing,
                incidents=self.knowledge.incidents,
                model=self.model,
                texts=self.texts,
                redact=self.redactor.redact,
                clock=self.clock,
                settings=self.settings,
                series=self.knowledge.series,
                sees=self.people.sees,
                called=self.people.name_of,
                deploys=self.knowledge.deploys,
                versions=self.knowledge.versions,
            )
        )

    def _executor_deps(self) -> ExecutorDeps:
        return ExecutorDeps(
            catalog=self.catalog,
            ledger=self.knowledge.ledger,
            locks=self.knowledge.locks,
            facts=self.knowledge.facts(self.watch.inventory),
            runs=self.knowledge.runs,
            bus=self.bus,
            clock=self.clock,
            policy=self.settings.policy,
            redact=self.redactor.redact,
        )

    def _deps(self) -> IncidentDeps:
        return IncidentDeps(
            gateway=self.gateway,
            tracker=self.tracker,
            watch=self.watch,
            runbooks=lambda: self.runbooks,
            memory=self.knowledge.memory,
            start_times=self.knowledge.start_times,
            model=self.model,
            clock=self.clock,
            settings=self.settings,
            render_english=lambda words: self.texts.render(words, "en"),
            redact=self.redactor.redact,
        )

    def _bot_deps(self) -> BotDeps:
        return BotDeps(
            settings=self.settings,
            texts=self.texts,
            bus=self.bus,
            clock=self.clock,
            redact=self.redactor.redact,
            gateway=self.gateway,
            tracker=self.tracker,
            knowledge=self.knowledge,
            inventory=self.watch.inventory,
            latest=self.watch.latest,
            dialogue=self._dialogue(),
            runbooks=lambda: self.runbooks,
            ready=self._until_ready,
            poke=self.runtime.poke,
            platform=self.watch.platform,
        )

    async def _until_ready(self) -> None:
        await self._is_ready.wait()

    # -- who hears of what, and what the clock brings -----------------------------------------------------------------

    def _events(self) -> list[Reaction]:
        """Return the table of events and their reactions; the chat adds its own."""
        return [
            on(incident_events.IncidentOpened, self.reactions.begin),
            on(incident_events.IncidentRecovered, self.reactions.let_go),
            on(incident_events.IncidentMerged, self.reactions.let_go),
            on(incident_events.AlertJoined, self.reactions.think_again),
            on(incident_events.IncidentChanged, self.reactions.leave_to_a_person),
            on(CallStarted, self.runtime.on_call_started),
            *(reaction for one in self.integrations for reaction in one.reactions()),
        ]

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            await self.gateway.expire()
            await self.tracker.review()
            await self.people.refresh()
            await self.reported.review()
            for one in self.integrations:
                await one.tick()

    async def _clean_up(self) -> None:
        """Clean up daily, checking at the start and every hour: few processes live for a day."""
        while True:
            await self.knowledge.cleanup.run_if_due()
            await asyncio.sleep(CLEAN_UP_CHECK_S)

    async def _preload(self) -> None:
        """Load what the first incident and the first question would otherwise wait for."""
        await self.runtime.preload()
        for one in self.integrations:
            await one.preload()
        await self.knowledge.memory.catch_up()
        gc.collect()
        gc.freeze()  # what is loaded by now stays: a full collection would stop the loop for tens of milliseconds

    async def _health(self) -> dict[str, object]:
        blind = [one.name for one in self.watch.watchers() if one.is_blind]
        broken = {one.name: one.broken_detectors for one in self.watch.watchers() if one.broken_detectors}
        return {
            "ok": not blind and not broken and self.face.is_polling,
            "chat": self.face.is_polling,
            "blind_hosts": blind,
            "broken_detectors": broken,
            "open_incidents": len(self.tracker.open_ones()),
            "tasks": self.tasks.names,
            **{name: value for one in self.integrations for name, value in one.health().items()},
        }

    async def greeting(self) -> list[str]:
        """Return the lines for the terminal once everything runs."""
        said = [text("start.on_guard")]
        for one in self.integrations:
            said += await one.greeting()
        if self.playground is not None:
            said.append(text("start.playground", url=self.playground.page_url))
        else:
            said += await self.face.greeting()
        return [self.texts.render(one, self.settings.language) for one in said]


def unwatched_deps(settings: Settings, knowledge: Knowledge, clock: Clock) -> IntegrationDeps:
    """Return the collaborators of integrations while nothing is watched."""
    return IntegrationDeps(
        settings=settings,
        clock=clock,
        redact=redact,
        values=knowledge.settings,
        deploys=knowledge.deploys,
        versions=knowledge.versions,
        images_in_use=knowledge.versions.image_ids,
        series=knowledge.series,
        own_acts=lambda since: knowledge.ledger.acts_since(since),  # the ledger is there once the records are open
        inventory=Inventory,
        look_again=lambda: None,
    )


def build_catalog(
    integrations: Sequence[Integration], knowledge: Knowledge, clock: Clock, inventory: Callable[[], Inventory]
) -> Catalog:
    """Return the catalogue: the actions of every system, and those that read the records."""
    history = HistoryToolset(knowledge.series, knowledge.incidents, knowledge.memory, clock, inventory)
    return Catalog([*(toolset for one in integrations for toolset in one.toolsets()), history])


def installed_integrations(settings: Settings, clock: Clock) -> list[Integration]:
    """Return every integration, connected to nothing: enough for checks."""
    deps = unwatched_deps(settings, Knowledge(settings, clock), clock)
    return [install(deps) for install in INTEGRATIONS]


def installed_catalog(settings: Settings, clock: Clock) -> Catalog:
    """Return every action, connected to nothing: enough to check runbooks and to write documents."""
    return build_catalog(installed_integrations(settings, clock), Knowledge(settings, clock), clock, Inventory)


def _first(brought: Iterable[T | None]) -> T | None:
    return next((one for one in brought if one is not None), None)

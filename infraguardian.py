"""The composition root: puts the parts together, says who hears of what, starts and stops it all."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from dokploy_wiring import Around, DokployWiring

from agent.chat.dialogue import ChatDeps, RulesFirstDialogue
from agent.incident.incident_deps import IncidentDeps
from agent.incident.runtime import IncidentRuntime
from agent.runbooks.loader import load_runbooks
from bot.chat_face_deps import BotDeps
from bot.telegram_app import TelegramApp
from core.actions.catalog import Catalog, Toolset
from core.actions.executor import CallStarted, ExecutorDeps
from core.actions.gateway import ActionGateway
from core.actions.policy import Actor
from core.bus import Bus
from core.errors import ModelFailed
from core.incidents.incident import WITH_A_PERSON, Incident, IncidentState
from core.incidents.incident_events import (
    AlertJoined,
    IncidentChanged,
    IncidentMerged,
    IncidentOpened,
    IncidentRecovered,
)
from core.incidents.tracker import IncidentTracker
from core.monitoring.hosts import WatcherGroup
from core.monitoring.inventory import Inventory
from core.monitoring.watcher import Watcher
from core.redaction import Redactor, redact
from core.settings import Settings, secrets_of
from core.tasks import Tasks
from core.text import Text, text
from integrations.docker_engine.actions.toolsets import docker_toolsets
from integrations.docker_engine.client.real_engine import RealEngine
from integrations.docker_engine.detectors import DETECTORS
from integrations.docker_engine.engine import Engine
from integrations.docker_engine.engine_survey import survey
from integrations.docker_engine.host_source import EngineSource
from integrations.docker_engine.simulated.simulated_engine import SimulatedEngine
from integrations.ollama.client import OllamaModel
from integrations.ollama.embeddings import OllamaEmbeddings
from knowledge.config.text_files import load_texts
from knowledge.history_actions import HistoryToolset
from knowledge.memory.incident_memory import Embedder
from knowledge.ownership import Ownership
from knowledge.records.people_records import Person
from knowledge.stores import Knowledge
from playground.opening import open_playground, with_playground
from playground.server import BotApiServer
from web.app import WebApp

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver

RUNBOOKS_DIR = Path(__file__).resolve().parent / "runbooks"
TICK_S = 5.0
"""How often what is only due by the clock is looked at: approvals, silences, flapping."""
log = logging.getLogger(__name__)


class SystemClock:
    """The real time."""

    def now(self) -> datetime:
        """The moment, UTC-aware."""
        return datetime.now(UTC)


async def _play(engine: SimulatedEngine, after_s: float) -> None:
    """The demo's incident: a bulk insert needs more memory than the API may have."""
    await asyncio.sleep(after_s)
    engine.oom("granada-api-1", over_s=6.0)


def _identity(embeddings: OllamaEmbeddings) -> Callable[[], Awaitable[str | None]]:
    async def identity() -> str | None:
        try:
            found = await embeddings.identity()
        except ModelFailed:
            return None
        return f"{found.model}@{found.digest}"

    return identity


class Guardian:
    """Everything, started by entering it: records first, then the watch, then the faces; ended in the reverse order."""

    def __init__(self, settings: Settings, *, is_demo: bool = False) -> None:
        self.settings = settings
        self._is_demo = is_demo
        self.clock = SystemClock()
        self.texts = load_texts()
        self.bus = Bus()
        self.redactor = Redactor(secrets_of(settings))
        self.notices: list[Text] = []
        self.playground: BotApiServer | None = None
        self._stack = AsyncExitStack()
        self._is_ready = asyncio.Event()
        self._people: dict[str, Person] = {}

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    # -- putting together -------------------------------------------------------------------------------------------

    async def _start(self) -> None:
        enter = self._stack.enter_async_context
        await enter(Ownership(self.settings.data_dir))
        if self.settings.telegram.token is None:
            self.playground = await open_playground(self.settings, self._stack)
            self.settings = with_playground(self.settings, self.playground)
        self.knowledge = await enter(Knowledge(self.settings, self.clock))
        self._graph_store = await enter(AsyncExitStack())  # opened late, and yet closed after the runs have stopped
        self.dokploy = DokployWiring(self.settings, self.knowledge, self.clock, self.redactor.redact)
        self.notices += await self.dokploy.open(self._stack)
        around = await survey(self.settings.engines, simulated=self.settings.simulated, names=self.dokploy.names)
        self.notices += around.notices
        for engine in around.engines.values():
            self._stack.push_async_callback(engine.close)
        self.model = self._model()
        self.desk = IncidentTracker(
            store=self.knowledge.incidents,
            silences=self.knowledge.silences,
            bus=self.bus,
            clock=self.clock,
            settings=self.settings.watch,
            simulated_hosts=tuple(around.engines) if around.is_simulated else (),
            is_planned=self.dokploy.is_planned,
        )
        platforms = self.dokploy.watchers(self.desk, lambda: self.watch.inventory())
        self.watch = WatcherGroup([*map(self._watcher, around.engines.values()), *platforms])
        self.catalog = Catalog(self._toolsets(around.engines))
        self.runbooks = load_runbooks(RUNBOOKS_DIR, self.settings.runbooks_dir, self.catalog)
        self.door = ActionGateway(self._carriage(), self.knowledge.approvals)
        self.runtime = IncidentRuntime(self._mind(), self.knowledge.runs, self._checkpointer)
        await self.dokploy.follow(Around(watch=self.watch, door=self.door, desk=self.desk, bus=self.bus))
        self._wire()
        await self._refresh_people()
        self.watch.adopt(await self.desk.take_up())
        self.tasks = await enter(Tasks())
        await self._faces()
        await enter(self.watch)
        await self.watch.looked()
        await self.knowledge.runs.start()
        self._stack.push_async_callback(self.knowledge.runs.stop)  # before what they work with is closed
        await self.door.recover()
        await self._take_up()
        self._is_ready.set()
        await self.dokploy.begin()
        self.tasks.start("clock", self._tick, restarts=True)
        self.tasks.start("preload", self._preload)
        if self._is_demo and isinstance(engine, SimulatedEngine):
            self.tasks.start("demo", lambda: _play(engine, self.settings.demo.incident_after_s))

    def _toolsets(self, engines: Mapping[str, Engine]) -> list[Toolset]:
        docker = docker_toolsets(engines, self.redactor.redact, keep=self.knowledge.versions.image_ids)
        return [*docker, self._history(), *self.dokploy.toolsets(engines, self.watch.inventory)]

    def _history(self) -> HistoryToolset:
        return HistoryToolset(
            self.knowledge.series, self.knowledge.incidents, self.knowledge.memory, self.clock, self.watch.inventory
        )

    async def _checkpointer(self) -> BaseCheckpointSaver[Any]:
        return await self._graph_store.enter_async_context(self.knowledge.checkpointer())

    def _dialogue(self) -> RulesFirstDialogue:
        return RulesFirstDialogue(
            ChatDeps(
                door=self.door,
                inventory=self.watch.inventory,
                firing=self.watch.firing,
                incidents=self.knowledge.incidents,
                model=self.model,
                texts=self.texts,
                redact=self.redactor.redact,
                clock=self.clock,
                settings=self.settings,
                series=self.knowledge.series,
                sees=self._sees,
                called=self._called,
                deploys=self.knowledge.deploys,
                versions=self.knowledge.versions,
            )
        )

    def _sees(self, actor: Actor, stack: str | None) -> bool:
        person = self._people.get(actor.id)
        return actor.role is not None and (person is None or person.role_for(stack) is not None)

    def _called(self, actor_id: str) -> str:
        person = self._people.get(actor_id)
        return person.name if person is not None else actor_id.removeprefix("tg:")

    async def _refresh_people(self) -> None:
        self._people = {person.actor_id: person for person in await self.knowledge.people.all()}

    def _carriage(self) -> ExecutorDeps:
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

    def _mind(self) -> IncidentDeps:
        return IncidentDeps(
            door=self.door,
            desk=self.desk,
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

    def _model(self) -> OllamaModel | None:
        self.knowledge.memory.use(redact=self.redactor.redact)
        if self.settings.ollama is None:
            return None
        model = OllamaModel(self.settings.ollama, clock=self.clock)
        self._stack.push_async_callback(model.aclose)
        name = self.settings.ollama.embedding_model
        if name is not None:
            embeddings = OllamaEmbeddings(model.api, name)
            self.knowledge.memory.use(embedder=Embedder(identity=_identity(embeddings), embed=embeddings.embed))
        return model

    def _watcher(self, engine: Engine) -> Watcher:
        return Watcher(
            EngineSource(engine, only=self.settings.watch.only, ignore=self.settings.watch.ignore),
            DETECTORS,
            sink=self.desk,
            clock=self.clock,
            settings=self.settings.watch,
            series=self.knowledge.series,
            own_acts=self.knowledge.ledger.acts_since,
            settle_s=self.settings.verification.window_s,
        )

    async def _faces(self) -> None:
        """The web application, then the chat, whose webhook is one of its routes."""
        self.web = WebApp(self.settings.web, self._health)
        await self.dokploy.mount(self._stack, self.web.application)
        self.face = TelegramApp(self._face_parts(), self.web.application)
        await self._stack.enter_async_context(self.web)
        await self._stack.enter_async_context(self.face)

    def _face_parts(self) -> BotDeps:
        return BotDeps(
            settings=self.settings,
            texts=self.texts,
            bus=self.bus,
            clock=self.clock,
            redact=self.redactor.redact,
            door=self.door,
            desk=self.desk,
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

    # -- who hears of what ------------------------------------------------------------------------------------------

    def _wire(self) -> None:
        """The table of events."""
        self.bus.subscribe(IncidentOpened, self._on_opened)
        self.bus.subscribe(IncidentRecovered, self._on_recovered)
        self.bus.subscribe(IncidentMerged, self._on_merged)
        self.bus.subscribe(AlertJoined, self._on_joined)
        self.bus.subscribe(IncidentChanged, self._on_changed)
        self.bus.subscribe(CallStarted, self.runtime.on_call_started)

    async def _on_opened(self, event: IncidentOpened) -> None:
        if not event.incident.is_flapping:
            await self.runtime.begin(event.incident)

    async def _on_recovered(self, event: IncidentRecovered) -> None:
        await self._let_go(event.incident)

    async def _on_joined(self, event: AlertJoined) -> None:
        """The root has become known: what was asked for its victim is withdrawn, and thought over."""
        if event.is_root and event.incident.state in (IncidentState.DIAGNOSING, IncidentState.NEEDS_APPROVAL):
            await self._let_go(event.incident)

    async def _on_merged(self, event: IncidentMerged) -> None:
        await self._let_go(event.incident)

    async def _on_changed(self, event: IncidentChanged) -> None:
        """A person took it over: what the machine still asked is withdrawn."""
        state = event.incident.state
        if state is IncidentState.ACKNOWLEDGED and event.before.state is not state:
            await self._let_go(event.incident)

    async def _let_go(self, incident: Incident) -> None:
        await self.door.withdraw(incident.id)
        await self.runtime.poke(incident)

    # -- by the clock -----------------------------------------------------------------------------------------------

    async def _tick(self) -> None:
        pruned_at = self.clock.now()
        while True:
            await asyncio.sleep(TICK_S)
            await self.door.expire()
            await self.desk.review()
            await self._refresh_people()
            await self.dokploy.keep_names()
            if self.clock.now() - pruned_at > timedelta(days=1):
                await self.knowledge.prune()
                for incident in await self.knowledge.incidents.recent(500, since=pruned_at - timedelta(days=2)):
                    await self.runtime.forget(incident)
                pruned_at = self.clock.now()

    async def _take_up(self) -> None:
        """After a start: every open incident that the machine still has goes on where it was."""
        for incident in self.desk.open_ones():
            if incident.state not in WITH_A_PERSON and not incident.is_flapping:
                await self.runtime.begin(incident)

    async def _preload(self) -> None:
        """What the first incident and the first question would otherwise wait for."""
        await self.runtime.preload()
        if self.model is not None and await self.model.probe():
            await self.model.preload()
        await self.knowledge.memory.catch_up()
        gc.collect()
        gc.freeze()  # what is loaded by now stays: a full collection would stop the loop for tens of milliseconds

    async def _health(self) -> dict[str, object]:
        blind = [one.name for one in self.watch.watchers() if one.is_blind]
        return {
            "ok": not blind and self.face.is_polling,
            "chat": self.face.is_polling,
            "blind_hosts": blind,
            "model": None if self.model is None else self.model.is_up,
            "open_incidents": len(self.desk.open_ones()),
            "tasks": self.tasks.names,
        }

    async def greeting(self) -> list[str]:
        """What is said on the terminal once everything runs."""
        said = [text("start.on_guard"), *self.notices]
        if self.model is None:
            said.append(text("start.model_off"))
        elif not await self.model.probe():
            said.append(text("start.no_model"))
        if self.playground is not None:
            said.append(text("start.playground", url=self.playground.page_url))
        else:
            said += await self.face.greeting()
        return [self.texts.render(one, self.settings.language) for one in said]


def installed_catalog(settings: Settings, clock: SystemClock) -> Catalog:
    """Every action there is, without connecting to anything: enough to check runbooks and to write documents."""
    knowledge = Knowledge(settings, clock)
    engines = {name: RealEngine(name, one) for name, one in settings.engines.items()}
    history = HistoryToolset(knowledge.series, knowledge.incidents, knowledge.memory, clock, Inventory)
    dokploy = DokployWiring(settings, knowledge, clock, redact)
    return Catalog([*docker_toolsets(engines, redact), history, *dokploy.toolsets(engines, Inventory)])

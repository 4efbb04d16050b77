"""The chat face over real records, the real door and a simulated engine; people act at a real Bot API server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aiohttp import web
from pydantic import SecretStr

from agent.chat.conversation import AnswerPart, ChatQuestion
from agent.runbooks.loader import load_runbooks
from agent.runbooks.runbook import Runbooks
from bot.bot_deps import BotDeps
from bot.delivery.destinations import chat_destination
from bot.incoming.inbox import CommandTimeouts
from bot.telegram_app import TelegramApp
from core.actions.calls import Call
from core.actions.catalog import Catalog, Params, Result, Risk, Toolset, action
from core.actions.executor import ExecutorDeps, RedactText
from core.actions.gateway import ActionGateway
from core.actions.policy import Actor, ActorKind
from core.bus import Bus
from core.incidents.alert_kinds import AlertKind
from core.incidents.alerts import Alert, Evidence, Severity
from core.incidents.incident import Incident
from core.incidents.tracker import IncidentTracker
from core.monitoring.inventory import Host, Inventory
from core.monitoring.snapshot import PlatformView, Sample
from core.monitoring.topology import topology
from core.redaction import Redactor
from core.settings import Settings, TelegramSettings
from core.text import text
from integrations.docker_engine.actions.container_actions import ContainerToolset
from integrations.docker_engine.actions.image_actions import ImageToolset
from integrations.docker_engine.actions.space_actions import SpaceToolset
from integrations.docker_engine.engine import Engine
from integrations.docker_engine.simulated.container_spec import ContainerSpec
from integrations.docker_engine.simulated.simulated_engine import SimulatedEngine
from knowledge.config.text_files import load_texts
from knowledge.history_actions import HistoryToolset
from knowledge.stores import Knowledge
from playground.chats.chat_people import PlaygroundPerson
from playground.chats.shown_chats import ShownChat, ShownMessage
from playground.server import BotApiServer
from tests.agent.rules.fakes import dokploy_toolsets
from tests.testbed.world import eventually

TOKEN = "700000001:playground-token-for-tests-aaaaaaaaaa"
ADA, OLGA, GRACE, MALLORY = 1001, 1003, 1002, 6666
OPS = -1001000000077
ROOT = Path(__file__).resolve().parents[2]
HOSTILE = "<b>&</b>"
RECIPES = tuple(
    ContainerSpec(stack=stack, service=service, image=f"{stack}/{service}:1", memory_mb=512, restart="unless-stopped")
    for stack, service in (("granada", "api"), ("granada", "postgres"), ("malaga", "api"), ("malaga", "web"))
)


class ShiftingClock:
    """Real time, that a test can move on."""

    def __init__(self) -> None:
        self.shift = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.shift


class DangerParams(Params):
    """Nothing but a name."""

    name: str


class DangerToolset(Toolset):
    """Actions of every kind of danger, which only count."""

    system = "danger"

    def __init__(self) -> None:
        self.done: list[str] = []

    @action(Risk.CHANGE)
    async def change(self, params: DangerParams) -> Result:
        """Change something."""
        self.done.append(params.name)
        return Result(message=text("docker.stopped", container=params.name))

    @action(Risk.DESTRUCTIVE)
    async def destroy(self, params: DangerParams) -> Result:
        """Lose something."""
        self.done.append(params.name)
        return Result(message=text("docker.stopped", container=params.name))


Script = Callable[[ChatQuestion], AsyncGenerator[AnswerPart, None]]


class ScriptedDialogue:
    """A dialogue whose answers a test writes."""

    def __init__(self) -> None:
        self.script: Script | None = None
        self.asked: list[ChatQuestion] = []

    async def answer(self, question: ChatQuestion) -> AsyncGenerator[AnswerPart, None]:
        self.asked.append(question)
        if self.script is not None:
            async for part in self.script(question):
                yield part


@dataclass(kw_only=True)
class FaceWorld:
    """Ada is admin, Olga operator, Grace viewer (Spanish), Mallory a stranger; all are in the group Ops."""

    server: BotApiServer
    home: Path
    telegram: dict[str, object] = field(default_factory=dict)
    more_settings: dict[str, object] = field(default_factory=dict)
    clock: ShiftingClock = field(default_factory=ShiftingClock)
    dialogue: ScriptedDialogue = field(default_factory=ScriptedDialogue)
    danger: DangerToolset = field(default_factory=DangerToolset)
    recipes: tuple[ContainerSpec, ...] = RECIPES
    poked: list[int] = field(default_factory=list)
    meanwhile: Callable[[], Awaitable[None]] | None = None
    """What happens while somebody takes an incident."""
    patience: CommandTimeouts | None = None
    application: web.Application = field(default_factory=web.Application)

    def __post_init__(self) -> None:
        self.ada: PlaygroundPerson = self.server.person(ADA, "Ada")
        self.olga: PlaygroundPerson = self.server.person(OLGA, "Olga")
        self.grace: PlaygroundPerson = self.server.person(GRACE, "Grace", language_code="es")
        self.mallory: PlaygroundPerson = self.server.person(MALLORY, "Mallory")
        members = [self.ada, self.olga, self.grace, self.mallory]
        self.ops: ShownChat = self.server.group(OPS, "Ops", members=members, administrators=[self.ada])
        self.engine = SimulatedEngine("local", self.recipes)
        self._inventory = Inventory()
        self.samples: dict[str, Sample] = {}
        self.platform: PlatformView | None = None

    def settings(self) -> Settings:
        telegram = {
            "token": SecretStr(TOKEN),
            "api_url": self.server.base_url.removesuffix("/bot"),
            "admins": (ADA,),
            "operators": (OLGA,),
            "viewers": (GRACE,),
            "poll_timeout_s": 5,
            "edit_pace_s": 0.05,
            "group_edit_pace_s": 0.05,
            **self.telegram,
        }
        return Settings(data_dir=self.home, telegram=TelegramSettings(**telegram), **self.more_settings)

    def more_toolsets(self) -> Sequence[Toolset]:
        """What a world besides Docker can do."""
        return ()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[FaceWorld]:
        """The face, started; everything is ended afterwards."""
        settings = self.settings()
        async with AsyncExitStack() as stack:
            self.knowledge = await stack.enter_async_context(Knowledge(settings, self.clock))
            self.bus = Bus()
            redact = Redactor([]).redact
            knowledge = self.knowledge
            history = HistoryToolset(
                knowledge.series, knowledge.incidents, knowledge.memory, self.clock, self.inventory
            )
            docker = ContainerToolset({"local": self.engine}, redact, now=self.clock.now)
            engines: dict[str, Engine] = {"local": self.engine}
            images, space = ImageToolset(engines, redact), SpaceToolset(engines, redact)
            known = [docker, images, space, history, self.danger, *dokploy_toolsets()]
            self.catalog = Catalog([*known, *self.more_toolsets()])
            self.tracker = IncidentTracker(
                store=self.knowledge.incidents,
                silences=self.knowledge.silences,
                bus=self.bus,
                clock=self.clock,
                settings=settings.watch,
            )
            await self.look()
            self.gateway = ActionGateway(
                ExecutorDeps(
                    catalog=self.catalog,
                    ledger=self.knowledge.ledger,
                    locks=self.knowledge.locks,
                    facts=self.knowledge.facts(self.inventory),
                    runs=self.knowledge.runs,
                    bus=self.bus,
                    clock=self.clock,
                    policy=settings.policy,
                    redact=redact,
                ),
                self.knowledge.approvals,
            )
            books = load_runbooks(ROOT / "runbooks", None, self.catalog)
            await self.tracker.take_up()
            self._ready = asyncio.Event()
            self.face = TelegramApp(self._parts(settings, redact, books), self.application, patience=self.patience)
            await stack.enter_async_context(self.face)
            await self.knowledge.runs.start()
            await self.gateway.recover()
            self._ready.set()
            yield self

    def _parts(self, settings: Settings, redact: RedactText, books: Runbooks) -> BotDeps:
        async def poke(incident: Incident) -> None:
            self.poked.append(incident.id)
            if self.meanwhile is not None:
                await self.meanwhile()

        return BotDeps(
            settings=settings,
            texts=load_texts(),
            bus=self.bus,
            clock=self.clock,
            redact=redact,
            gateway=self.gateway,
            tracker=self.tracker,
            knowledge=self.knowledge,
            inventory=self.inventory,
            latest=self.samples.get,
            dialogue=self.dialogue,
            runbooks=lambda: books,
            poke=poke,
            ready=self._until_ready,
            platform=lambda: self.platform,
        )

    async def _until_ready(self) -> None:
        await self._ready.wait()

    def inventory(self) -> Inventory:
        return self._inventory

    async def look(self) -> None:
        """What the watcher would see."""
        containers = await self.engine.containers()
        self.samples.update({f"local/{name}": one for name, one in (await self.engine.sample()).items()})
        self._inventory = Inventory(hosts=(Host(name="local"),), containers=tuple(containers))

    # -- the story ---------------------------------------------------------------------------------------------------

    async def trouble(
        self, service: str = "api", stack: str = "granada", severity: Severity = Severity.CRITICAL, log_line: str = ""
    ) -> Incident:
        """A container is killed for memory."""
        now = self.clock.now()
        alert = Alert(
            kind=AlertKind.CONTAINER_DIED,
            severity=severity,
            host="local",
            stack=stack,
            service=service,
            container=f"{stack}-{service}-1",
            at=now,
            message=text("alert.container_died.oom", service=f"{stack}/{service}", limit=512),
            evidence=(
                Evidence(name="exit_code", value=137, at=now, source=f"inspect local/{stack}-{service}-1"),
                Evidence(name="oom_killed", value=True, at=now, source=f"inspect local/{stack}-{service}-1"),
                Evidence(name="log_last", value=log_line or "Killed", at=now, source="logs"),
            ),
        )
        incident = await self.tracker.raise_alert(alert, topology(self._inventory, "local"))
        assert incident is not None
        return incident

    async def propose(self, incident: Incident, name: str = "change", count: int = 1) -> list[Call]:
        """The machine asks for leave, as the graph would."""
        calls = [
            Call(
                key=f"{incident.key}:plan:{place}:1",
                action=f"danger.{name}",
                params={"name": f"{incident.id}-{place}"},
                actor=Actor(kind=ActorKind.RUNBOOK, id="container_oom", name="container_oom"),
                incident_id=incident.id,
                message=text("act.restart.says", target=f"{incident.target} {place}"),
            )
            for place in range(count)
        ]
        await self.gateway.submit_plan(calls)
        return calls

    # -- looking -----------------------------------------------------------------------------------------------------

    async def message(
        self, chat: ShownChat, condition: Callable[[ShownMessage], object], what: str = ""
    ) -> ShownMessage:
        """The newest message of the bot in a chat that fits."""

        def found() -> ShownMessage | None:
            return next((one for one in reversed(chat.bot_messages) if condition(one)), None)

        try:
            message = await eventually(found, 10, what=what or "a message")
        except AssertionError as error:
            pending = await self.knowledge.outbox.pending_for(chat_destination(chat.id))
            undone = await self.knowledge.inbox.pending()
            raise AssertionError(
                f"{error}\n{chat.transcript()}\nin the outbox: {pending}\nin the inbox: {undone}"
            ) from None
        assert message is not None
        return message

    async def says(self, chat: ShownChat, *parts: str, after: int = 0) -> ShownMessage:
        """The newest message that holds all these words."""
        words = f"a message with {parts}"
        return await self.message(chat, lambda one: one.id > after and all(part in one.text for part in parts), words)

    async def quiet(self) -> None:
        """Nothing is being handled or delivered any more."""

        async def is_quiet() -> bool:
            knowledge = self.knowledge
            await self.face.notices.settle(10)
            return (
                self.server.pending_update_count == 0
                and not await knowledge.inbox.count_pending()
                and not await knowledge.outbox.count_pending()
            )

        await eventually(is_quiet, 10, what="quiet in the chat")

"""The agent's whole way of an incident over a simulated engine: real watcher, desk, door, records, runs and graph."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agent.incident.incident_deps import IncidentDeps
from agent.incident.runtime import IncidentRuntime
from agent.runbooks.loader import load_runbooks
from core.actions.catalog import Catalog, Role, Toolset
from core.actions.executor import CallStarted, ExecutorDeps
from core.actions.gateway import ActionGateway, ApprovalAsked, TapResult
from core.actions.policy import Actor, ActorKind
from core.bus import Bus
from core.incidents.incident import WITH_A_PERSON, Incident, IncidentState
from core.incidents.incident_events import IncidentChanged, IncidentMerged, IncidentOpened, IncidentRecovered
from core.incidents.tracker import IncidentChange, IncidentTracker
from core.monitoring.hosts import WatcherGroup
from core.monitoring.snapshot import EngineEvent, EventKind
from core.monitoring.watcher import Watcher
from core.redaction import redact
from core.runs import Done, OnDead, Run, RunHandler, Waiting
from core.settings import Settings
from core.text import Text, text
from integrations.docker_engine.actions.container_actions import ContainerToolset
from integrations.docker_engine.detectors import DETECTORS
from integrations.docker_engine.host_source import EngineSnapshotSource
from integrations.docker_engine.simulated.container_spec import ContainerSpec
from integrations.docker_engine.simulated.simulated_engine import SimulatedEngine
from knowledge.config.text_files import load_texts
from knowledge.history_actions import HistoryToolset
from knowledge.stores import Knowledge
from tests.agent.rules.fakes import dokploy_toolsets
from tests.testbed.world import eventually

ADA = Actor(kind=ActorKind.PERSON, id="tg:1001", name="Ada", role=Role.ADMIN)
RUNBOOKS = Path(__file__).resolve().parents[3] / "runbooks"
API = "shop-api-1"


class WallClock:
    """The real time."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class EveryRunTwice:
    """Registers handlers that are delivered twice: an incident's one after the other, a call's side by side."""

    def __init__(self, runs: Any) -> None:
        self._runs = runs

    def __getattr__(self, name: str) -> Any:
        return getattr(self._runs, name)

    def register(self, kind: str, handler: RunHandler, *, tries: int = 3, on_dead: OnDead | None = None) -> None:
        async def one_after_the_other(run: Run) -> Done | Waiting:
            await handler(run)
            return await handler(run)

        async def side_by_side(run: Run) -> Done | Waiting:
            answers = await asyncio.gather(handler(run), handler(run))
            return next((one for one in answers if isinstance(one, Done)), answers[0])

        twice = side_by_side if kind == "call" else one_after_the_other
        self._runs.register(kind, twice, tries=tries, on_dead=on_dead)


class Forgetful:
    """A memory that keeps nothing, and start times that nobody learnt."""

    async def learn(self, *what: object) -> None:
        """Nothing is kept."""

    async def typical(self, service: str) -> float | None:
        return None


class AgentTracker:
    """The agent's view of the tracker; the trouble may strike in the last moment before an incident is resolved."""

    def __init__(self, tracker: IncidentTracker, before_resolved: list[Callable[[], Awaitable[object]]]) -> None:
        self._before_resolved = before_resolved
        self._update = tracker.update
        self.get = tracker.get

    async def update(self, incident_id: int, change: IncidentChange, *, pages: Text | None = None) -> Incident:
        if pages == text("agent.page.resolved") and self._before_resolved:
            await self._before_resolved.pop(0)()
        return await self._update(incident_id, change, pages=pages)


@dataclass(kw_only=True)
class IncidentWorld:
    """One service, guarded; `running` starts everything but the faces."""

    home: Path
    is_twice: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    own_runbooks: Path | None = None
    toolsets: Sequence[Callable[[IncidentWorld], Toolset]] = ()
    """Further ones, made once the records are there."""
    before_resolved: list[Callable[[], Awaitable[object]]] = field(default_factory=list)
    """Struck after the verdict that a repair has held, one each time."""
    bus: Bus = field(default_factory=Bus)
    clock: WallClock = field(default_factory=WallClock)
    engine: SimulatedEngine = field(
        default_factory=lambda: SimulatedEngine("local", [ContainerSpec(stack="shop", service="api", memory_mb=512)])
    )
    events: list[EngineEvent] = field(default_factory=list)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[IncidentWorld]:
        quick = {"window_s": 0.1, "poll_s": 0.05}
        values: dict[str, Any] = {"watch": {"poll_s": 1.0}, "verification": quick, **self.settings}
        settings = Settings(data_dir=self.home, **values)
        async with AsyncExitStack() as stack:
            self.knowledge = await stack.enter_async_context(Knowledge(settings, self.clock))
            runs = EveryRunTwice(self.knowledge.runs) if self.is_twice else self.knowledge.runs
            self.tracker = IncidentTracker(
                store=self.knowledge.incidents,
                silences=self.knowledge.silences,
                bus=self.bus,
                clock=self.clock,
                settings=settings.watch,
            )
            self.watch = WatcherGroup([self._watcher(settings)])
            docker = ContainerToolset({"local": self.engine}, redact)
            more = [make(self) for make in self.toolsets]
            catalog = Catalog([docker, self._history(), *dokploy_toolsets(), *more])
            self.gateway = ActionGateway(self._executor_deps(settings, catalog, runs), self.knowledge.approvals)
            books = load_runbooks(RUNBOOKS, self.own_runbooks, catalog)
            texts = load_texts()
            deps = IncidentDeps(
                gateway=self.gateway,
                tracker=AgentTracker(self.tracker, self.before_resolved),
                watch=self.watch,
                runbooks=lambda: books,
                memory=Forgetful(),
                start_times=Forgetful(),
                model=None,
                clock=self.clock,
                settings=settings,
                render_english=lambda words: texts.render(words, "en"),
                redact=redact,
            )
            self.runtime = IncidentRuntime(deps, runs, self.knowledge.checkpoints)
            self._subscribe()
            await self.runtime.preload()
            self.watch.adopt(await self.tracker.take_up())
            await stack.enter_async_context(self.watch)
            await self.watch.looked()
            await self.knowledge.runs.start()
            stack.push_async_callback(self.knowledge.runs.stop)
            stack.callback(self.runtime.leave)
            listening = asyncio.create_task(self._listen(), name="events")
            stack.callback(listening.cancel)
            yield self

    def _history(self) -> HistoryToolset:
        known = self.knowledge
        return HistoryToolset(known.series, known.incidents, known.memory, self.clock, self.watch.inventory)

    def _watcher(self, settings: Settings) -> Watcher:
        return Watcher(
            EngineSnapshotSource(self.engine),
            DETECTORS,
            sink=self.tracker,
            clock=self.clock,
            settings=settings.watch,
            own_acts=self.knowledge.ledger.acts_since,
            settle_s=settings.verification.window_s,
        )

    def _executor_deps(self, settings: Settings, catalog: Catalog, runs: Any) -> ExecutorDeps:
        return ExecutorDeps(
            catalog=catalog,
            ledger=self.knowledge.ledger,
            locks=self.knowledge.locks,
            facts=self.knowledge.facts(self.watch.inventory),
            runs=runs,
            bus=self.bus,
            clock=self.clock,
            policy=settings.policy,
            redact=redact,
        )

    def _subscribe(self) -> None:
        async def opened(event: IncidentOpened) -> None:
            await self.runtime.begin(event.incident)

        async def let_go(event: IncidentRecovered | IncidentMerged) -> None:
            await self.gateway.withdraw(event.incident.id)
            await self.runtime.poke(event.incident)
            await self.runtime.forget(event.incident)

        async def changed(event: IncidentChanged) -> None:
            if event.before.state in WITH_A_PERSON and not event.incident.is_open:
                await self.runtime.forget(event.incident)

        self.bus.subscribe(IncidentOpened, opened)
        self.bus.subscribe(IncidentRecovered, let_go)
        self.bus.subscribe(IncidentMerged, let_go)
        self.bus.subscribe(IncidentChanged, changed)
        self.bus.subscribe(CallStarted, self.runtime.on_call_started)

    async def _listen(self) -> None:
        async for event in self.engine.events(None):
            self.events.append(event)

    # -- the story ---------------------------------------------------------------------------------------------------

    def decide_when_asked(self, decide: Callable[[str], Any]) -> None:
        """Call `decide` with the question's id from inside the publishing of it."""

        async def asked(event: ApprovalAsked) -> None:
            await decide(event.approval.id)

        self.bus.subscribe(ApprovalAsked, asked)

    async def approve(self, approval_id: str) -> TapResult:
        """Ada says yes."""
        return await self.gateway.decide(approval_id, ADA, approve=True)

    async def deny(self, approval_id: str) -> TapResult:
        """Ada says no."""
        return await self.gateway.decide(approval_id, ADA, approve=False)

    def starts(self) -> int:
        """How often somebody started the service."""
        return sum(1 for one in self.events if one.kind is EventKind.START)

    async def incident(self, *states: IncidentState, limit_s: float = 15.0) -> Incident:
        """The only incident, once it is in one of these states."""

        async def found() -> Incident | None:
            known = await self.knowledge.incidents.recent(5)
            assert len(known) <= 1
            return known[0] if known and known[0].state in states else None

        result = await eventually(found, limit_s, what=f"the incident in {states}")
        assert result is not None
        return result

"""What any channel to people gets, shown with one that is no chat: who is told, how often, and after a kill."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from bot.delivery.pacing import ChatPace
from bot.rendering.telegram_html import render_card
from core.actions.catalog import JsonObject
from core.bus import Bus
from core.incidents.alert_kinds import AlertKind
from core.incidents.alerts import Alert, Severity
from core.incidents.incident import Incident, IncidentState
from core.incidents.incident_notices import IncidentNotices, NoticeDeps
from core.incidents.paging import Recipient
from core.incidents.tracker import IncidentTracker
from core.monitoring.inventory import Inventory
from core.monitoring.topology import topology
from core.notifications import Destination, Fate, MessageKind, OutgoingMessage, QueuedMessage, SendResult
from core.settings import Settings
from core.tasks import Tasks
from core.text import text
from core.views.card_views import CardViews
from knowledge.config.text_files import load_texts
from knowledge.outbox_worker import OutboxWorker, OutboxWriter
from knowledge.stores import Knowledge
from tests.testbed.world import eventually

ADA, GRACE = "paper:ada", "paper:grace"


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


class PaperNotifier:
    """A channel that writes on sheets: all that a new one has to bring."""

    scheme = "paper"

    def __init__(self) -> None:
        self.texts = load_texts()
        self.sheets: dict[str, tuple[Destination, str]] = {}
        self.refuses: set[Destination] = set()

    def render(self, message: OutgoingMessage) -> JsonObject:
        return {"plain": render_card(message.card, self.texts, message.language, 4096).plain}

    async def send(self, message: QueuedMessage) -> SendResult:
        if message.destination in self.refuses:
            return SendResult(fate=Fate.REFUSED, problem="no more ink")
        is_edit = message.kind is MessageKind.EDIT
        name = message.of_message_id if is_edit and message.of_message_id else f"sheet-{len(self.sheets) + 1}"
        self.sheets[name] = (message.destination, str(message.payload["plain"]))
        return SendResult(fate=Fate.SENT, message_id=name)

    def pace(self, destination: Destination) -> ChatPace:
        return ChatPace(is_group=False, edit_pace_s=0.05)

    def current(self, destination: Destination) -> Destination:
        return destination

    def of(self, destination: Destination) -> list[str]:
        return [words for place, words in self.sheets.values() if place == destination]


@dataclass(kw_only=True)
class Readers:
    """Who gets the sheets; may be slow to look up."""

    all: list[Recipient] = field(
        default_factory=lambda: [
            Recipient(destination=ADA, language="en", zone=UTC),
            Recipient(destination=GRACE, language="es", zone=UTC),
            Recipient(destination="telegram:1001", language="en", zone=UTC),
        ]
    )
    are_known: asyncio.Event = field(default_factory=asyncio.Event)

    async def of_stack(self, stack: str | None) -> Sequence[Recipient]:
        await self.are_known.wait()
        return self.all


@dataclass(kw_only=True)
class PaperWorld:
    """A tracker whose incidents are shown on paper, over real records."""

    home: Path
    paper: PaperNotifier = field(default_factory=PaperNotifier)
    readers: Readers = field(default_factory=Readers)

    @asynccontextmanager
    async def running(self, *, is_shown: bool = True) -> AsyncIterator[PaperWorld]:
        """One life of the program; `is_shown`: whether it lives long enough to show anything."""
        clock, settings = SystemClock(), Settings(data_dir=self.home)
        self.readers.are_known.set()
        async with Knowledge(settings, clock) as knowledge, Tasks() as tasks:
            bus = Bus()
            self.outbox = knowledge.outbox
            self.tracker = IncidentTracker(
                store=knowledge.incidents, silences=knowledge.silences, bus=bus, clock=clock, settings=settings.watch
            )
            await self.tracker.take_up()
            self.writer = OutboxWriter(knowledge.outbox, self.paper)
            worker = OutboxWorker(
                outbox=knowledge.outbox,
                writer=self.writer,
                notifier=self.paper,
                clock=clock,
                tasks=tasks,
                on_refused=self._refused,
            )
            self.notices = IncidentNotices("paper", self._deps(knowledge), rest_s=0.3)
            self.notices.subscribe(bus)
            await self.notices.resync()
            if is_shown:
                tasks.start("show", self.notices.run)
                tasks.start("deliver", worker.run)
            yield self

    async def _refused(self, destination: Destination, problem: str) -> None:
        return None

    def _deps(self, knowledge: Knowledge) -> NoticeDeps:
        async def names() -> dict[str, str]:
            return {}

        views = CardViews(
            calls=knowledge.ledger,
            questions=knowledge.approvals,
            deploys=knowledge.deploys,
            versions=knowledge.versions,
            inventory=Inventory,
            names=names,
            is_followed=lambda _: False,
            clock=SystemClock(),
        )
        return NoticeDeps(
            incidents=self.tracker,
            past=knowledge.incidents,
            views=views,
            audience=self.readers,
            messages=self.writer,
            clock=SystemClock(),
        )

    async def trouble(self, service: str = "api") -> Incident:
        now = datetime.now(UTC)
        alert = Alert(
            kind=AlertKind.CONTAINER_DIED,
            severity=Severity.CRITICAL,
            host="local",
            stack="granada",
            service=service,
            container=f"granada-{service}-1",
            at=now,
            message=text("alert.container_died.oom", service=f"granada/{service}", limit=512),
        )
        incident = await self.tracker.raise_alert(alert, topology(Inventory(), "local"))
        assert incident is not None
        return incident

    async def become(self, incident: Incident, state: IncidentState, **more: object) -> None:
        await self.tracker.update(incident.id, lambda one: replace(one, state=state, **more))  # type: ignore[arg-type]

    async def until(self, destination: Destination, found: Callable[[list[str]], object], what: str) -> None:
        await eventually(lambda: found(self.paper.of(destination)), 10, what=what)

    async def quiet(self) -> None:
        """Everything is shown and delivered."""
        await self.notices.settle(5)

        async def is_over() -> bool:
            return not await self.outbox.count_pending()

        await eventually(is_over, 10, what="nothing pending")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "data"


async def test_a_channel_of_one_class_shows_cards_and_pages_in_each_language(home: Path) -> None:
    async with PaperWorld(home=home).running() as world:
        incident = await world.trouble()
        await world.until(ADA, lambda sheets: len(sheets) == 1 and "granada/api" in sheets[0], "Ada's card")
        await world.until(GRACE, lambda sheets: len(sheets) == 1, "Grace's card")
        assert world.paper.of(ADA) != world.paper.of(GRACE)
        await world.become(incident, IncidentState.ESCALATED)
        await world.until(ADA, lambda sheets: len(sheets) == 2, "the page")
        assert "Someone needs to take over" in world.paper.of(ADA)[1]
        await world.become(incident, IncidentState.RESOLVED)
        await world.until(ADA, lambda sheets: len(sheets) == 3 and sheets[2].endswith("solved."), "the good news")
        assert not world.paper.of("telegram:1001")


async def test_the_watch_does_not_wait_for_whoever_is_looked_up_or_rendered(home: Path) -> None:
    async with PaperWorld(home=home).running() as world:
        world.readers.are_known.clear()
        async with asyncio.timeout(5):
            incident = await world.trouble()
            await world.become(incident, IncidentState.DIAGNOSING)
        assert not world.paper.sheets
        world.readers.are_known.set()
        await world.until(ADA, lambda sheets: len(sheets) == 1 and "Looking for the cause" in sheets[0], "the card")


async def test_many_changes_in_a_moment_are_rendered_once(home: Path) -> None:
    async with PaperWorld(home=home).running() as world:
        incident = await world.trouble()
        await world.notices.settle(5)
        rendered = world.writer.rendered
        for number in range(20):
            message = (text("act.up.says", target=f"s{number}"),)
            await world.tracker.update(incident.id, partial(replace, plan_steps=message))
        await world.until(ADA, lambda sheets: "Start s19" in sheets[0], "the newest plan")
        assert world.writer.rendered - rendered <= 4  # two readers, and once more should the machine be slow


async def test_what_shows_already_is_not_rendered_again(home: Path) -> None:
    async with PaperWorld(home=home).running() as world:
        incident = await world.trouble()
        await world.notices.settle(5)
        rendered = world.writer.rendered
        world.notices.mark(incident.id)
        await world.notices.settle(5)
        assert world.writer.rendered == rendered


async def test_what_a_killed_program_had_not_shown_is_shown_by_the_next_one(home: Path) -> None:
    world = PaperWorld(home=home)
    async with world.running(is_shown=False):
        incident = await world.trouble()
        reason = text("agent.no_rule")
        await world.become(incident, IncidentState.ESCALATED, outcome=reason)
    async with world.running():
        await world.until(ADA, lambda sheets: len(sheets) == 2, "the card and the page")
        card, page = world.paper.of(ADA)
        said = world.paper.texts.render(reason, "en")
        assert "granada/api" in card and said in card
        assert said in page
        await world.quiet()
    async with world.running():
        await world.quiet()
        assert len(world.paper.of(ADA)) == 2


async def test_what_was_refused_is_said_anew(home: Path) -> None:
    async with PaperWorld(home=home).running() as world:
        world.paper.refuses.add(ADA)
        incident = await world.trouble()
        await world.until(GRACE, lambda sheets: len(sheets) == 1, "Grace's card")
        await asyncio.sleep(0.3)
        world.paper.refuses.clear()
        await world.become(incident, IncidentState.DIAGNOSING)
        await world.until(ADA, lambda sheets: len(sheets) == 1 and "Looking for the cause" in sheets[0], "the card")

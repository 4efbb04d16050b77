"""The read models without any face: each person sees their own stacks, and buttons name commands, never a channel."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core.actions.catalog import Role
from core.bus import Bus
from core.clock import SystemClock
from core.incidents.alert_kinds import AlertKind
from core.incidents.alerts import Alert, Severity
from core.incidents.incident import Incident
from core.incidents.tracker import IncidentTracker
from core.monitoring.inventory import ContainerState, Host, Inventory
from core.monitoring.snapshot import Sample
from core.monitoring.topology import Topology
from core.people import Person
from core.settings import Settings
from core.text import Text, text
from core.views.cards import ButtonAction, Card, Folded, Line
from core.views.incident_list import incident_list
from core.views.stack_card import health_card, stack_card
from core.views.status_overview import status_overview
from core.views.view_context import ViewContext
from knowledge.config.text_files import load_texts
from knowledge.stores import Knowledge
from tests.core.scripted_watcher import container

NOW = datetime(2026, 3, 4, 2, 15, tzinfo=UTC)
ADA = Person(user_id=1, name="Ada", role=Role.ADMIN)
GRACE = Person(user_id=3, name="Grace", stack_roles={"blog": Role.VIEWER})


@dataclass(kw_only=True)
class Views:
    """A shop in trouble and a blog that is well."""

    knowledge: Knowledge
    tracker: IncidentTracker
    inventory: Inventory

    def of(self, person: Person) -> ViewContext:
        """One look of a person."""
        return ViewContext(
            person=person,
            watched=self.inventory,
            latest=lambda _: Sample(at=NOW, cpu_pct=12.0, memory_bytes=2**29, memory_limit_bytes=2**30),
            platform=None,
            firing=self.tracker.open_ones(),
            incidents=self.knowledge.incidents,
            deploys=self.knowledge.deploys,
            redact=lambda words: words.replace("hunter2", "…"),
            now=NOW,
            zone=UTC,
        )

    async def trouble(self, stack: str) -> Incident:
        """Its container died."""
        alert = Alert(
            kind=AlertKind.CONTAINER_DIED,
            severity=Severity.CRITICAL,
            host="local",
            stack=stack,
            service="api",
            container=f"{stack}-api-1",
            at=NOW - timedelta(minutes=1),
            message=text("alert.container_died.oom", service=f"{stack}/api", limit=512),
        )
        incident = await self.tracker.raise_alert(alert, Topology())
        assert incident is not None
        return incident


@pytest.fixture
async def views(tmp_path: Path) -> AsyncIterator[Views]:
    """Give the views over SQLite."""
    settings, clock = Settings(data_dir=tmp_path), SystemClock()
    async with Knowledge(settings, clock) as knowledge:
        tracker = IncidentTracker(
            store=knowledge.incidents, silences=knowledge.silences, bus=Bus(), clock=clock, settings=settings.watch
        )
        containers = (
            container("shop-api-1", state=ContainerState.EXITED, exit_code=137, error="exec --password hunter2"),
            container("shop-web-1"),
            container("blog-api-1", stack="blog"),
        )
        yield Views(
            knowledge=knowledge,
            tracker=tracker,
            inventory=Inventory(hosts=(Host(name="local"),), containers=containers),
        )


def _lines(card: Card) -> list[str]:
    texts = load_texts()

    def shown(words: Text | str) -> str:
        return texts.render(words, "en") if isinstance(words, Text) else words

    def lines() -> Iterable[str]:
        for block in card.blocks:
            if isinstance(block, Line):
                yield "".join(shown(span.words) for span in block.spans)
            elif isinstance(block, Folded):
                yield from (shown(one) for one in block.lines)

    return list(lines())


def _buttons(card: Card) -> list[tuple[str, str]]:
    pressed = [button for row in card.buttons for button in row]
    assert all(one.press is ButtonAction.COMMAND for one in pressed)
    return [(one.subject, one.detail) for one in pressed]


async def test_the_overview_shows_trouble_first_and_leads_to_it(views: Views) -> None:
    await views.trouble("shop")
    card = await status_overview(views.of(ADA), is_frozen=True)
    lines = _lines(card)
    assert [one.split()[0] for one in lines if one.split()[0] in ("shop", "blog")] == ["shop", "blog"]
    assert _buttons(card) == [("services", "shop")]
    assert "frozen" in lines[-1]


async def test_nobody_hears_of_a_stack_that_they_may_not_see(views: Views) -> None:
    await views.trouble("shop")
    overview = await status_overview(views.of(GRACE), is_frozen=False)
    listed = await incident_list(views.of(GRACE), 10)
    shop = views.inventory.stack("shop", "local")
    assert shop is not None
    refused = [await stack_card(views.of(GRACE), shop), await health_card(views.of(GRACE), shop)]
    for card in (overview, listed, *refused):
        assert "shop" not in " ".join(_lines(card)) and not card.buttons
    headline = overview.blocks[0]
    assert isinstance(headline, Line)
    assert headline.spans[0].words == text("status.well", count=1, stacks=1)


async def test_incidents_are_listed_open_ones_first(views: Views) -> None:
    first = await views.trouble("shop")
    second = await views.trouble("blog")
    await views.tracker.update(second.id, lambda one: one.closed(NOW, text("incident.outcome.closed", who="", why="")))
    assert _buttons(await incident_list(views.of(ADA), 10)) == [("incident", str(one.id)) for one in (first, second)]
    assert _buttons(await incident_list(views.of(GRACE), 10)) == [("incident", str(second.id))]
    assert _buttons(await incident_list(views.of(ADA), 1)) == [("incident", str(first.id))]


async def test_a_stack_and_its_health_are_told_without_secrets(views: Views) -> None:
    shop = views.inventory.stack("shop", "local")
    assert shop is not None
    card = await stack_card(views.of(ADA), shop)
    assert _buttons(card) == [("logs", "shop/api")]
    assert "CPU 12 %" in _lines(card)[0]
    assert "hunter2" not in " ".join(_lines(await health_card(views.of(ADA), shop)))

"""Keeps the cards of incidents up to date and pages people, in a task of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta, tzinfo
from typing import Protocol

import structlog

from core.actions.executor import CallFinished, CallStarted
from core.actions.gateway import ApprovalAsked, ApprovalClosed
from core.bus import Bus
from core.clock import Clock
from core.incidents.incident import Incident
from core.incidents.incident_events import (
    AlertJoined,
    AlertRepeated,
    IncidentChanged,
    IncidentMerged,
    IncidentOpened,
    IncidentRecovered,
)
from core.incidents.paging import PAGING, Page, Recipient, good_news_of, is_silent, page_of
from core.notifications import Destination, OutgoingMessage
from core.text import Text
from core.views.cards import Card, line
from core.views.incident_card import IncidentView, incident_card

JOIN_S = 0.1
"""Changes of one incident within this time are shown together; its very first card is sent at once."""
REST_S = 1.5
"""Minimum time between two versions of a card, except for urgent news: a channel would hold it back anyway."""
TICK_REST_S = 10.0
"""The same if only the end of the verification window has moved."""
SHOWN_AGAIN = timedelta(hours=24)
"""After a start, incidents closed within this time still get the last edit they may have missed."""
RECENT = 50
log = structlog.get_logger(__name__)


class OpenIncidents(Protocol):
    """The current incidents."""

    def open_ones(self) -> Sequence[Incident]:
        """Return all open incidents, oldest first."""
        ...

    async def get(self, incident_id: int) -> Incident | None:
        """Return the incident, open or closed; None: there is none."""
        ...


class PastIncidents(Protocol):
    """Records of incidents."""

    async def recent(self, limit: int) -> Sequence[Incident]:
        """Return the newest first, closed ones too."""
        ...


class Views(Protocol):
    """Views for the cards."""

    async def incident(self, incident: Incident, zone: tzinfo) -> IncidentView:
        """Return the incident with all data for its card."""
        ...


class Audience(Protocol):
    """Destinations of a stack's cards."""

    async def of_stack(self, stack: str | None) -> Sequence[Recipient]:
        """Return every destination of the stack's cards."""
        ...


class Messages(Protocol):
    """The outbox of a channel."""

    async def post(self, *messages: OutgoingMessage) -> None:
        """Queue messages, or newer versions of them, in one transaction."""
        ...

    async def was_said(self, key: str) -> bool:
        """Return whether a message was sent or queued under that key."""
        ...

    async def keys(self, stem: str) -> set[str]:
        """Return all keys in use that begin with `stem`."""
        ...


@dataclass(frozen=True, kw_only=True)
class NoticeDeps:
    """Everything the notices need."""

    incidents: OpenIncidents
    past: PastIncidents
    views: Views
    audience: Audience
    messages: Messages
    clock: Clock


@dataclass(kw_only=True)
class _Mark:
    """An incident whose card may be out of date."""

    due_s: float
    why: Text | None = None


class IncidentNotices:
    """Shows incidents over one channel: events only mark the changed ones, `run` reads, renders and posts.

    A mark needs no record of its own: after a start `resync` marks everything that may not have been shown.
    """

    def __init__(self, scheme: str, deps: NoticeDeps, *, rest_s: float = REST_S) -> None:
        self._scheme = scheme
        self._deps = deps
        self._rest_s = rest_s
        self._shown_at: dict[int, float] = {}
        self._marks: dict[int, _Mark] = {}
        self._news = asyncio.Event()
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        self._explained: set[int] = set()

    def subscribe(self, bus: Bus) -> None:
        """Listen to every event that changes a card."""
        bus.subscribe(IncidentOpened, self._opened)
        bus.subscribe(IncidentChanged, self._changed)
        bus.subscribe(AlertRepeated, self._touched)
        bus.subscribe(AlertJoined, self._touched)
        bus.subscribe(IncidentRecovered, self._touched)
        bus.subscribe(IncidentMerged, self._merged)
        bus.subscribe(ApprovalAsked, self._asked)
        bus.subscribe(ApprovalClosed, self._asked)
        bus.subscribe(CallStarted, self._called)
        bus.subscribe(CallFinished, self._called)

    def mark(
        self, incident_id: int, *, why: Text | None = None, is_urgent: bool = False, rest_s: float | None = None
    ) -> None:
        """Mark an incident to be shown soon; `why`: a sentence to page with; `rest_s`: time since it was last shown."""
        due_s = asyncio.get_running_loop().time() + JOIN_S
        shown_at = self._shown_at.get(incident_id)
        if not is_urgent and shown_at is not None:
            due_s = max(due_s, shown_at + (self._rest_s if rest_s is None else rest_s))
        self._mark(incident_id, due_s, why)

    def _mark(self, incident_id: int, due_s: float, why: Text | None) -> None:
        known = self._marks.setdefault(incident_id, _Mark(due_s=due_s))
        known.due_s, known.why = min(due_s, known.due_s), why or known.why
        self._is_idle.clear()
        self._news.set()

    async def resync(self) -> None:
        """Bring every card up to date after a start; messages that were never sent are sent."""
        since = self._deps.clock.now() - SHOWN_AGAIN
        recent = await self._deps.past.recent(RECENT)
        closed = [one for one in recent if not one.is_open and one.updated_at >= since]
        for incident in [*self._deps.incidents.open_ones(), *closed]:
            self.mark(incident.id)

    async def run(self) -> None:
        """Show the marked incidents, until cancelled; those that could not be shown stay marked."""
        loop = asyncio.get_running_loop()
        while True:
            self._news.clear()
            for incident_id, mark in sorted(self._marks.items(), key=lambda item: item[1].due_s):
                if mark.due_s <= loop.time():
                    await self._take(incident_id)
            if not self._marks:
                self._is_idle.set()
            await self._until_due()

    async def settle(self, limit_s: float) -> None:
        """Wait until every marked incident is shown, for `limit_s` at most."""
        try:
            async with asyncio.timeout(limit_s):
                await self._is_idle.wait()
        except TimeoutError:
            log.warning("not every card could be shown in time", incidents=sorted(self._marks))

    async def _until_due(self) -> None:
        next_s = min((mark.due_s for mark in self._marks.values()), default=None)
        try:
            async with asyncio.timeout_at(next_s):
                await self._news.wait()
        except TimeoutError:
            return

    async def _take(self, incident_id: int) -> None:
        mark = self._marks.pop(incident_id)
        try:
            await self._show(incident_id, mark.why)
        except BaseException:  # cut off or failed: it is still to be shown
            self.mark(incident_id, why=mark.why, is_urgent=True)
            raise

    # -- one incident ------------------------------------------------------------------------------------------------

    async def _show(self, incident_id: int, why: Text | None) -> None:
        incident = await self._deps.incidents.get(incident_id)
        if incident is None:
            return
        recipients = [one for one in await self._deps.audience.of_stack(incident.stack) if self._reaches(one)]
        if not recipients:
            return
        view = await self._deps.views.incident(incident, recipients[0].zone)
        is_telling = self._is_telling(incident)
        for recipient in recipients:
            await self._tell(replace(view, zone=recipient.zone), recipient, why, is_telling=is_telling)
        if is_telling and incident.diagnosis is not None:
            self._explained.add(incident.id)
        self._shown_at[incident.id] = asyncio.get_running_loop().time()
        if not incident.is_open:
            self._explained.discard(incident.id)
            self._shown_at.pop(incident.id)

    def _reaches(self, recipient: Recipient) -> bool:
        return recipient.destination.partition(":")[0] == self._scheme

    async def _tell(self, view: IncidentView, recipient: Recipient, why: Text | None, *, is_telling: bool) -> None:
        """Post the card and the page under it, in one transaction."""
        incident, destination = view.incident, recipient.destination
        key = f"card:{incident.id}:{destination}"
        card = OutgoingMessage(
            destination=destination,
            key=key,
            card=incident_card(view),
            language=recipient.language,
            is_silent=is_silent(incident, recipient, self._deps.clock.now()),
            is_urgent=is_telling or not await self._deps.messages.was_said(key),
            incident_id=incident.id,
        )
        page = await self._page(view, destination, why)
        if page is None:
            await self._deps.messages.post(card)
            return
        under = OutgoingMessage(
            destination=destination,
            key=f"{_pages(incident, destination)}{page.name}",
            card=Card(blocks=(line(page.message, tone=page.tone),)),
            language=recipient.language,
            under=key,
            incident_id=incident.id,
            only_once=True,
        )
        await self._deps.messages.post(card, under)

    async def _page(self, view: IncidentView, destination: Destination, why: Text | None) -> Page | None:
        page = page_of(view.incident, view.asked, why)
        if page is not None:
            return page
        news = good_news_of(view.incident)
        if news is None or not await self._deps.messages.keys(_pages(view.incident, destination)):
            return None
        return news

    def _is_telling(self, incident: Incident) -> bool:
        """Return whether the card has news that somebody waits for: a question, the end, or the cause if it is new."""
        is_news = incident.diagnosis is not None and incident.id not in self._explained
        return not incident.is_open or is_news or incident.state in PAGING

    # -- events ------------------------------------------------------------------------------------------------------

    async def _opened(self, event: IncidentOpened) -> None:
        self._mark(event.incident.id, asyncio.get_running_loop().time(), None)

    async def _changed(self, event: IncidentChanged) -> None:
        incident, is_urgent = event.incident, event.pages is not None or self._is_telling(event.incident)
        rest_s = TICK_REST_S if _has_only_ticked(event) else self._rest_s
        self.mark(incident.id, why=event.pages, is_urgent=is_urgent, rest_s=rest_s)

    async def _touched(self, event: AlertRepeated | AlertJoined | IncidentRecovered) -> None:
        self.mark(event.incident.id, is_urgent=self._is_telling(event.incident))

    async def _merged(self, event: IncidentMerged) -> None:
        self.mark(event.incident.id, is_urgent=True)
        self.mark(event.into.id)

    async def _asked(self, event: ApprovalAsked | ApprovalClosed) -> None:
        if event.approval.incident_id is not None:
            self.mark(event.approval.incident_id, is_urgent=True)

    async def _called(self, event: CallStarted | CallFinished) -> None:
        if event.record.call.incident_id is not None:
            self.mark(event.record.call.incident_id)


def _pages(incident: Incident, destination: Destination) -> str:
    return f"page:{incident.id}:{destination}:"


def _has_only_ticked(event: IncidentChanged) -> bool:
    """Return whether only the end of the verification window has moved."""
    before, after = event.before, event.incident
    moved = replace(before, verify_until=after.verify_until, updated_at=after.updated_at)
    return before.verify_until is not None and after.verify_until is not None and moved == after

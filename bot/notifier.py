"""Keeps the cards in the chats what the records say: living incident cards, questions, and how wishes ended."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from bot.chat_face_deps import BotDeps
from bot.delivery.outbox import Letter, Postbox
from bot.views import incident_view, names, zone_of
from core.actions.approvals import Approval
from core.actions.calls import CallRecord
from core.actions.catalog import JsonObject, Role
from core.actions.executor import CallFinished, CallStarted
from core.actions.gateway import ApprovalAsked, ApprovalClosed
from core.actions.gateway import call_description as call_says
from core.actions.policy import ActorKind
from core.incidents.alerts import Severity
from core.incidents.incident import Incident, IncidentState
from core.incidents.incident_events import (
    AlertJoined,
    AlertRepeated,
    IncidentChanged,
    IncidentMerged,
    IncidentOpened,
    IncidentRecovered,
)
from core.text import LANGUAGES, Language, Text, text
from core.views.call_cards import end_card, group_card, group_end_card, question_card, running_card
from core.views.cards import Card, Tone, line
from core.views.incident_card import incident_card
from knowledge.records.message_records import CardPlace
from knowledge.records.people_records import Person

PAGING = frozenset(
    {IncidentState.NEEDS_APPROVAL, IncidentState.ESCALATED, IncidentState.ROLLED_BACK, IncidentState.EXPIRED}
)
"""States of which a person should hear, not only see a card change."""
GOOD_NEWS = frozenset({IncidentState.RESOLVED, IncidentState.RECOVERED})
SHOWN_AGAIN = timedelta(hours=24)
"""At a start, closed incidents so old still get the last edit they may have missed."""
RECENT = 50
log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Audience:
    """A chat that gets an incident's card."""

    chat_id: int
    language: Language
    person: Person | None = None
    """Whose private chat it is."""


class TelegramNotifier:
    """Listens to the bus and writes to the postbox; what it writes comes from the records alone."""

    def __init__(self, face: BotDeps, postbox: Postbox, moved: Callable[[int], int]) -> None:
        self._face = face
        self._postbox = postbox
        self._moved = moved
        self._explained: set[int] = set()
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def subscribe(self) -> None:
        """Hear of everything that changes a card."""
        bus = self._face.bus
        bus.subscribe(IncidentOpened, self._opened)
        bus.subscribe(IncidentChanged, self._changed)
        bus.subscribe(AlertRepeated, self._touched)
        bus.subscribe(AlertJoined, self._touched)
        bus.subscribe(IncidentRecovered, self._touched)
        bus.subscribe(IncidentMerged, self._merged)
        bus.subscribe(ApprovalAsked, self._asked)
        bus.subscribe(ApprovalClosed, self._closed)
        bus.subscribe(CallStarted, self._started)
        bus.subscribe(CallFinished, self._finished)

    async def resync(self) -> None:
        """After a start: bring every chat to what the records say; what was never sent is sent."""
        recent = await self._face.incidents.recent(RECENT)
        since = self._face.clock.now() - SHOWN_AGAIN
        closed = [one for one in recent if not one.is_open and one.updated_at >= since]
        for incident in [*await self._face.incidents.open_ones(), *closed]:
            await self.show(incident.id)
        for approval in await self._face.door.approvals.pending():
            if approval.incident_id is None:
                await self._show_question(approval)
        for run in await self._face.runs.list(kind="call", limit=RECENT):
            record = await self._face.door.ledger.get(str(run.payload.get("key", "")))
            if record is not None and record.state.is_final:
                await self._tell_end(record)

    # -- incidents ---------------------------------------------------------------------------------------------------

    async def show(self, incident_id: int, pages: Text | None = None) -> None:
        """Bring an incident's card in every chat to what the records say; `pages`: what a person must hear of."""
        lock = self._locks[f"incident {incident_id}"]
        async with lock:
            incident = await self._face.desk.get(incident_id)
            if incident is None:
                return
            is_telling = self._is_telling(incident)
            for audience in await self.audience(incident.stack):
                row_id = await self._card(incident, audience, is_telling=is_telling)
                await self._page(incident, audience, row_id, pages)
        if not incident.is_open:
            self._locks.pop(f"incident {incident_id}", None)

    async def _card(self, incident: Incident, audience: Audience, *, is_telling: bool) -> int:
        view = await incident_view(self._face, incident, zone_of(self._face, audience.person))
        key = f"card:{incident.id}:{audience.chat_id}"
        is_urgent = is_telling or await self._face.outbox.by_key(key) is None
        row_id = await self._postbox.post(
            Letter(
                chat_id=audience.chat_id,
                card=incident_card(view),
                language=audience.language,
                key=key,
                is_silent=self._is_quiet(incident, audience.person),
                is_urgent=is_urgent,
                incident_id=incident.id,
            )
        )
        await self._face.cards.place(CardPlace(incident_id=incident.id, chat_id=audience.chat_id, outbox_id=row_id))
        return row_id

    async def _page(self, incident: Incident, audience: Audience, card_row: int, pages: Text | None) -> None:
        """One line under the card, once for each state that needs somebody; and the good news to whom was paged."""
        if incident.is_flapping:
            return
        is_paging = incident.state in PAGING
        if incident.is_open and (is_paging or pages is not None):
            key = _page_key(incident, audience.chat_id, incident.attempt)
            fallback = f"card.reply.{incident.state}" if is_paging else "card.reply.escalated"
            says = text(fallback, id=incident.id, target=incident.target)
            asked = await self._asked_of(incident) if incident.state is IncidentState.NEEDS_APPROVAL else []
            if asked:
                says = _asking(incident, asked)
            elif pages is not None:
                says = text("card.reply.because", id=incident.id, target=incident.target, why=pages)
            tone = Tone.ASK if incident.state is IncidentState.NEEDS_APPROVAL else Tone.PAGE
        elif incident.state in GOOD_NEWS and await self._was_paged(incident, audience.chat_id):
            key = f"page:{incident.id}:{audience.chat_id}:end"
            says = text(f"card.reply.{incident.state}", id=incident.id, target=incident.target)
            tone = Tone.GOOD
        else:
            return
        await self._postbox.post(
            Letter(
                chat_id=audience.chat_id,
                card=Card(blocks=(line(says, tone=tone),)),
                language=audience.language,
                key=key,
                under=card_row,
                incident_id=incident.id,
                only_once=True,
            )
        )

    async def _asked_of(self, incident: Incident) -> list[Approval]:
        return [one for one in await self._face.door.approvals.pending() if one.incident_id == incident.id]

    def _is_telling(self, incident: Incident) -> bool:
        """Whether the card brings what somebody waits for: a question, the end, or, for the first time, the cause."""
        if not incident.is_open:
            self._explained.discard(incident.id)
            return True
        is_news = incident.diagnosis is not None and incident.id not in self._explained
        if is_news:
            self._explained.add(incident.id)
        return is_news or incident.state in PAGING

    async def _was_paged(self, incident: Incident, chat_id: int) -> bool:
        for state in (*PAGING, None):
            for attempt in range(incident.attempt + 1):
                was = incident if state is None else replace(incident, state=state)
                if await self._face.outbox.by_key(_page_key(was, chat_id, attempt)) is not None:
                    return True
        return False

    def _is_quiet(self, incident: Incident, person: Person | None) -> bool:
        """Critical is loud; routine is silent, and in a person's quiet hours warnings are too."""
        if incident.is_flapping or incident.severity is Severity.INFO:
            return True
        return incident.severity is Severity.WARNING and person is not None and self._is_resting(person)

    def _is_resting(self, person: Person) -> bool:
        if not person.quiet_from or not person.quiet_to:
            return False
        clock = self._face.clock.now().astimezone(zone_of(self._face, person)).strftime("%H:%M")
        if person.quiet_from <= person.quiet_to:
            return person.quiet_from <= clock < person.quiet_to
        return clock >= person.quiet_from or clock < person.quiet_to

    async def audience(self, stack: str | None) -> list[Audience]:
        """The stack's own chat, the chats of the settings, or every admin's private chat."""
        own = self._face.settings.stacks.get(stack or "")
        chats = [own.chat] if own is not None and own.chat is not None else self._face.settings.telegram.alert_chats
        if chats:
            return [
                Audience(chat_id=self._moved(chat), language=await self.language(chat), person=None) for chat in chats
            ]
        admins = [person for person in await self._face.people.all() if person.role is Role.ADMIN]
        return [
            Audience(
                chat_id=person.user_id, language=person.language or await self.language(person.user_id), person=person
            )
            for person in admins
        ]

    async def language(self, chat_id: int) -> Language:
        """What a chat has chosen, or the settings' language."""
        return await self._face.changed.language(chat_id) or self._face.settings.language

    async def _opened(self, event: IncidentOpened) -> None:
        await self.show(event.incident.id)

    async def _changed(self, event: IncidentChanged) -> None:
        await self.show(event.incident.id, event.pages)

    async def _touched(self, event: AlertRepeated | AlertJoined | IncidentRecovered) -> None:
        await self.show(event.incident.id)

    async def _merged(self, event: IncidentMerged) -> None:
        await self.show(event.incident.id)
        await self.show(event.into.id)

    # -- questions and wishes ----------------------------------------------------------------------------------------

    async def _asked(self, event: ApprovalAsked) -> None:
        await self._question_moved(event.approval)

    async def _closed(self, event: ApprovalClosed) -> None:
        await self._question_moved(event.approval)

    async def _question_moved(self, approval: Approval) -> None:
        if approval.incident_id is not None:
            await self.show(approval.incident_id)
        else:
            await self._show_question(approval)

    async def show_question(self, approval: Approval) -> None:
        """Bring the card of a question to what the records say: a confirmation was added."""
        await self._question_moved(approval)

    async def _show_question(self, approval: Approval) -> None:
        record = await self._face.door.ledger.get(approval.call_keys[0]) if approval.call_keys else None
        if record is None:
            return
        async with self.wish_lock(record.call.key):
            if await self._has_card(record):
                return
            for letter in await self.letters(record, f"ask:{approval.id}"):
                now, zone = self._face.clock.now(), zone_of(self._face, None)
                card = question_card(approval, now, zone, await names(self._face))
                await self._postbox.post(replace(letter, card=card))

    async def _started(self, event: CallStarted) -> None:
        if event.record.call.incident_id is not None:
            await self.show(event.record.call.incident_id)

    async def _finished(self, event: CallFinished) -> None:
        if event.record.call.incident_id is not None:
            await self.show(event.record.call.incident_id)
        else:
            await self._tell_end(event.record)

    async def _tell_end(self, record: CallRecord) -> None:
        """Reply to whoever wished it how it ended, and take the waiting sign off the first answer."""
        if record.call.incident_id is not None or record.call.actor.kind is not ActorKind.PERSON:
            return
        if await self._has_card(record):
            return
        if not isinstance(record.call.origin.get("group"), list):
            card = end_card(record, call_says(record.call), await names(self._face))
            for letter in await self.letters(record, f"end:{record.call.key}"):
                await self._postbox.post(replace(letter, card=card, only_once=True))
        await self.acknowledge(record.call.key)

    def wish_lock(self, key: str) -> asyncio.Lock:
        """Held while the first answer to a wish, or the card that takes its place, is written."""
        return self._locks[f"wish {key}"]

    async def _has_card(self, record: CallRecord) -> bool:
        """Whether a deploy's own card tells how it stands, and tells its end."""
        deploy = await self._face.deploys.get(record.call.key)
        return deploy is not None and (deploy.phase.is_over or not record.state.is_final)

    async def acknowledge(self, key: str) -> None:
        """The first answer to a wish, while it is under way; wishes that belong together share one."""
        record = await self._face.door.ledger.get(key)
        if record is None or await self._has_card(record):
            return
        group = record.call.origin.get("group")
        stem = str(group[0]) if isinstance(group, list) else key
        async with self.wish_lock(stem):
            if isinstance(group, list):
                await self._group(record, [str(one) for one in group])
                return
            record = await self._face.door.ledger.get(key) or record
            if await self._has_card(record):
                return
            first = f"run:{key}"
            if record.state.is_final and await self._face.outbox.by_key(first) is None:
                return  # it ended at once: the end says it all
            for letter in await self.letters(record, first):
                await self._postbox.post(replace(letter, card=running_card(call_says(record.call), record.state)))
        if record.state.is_final:
            self._locks.pop(f"wish {stem}", None)

    async def _group(self, record: CallRecord, keys: Sequence[str]) -> None:
        found = [await self._face.door.ledger.get(key) for key in keys]
        records = [one for one in found if one is not None]
        for letter in await self.letters(record, f"run:{keys[0]}"):
            await self._postbox.post(replace(letter, card=group_card(records)))
        if all(one.state.is_final for one in records):
            for letter in await self.letters(record, f"end:{keys[0]}"):
                await self._postbox.post(replace(letter, card=group_end_card(records), only_once=True))

    async def letters(self, record: CallRecord, key: str) -> list[Letter]:
        """An empty letter to where a wish came from; none when it came from no chat. Its key edits what it names."""
        origin = record.call.origin
        chat, language = origin.get("chat"), origin.get("language")
        if not isinstance(chat, int):
            return []
        known = next((one for one in LANGUAGES if one == language), self._face.settings.language)
        return [
            Letter(
                chat_id=self._moved(chat),
                thread_id=_whole(origin, "thread"),
                card=Card(blocks=()),
                language=known,
                key=key,
                reply_to=_whole(origin, "message"),
            )
        ]


def _asking(incident: Incident, asked: Sequence[Approval]) -> Text:
    if len(asked) == 1 and asked[0].says:
        return text("card.reply.needs_plan", id=incident.id, target=incident.target, plan=asked[0].says[0])
    return text("card.reply.needs_plans", id=incident.id, target=incident.target, count=len(asked))


def _whole(origin: JsonObject, name: str) -> int | None:
    value = origin.get(name)
    return value if isinstance(value, int) else None


def _page_key(incident: Incident, chat_id: int, attempt: int) -> str:
    state = incident.state if incident.state in PAGING else "other"
    return f"page:{incident.id}:{chat_id}:{state}:{attempt}"

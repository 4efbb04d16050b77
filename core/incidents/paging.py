"""Paging rules: recipients of an incident's messages, their loudness, and the pages sent besides its card."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from core.actions.approvals import Approval
from core.actions.catalog import Role
from core.incidents.alerts import Severity
from core.incidents.incident import Incident, IncidentState
from core.notifications import Destination, destination_of
from core.people import Person
from core.settings import Settings
from core.text import Language, Text, text
from core.views.cards import Tone

PAGING = frozenset(
    {IncidentState.NEEDS_APPROVAL, IncidentState.ESCALATED, IncidentState.ROLLED_BACK, IncidentState.EXPIRED}
)
"""States that page a person; for the others an updated card is enough."""
GOOD_NEWS = frozenset({IncidentState.RESOLVED, IncidentState.RECOVERED})
HANDED_OVER = frozenset({IncidentState.ESCALATED, IncidentState.EXPIRED})
"""States whose outcome is the reason why a person is needed."""
CHAT = "telegram"
"""Channel of the chats in the settings and of people's user ids."""


@dataclass(frozen=True, kw_only=True)
class Recipient:
    """A destination that gets an incident's card."""

    destination: Destination
    language: Language
    zone: tzinfo
    quiet_from: str | None = None
    """`HH:MM` in its zone; None: no quiet hours."""
    quiet_to: str | None = None

    def is_resting(self, now: datetime) -> bool:
        """Return whether `now` is within its quiet hours."""
        if not self.quiet_from or not self.quiet_to:
            return False
        clock = now.astimezone(self.zone).strftime("%H:%M")
        if self.quiet_from <= self.quiet_to:
            return self.quiet_from <= clock < self.quiet_to
        return clock >= self.quiet_from or clock < self.quiet_to


@dataclass(frozen=True, kw_only=True)
class Page:
    """One message under a card that a person must hear."""

    name: str
    """Part of the message's key: each page is sent once."""
    message: Text
    tone: Tone


class Recipients:
    """Finds the destinations of a stack's cards."""

    def __init__(
        self,
        settings: Settings,
        people: Callable[[], Awaitable[Sequence[Person]]],
        chat_language: Callable[[int], Awaitable[Language | None]],
        current: Callable[[Destination], Destination],
    ) -> None:
        """Create it; `chat_language`: a chat's chosen language; `current`: a destination's current address."""
        self._settings = settings
        self._people = people
        self._chat_language = chat_language
        self._current = current

    async def of_stack(self, stack: str | None) -> list[Recipient]:
        """Return the stack's own chat, the chats of the settings, or every admin's private chat."""
        own = self._settings.stacks.get(stack or "")
        chats = [own.chat] if own is not None and own.chat is not None else self._settings.telegram.alert_chats
        if chats:
            return [await self._chat(chat) for chat in chats]
        return [await self._admin(person) for person in await self._people() if person.role is Role.ADMIN]

    async def language(self, chat_id: int) -> Language:
        """Return the chat's chosen language, or the settings' one."""
        return await self._chat_language(chat_id) or self._settings.language

    async def _chat(self, chat_id: int) -> Recipient:
        return Recipient(
            destination=self._current(destination_of(CHAT, chat_id)),
            language=await self.language(chat_id),
            zone=zone_of(self._settings.timezone),
        )

    async def _admin(self, person: Person) -> Recipient:
        return Recipient(
            destination=destination_of(CHAT, person.user_id),
            language=person.language or await self.language(person.user_id),
            zone=zone_of(person.time_zone, self._settings.timezone),
            quiet_from=person.quiet_from,
            quiet_to=person.quiet_to,
        )


def zone_of(*names: object) -> tzinfo:
    """Return the first of these time zones that exists, else UTC."""
    for name in names:
        if isinstance(name, str):
            try:
                return ZoneInfo(name)
            except (ZoneInfoNotFoundError, ValueError):
                continue
    return UTC


def is_silent(incident: Incident, recipient: Recipient, now: datetime) -> bool:
    """Return whether the messages are silent: critical ones never, routine ones always, warnings in quiet hours."""
    if incident.is_flapping or incident.severity is Severity.INFO:
        return True
    return incident.severity is Severity.WARNING and recipient.is_resting(now)


def page_of(incident: Incident, asked: Sequence[Approval], why: Text | None = None) -> Page | None:
    """Return the page of an open incident, one per state and attempt, or None; `why`: a sentence to page with."""
    is_paging = incident.state in PAGING
    if incident.is_flapping or not incident.is_open or not (is_paging or why is not None):
        return None
    state = incident.state if is_paging else "other"
    name = f"{state}:{incident.attempt}"
    if incident.state is IncidentState.NEEDS_APPROVAL:
        return Page(name=name, message=_question(incident, asked, why), tone=Tone.ASK)
    if why is None and incident.state in HANDED_OVER and incident.outcome is not None:
        why = text("agent.page.escalated", reason=incident.outcome)  # again, in case the first page was lost
    return Page(name=name, message=_told(incident, str(incident.state), why), tone=Tone.PAGE)


def good_news_of(incident: Incident) -> Page | None:
    """Return the page about a good end, for whoever was paged before; None: no page."""
    if incident.is_flapping or incident.state not in GOOD_NEWS:
        return None
    return Page(name="end", message=_told(incident, str(incident.state), None), tone=Tone.GOOD)


def _question(incident: Incident, asked: Sequence[Approval], why: Text | None) -> Text:
    if not asked:
        return _told(incident, IncidentState.NEEDS_APPROVAL, why)
    if len(asked) == 1 and asked[0].message:
        return text("card.reply.needs_plan", id=incident.id, target=incident.target, plan=asked[0].message[0])
    return text("card.reply.needs_plans", id=incident.id, target=incident.target, count=len(asked))


def _told(incident: Incident, state: str, why: Text | None) -> Text:
    if why is not None:
        return text("card.reply.because", id=incident.id, target=incident.target, why=why)
    return text(f"card.reply.{state}", id=incident.id, target=incident.target)

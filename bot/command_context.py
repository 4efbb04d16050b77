"""A person's request to the bot with everything that a command needs to answer, and the forms of an answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING

from bot.delivery.destinations import chat_destination
from core.actions.catalog import JsonObject, Role
from core.notifications import Destination
from core.text import Language
from core.views.cards import Card
from core.views.view_context import ViewContext

if TYPE_CHECKING:
    from bot.bot_deps import BotDeps
    from bot.call_replies import CallReplies
    from bot.incoming.access import Access
    from core.decisions import Decisions
    from core.people import Person


@dataclass(frozen=True, kw_only=True)
class ChatLocation:
    """The chat, and the topic in it, where something was said."""

    chat_id: int
    thread_id: int | None = None
    is_private: bool

    @property
    def destination(self) -> Destination:
        """The same, as the outbox names it."""
        return chat_destination(self.chat_id, self.thread_id)


@dataclass(frozen=True, kw_only=True)
class CommandContext:
    """One command or tap of one person."""

    face: BotDeps
    replies: CallReplies
    """Tells how the calls go that come of it."""
    access: Access
    bot_name: str
    """The bot's own @name, without the @."""
    person: Person
    place: ChatLocation
    command: str
    words: str
    """The rest of the line behind the command."""
    key: str
    """The stem of the keys of the wishes that come of it; the same update always has the same."""
    message_id: int | None
    """The message to answer under."""
    language: Language
    zone: tzinfo
    now: datetime
    asked_at: datetime
    """The time when the message was written, or the tap came in."""
    update_id: int = 0
    incident_id: int | None = None
    """The incident whose card was replied to."""
    is_tap: bool = False
    is_fresh: bool = False
    """It was not handled before, not even in part, by an earlier process."""

    @property
    def decisions(self) -> Decisions:
        """The decisions that the person may make."""
        return self.face.decisions

    @property
    def view(self) -> ViewContext:
        """The present knowledge, as the person may see it."""
        return ViewContext(
            person=self.person,
            watched=self.face.inventory(),
            latest=self.face.latest,
            platform=self.face.platform(),
            firing=self.face.tracker.open_ones(),
            incidents=self.face.incidents,
            deploys=self.face.deploys,
            redact=self.face.redact,
            now=self.now,
            zone=self.zone,
        )

    def origin(self) -> JsonObject:
        """Whom to tell about the end of a call."""
        return {
            "chat": self.place.chat_id,
            "thread": self.place.thread_id,
            "message": self.message_id,
            "user": self.person.user_id,
            "language": self.language,
        }

    def for_command(self, name: str, words: str) -> CommandContext:
        """The same, as a command with these words behind it."""
        return replace(self, command=name, words=words)

    def may(self, role: Role, stack: str | None) -> bool:
        """Return True if the person has a role on a stack."""
        return self.person.may(role, stack)


@dataclass(frozen=True, kw_only=True)
class Later:
    """An answer that takes its time; whoever else asks is answered meanwhile."""

    work: Callable[[], Awaitable[CommandReply]]
    is_upload: bool = False


@dataclass(frozen=True, kw_only=True)
class Live:
    """An answer that changes for a while: each frame takes the place of the one before."""

    frames: Callable[[], AsyncIterator[Card]]


CommandReply = Card | Later | Live | Sequence[Card] | None

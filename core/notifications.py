"""Telling people: what is said to a destination, and what a channel to people (a chat, mail, push) must be able to do.

Who is told, how loudly and when is decided above a channel, in `core/incidents/paging.py` and `incident_notices.py`;
the outbox keeps the order and tries again. A new channel is one class, a `Notifier`, and its name in the root.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from core.actions.catalog import JsonObject
from core.text import Language
from core.views.cards import Card

Destination = str
"""Where a message goes, as text: the channel's name and what that channel calls the place, `telegram:-100123:7`."""


@dataclass(frozen=True, kw_only=True)
class OutgoingMessage:
    """One message to one destination, before a channel gives it a form."""

    destination: Destination
    key: str
    """Names the message: the same key edits what was sent under it."""
    card: Card
    language: Language
    reply_to: int | None = None
    """Id of the message that it answers, as the channel counts them."""
    under: str | None = None
    """Key of the message that it answers, whose id may not be known yet."""
    is_silent: bool = False
    is_urgent: bool = False
    """Goes before the pace of the channel: a new card, a cause, a question, an end."""
    incident_id: int | None = None
    """The incident it is about: an answer to it is about that incident too."""
    is_new: bool = False
    """Nothing was ever said under this key: no need to look."""
    only_once: bool = False
    """What was said under this key stays as it is."""


class MessageKind(StrEnum):
    """What is asked of a channel."""

    SEND = "send"
    EDIT = "edit"
    PHOTO = "photo"
    DOCUMENT = "document"


class MessageState(StrEnum):
    """pending → one of the others."""

    PENDING = "pending"
    SENT = "sent"
    UNKNOWN = "unknown"
    """Given up without knowing whether it arrived."""
    FAILED = "failed"
    """Refused: repeating it would not help."""


@dataclass(frozen=True, kw_only=True)
class QueuedMessage:
    """A message in the form of its channel, as the outbox holds it; `id` is 0 until it is there."""

    id: int = 0
    destination: Destination
    kind: MessageKind = MessageKind.SEND
    payload: JsonObject = field(default_factory=dict)
    """What `Notifier.render` made: text, buttons, caption …"""
    attachment: bytes | None = None
    key: str | None = None
    """A pending message of the same key takes this payload instead of a second place in the queue."""
    of: int | None = None
    """Outbox id of the message that an edit or reply is about; that one's own id is looked up when sending."""
    under: str | None = None
    """Key of the message that it answers, while `of` is not known yet."""
    not_before: datetime | None = None
    state: MessageState = MessageState.PENDING
    version: int = 1
    """Grows when a newer payload took its place: `sent` must name the version that was sent."""
    attempts: int = 0
    message_id: str | None = None
    """As the channel counts them, once it was sent."""
    of_message_id: str | None = None
    """Message id of the message that `of` names; None while that one was not sent."""
    error: str = ""

    @property
    def base(self) -> int:
        """Outbox id of the message itself, of which this may be an edit."""
        return self.of if self.kind is MessageKind.EDIT and self.of is not None else self.id

    @property
    def never_came(self) -> bool:
        """Whether the channel refused the message: there is nothing to edit, it is sent anew."""
        return self.state is MessageState.FAILED and self.message_id is None and self.of_message_id is None


class Fate(StrEnum):
    """What became of a message."""

    SENT = "sent"
    AGAIN = "again"
    """Certainly not sent; may be tried again."""
    UNKNOWN = "unknown"
    """The answer is missing: it may have been sent."""
    REFUSED = "refused"
    """Blocked, unknown, or otherwise never possible."""


@dataclass(frozen=True, kw_only=True)
class SendResult:
    """A channel's answer to one message."""

    fate: Fate
    message_id: str | None = None
    is_another: bool = False
    """The edited message was gone: this one takes its place for every later edit."""
    wait_s: float = 0.0
    """For AGAIN: how long the channel wants us to wait; 0: it did not say."""
    problem: str = ""


class Pace(Protocol):
    """How fast one may write to a destination; moments are those of the loop's clock."""

    def wait_s(self, now: float, *, message: int, is_edit: bool, is_urgent: bool) -> float:
        """Seconds until this may go; `message`: the outbox id of the message itself."""
        ...

    def went(self, now: float, *, message: int) -> None:
        """A message was sent or edited."""
        ...

    def close(self, now: float, seconds: float) -> None:
        """Nothing may go for so long: the channel said so."""
        ...


class Notifier(Protocol):
    """A channel to people: gives messages its own form, and says what became of each."""

    @property
    def scheme(self) -> str:
        """What its destinations begin with, before the colon."""
        ...

    def render(self, message: OutgoingMessage) -> JsonObject:
        """The message in the channel's own form; plain JSON, kept until it is sent."""
        ...

    async def send(self, message: QueuedMessage) -> SendResult:
        """Send or edit one message; never raises for what the channel or the network answers."""
        ...

    def pace(self, destination: Destination) -> Pace:
        """The pace of a destination; the same one for destinations that share it."""
        ...

    def current(self, destination: Destination) -> Destination:
        """Where a destination is now, should the channel have moved it."""
        ...


def destination_of(scheme: str, *parts: object) -> Destination:
    """The destination that those parts name: `telegram`, a chat, and a thread where there is one."""
    return ":".join([scheme, *(str(part) for part in parts if part is not None)])

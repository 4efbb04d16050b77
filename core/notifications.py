"""Notifications to people: messages, and the interface of a channel to people (a chat, mail, push).

Recipients, loudness and timing are decided above a channel, in `core/incidents/paging.py` and `incident_notices.py`;
the outbox keeps the order and retries. A new channel is one class, a `Notifier`, and its name in the root.
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
"""Address of a message as text: the channel's name and the channel's own address, `telegram:-100123:7`."""


@dataclass(frozen=True, kw_only=True)
class OutgoingMessage:
    """One message to one destination, before a channel renders it."""

    destination: Destination
    key: str
    """Name of the message: sending again under the same key edits it."""
    card: Card
    language: Language
    reply_to: int | None = None
    """Id of the message that it answers, in the channel's numbering."""
    under: str | None = None
    """Key of the message that it answers, whose id may not be known yet."""
    is_silent: bool = False
    is_urgent: bool = False
    """Sent ahead of the channel's normal pace: a new card, a cause, a question, an end."""
    incident_id: int | None = None
    """The incident it is about; an answer to it counts as about that incident too."""
    is_new: bool = False
    """True if nothing was ever sent under this key, so that no look-up is needed."""
    only_once: bool = False
    """A message already sent under this key stays as it is."""


class MessageKind(StrEnum):
    """Operation requested of a channel."""

    SEND = "send"
    EDIT = "edit"
    PHOTO = "photo"
    DOCUMENT = "document"


class MessageState(StrEnum):
    """Delivery state: pending → one of the others."""

    PENDING = "pending"
    SENT = "sent"
    UNKNOWN = "unknown"
    """Given up without knowing whether it arrived."""
    FAILED = "failed"
    """Refused: sending it again would not help."""


@dataclass(frozen=True, kw_only=True)
class QueuedMessage:
    """A message as rendered for its channel, as the outbox stores it; `id` is 0 until it is stored."""

    id: int = 0
    destination: Destination
    kind: MessageKind = MessageKind.SEND
    payload: JsonObject = field(default_factory=dict)
    """Output of `Notifier.render`: text, buttons, caption …"""
    attachment: bytes | None = None
    key: str | None = None
    """A pending message of the same key takes this payload, so that the queue holds it once."""
    of: int | None = None
    """Outbox id of the message that is edited or answered; its message id is looked up when sending."""
    under: str | None = None
    """Key of the message that it answers, while `of` is not known yet."""
    not_before: datetime | None = None
    state: MessageState = MessageState.PENDING
    version: int = 1
    """Increased when a newer payload replaces the old one: `sent` must name the version that was sent."""
    attempts: int = 0
    message_id: str | None = None
    """Message id in the channel's numbering, once it was sent."""
    of_message_id: str | None = None
    """Message id of the message that `of` names; None while that one was not sent."""
    error: str = ""

    @property
    def base(self) -> int:
        """Outbox id of the message itself, of which this may be an edit."""
        return self.of if self.kind is MessageKind.EDIT and self.of is not None else self.id

    @property
    def never_came(self) -> bool:
        """True if the channel refused the message: there is nothing to edit, and it is sent anew."""
        return self.state is MessageState.FAILED and self.message_id is None and self.of_message_id is None


class Fate(StrEnum):
    """Delivery result of a message."""

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
    """The edited message was gone: this one replaces it for every later edit."""
    wait_s: float = 0.0
    """For AGAIN: the pause that the channel asks for; 0: none given."""
    problem: str = ""


class Pace(Protocol):
    """Rate limit of a destination; moments are those of the loop's clock."""

    def wait_s(self, now: float, *, message: int, is_edit: bool, is_urgent: bool) -> float:
        """Return the seconds until this may be sent; `message`: the outbox id of the message itself."""
        ...

    def went(self, now: float, *, message: int) -> None:
        """Record that a message was sent or edited."""
        ...

    def close(self, now: float, seconds: float) -> None:
        """Block the destination for so long, at the channel's request."""
        ...


class Notifier(Protocol):
    """A channel to people: renders messages, sends them and reports the result of each."""

    @property
    def scheme(self) -> str:
        """First part of its destinations, before the colon."""
        ...

    def render(self, message: OutgoingMessage) -> JsonObject:
        """Render the message in the channel's own form: plain JSON, stored until it is sent."""
        ...

    async def send(self, message: QueuedMessage) -> SendResult:
        """Send or edit one message; never raises for an answer of the channel or a network fault."""
        ...

    def pace(self, destination: Destination) -> Pace:
        """Return the rate limit of a destination; the same one for destinations that share it."""
        ...

    def current(self, destination: Destination) -> Destination:
        """Return the current address of a destination, in case the channel has moved it."""
        ...


def destination_of(scheme: str, *parts: object) -> Destination:
    """Return the destination made of these parts: `telegram`, a chat, and a thread if there is one."""
    return ":".join([scheme, *(str(part) for part in parts if part is not None)])

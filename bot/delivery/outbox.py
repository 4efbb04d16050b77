"""Writes to the outbox: a card becomes one message of a chat, and later versions of it become edits of that message."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace

from bot.command_context import Sheet
from bot.rendering.buttons import keyboard
from bot.rendering.telegram_html import CAPTION_LIMIT, MESSAGE_LIMIT, render
from core.actions.catalog import JsonObject
from core.text import Language, Texts
from core.views.cards import ButtonAction, Card, CardButton
from knowledge.records.message_records import MessageKind, MessageState, NewMessage, Outbox, Outgoing


@dataclass(frozen=True, kw_only=True)
class Letter:
    """One message to a chat."""

    chat_id: int
    thread_id: int | None = None
    card: Card | Sheet
    language: Language
    key: str
    """Names the message: the same key edits what was sent under it."""
    reply_to: int | None = None
    """Id of the message that it answers."""
    under: int | None = None
    """Outbox id of the message that it answers, whose own id may not be known yet."""
    is_silent: bool = False
    is_urgent: bool = False
    """Goes before the pace of the chat (never beyond Telegram's limits): a new card, a cause, a question, an end."""
    incident_id: int | None = None
    """The incident it is about: an answer to it is about that incident too."""
    is_new: bool = False
    """Nothing was ever said under this key: no need to look."""
    only_once: bool = False
    """What was said under this key stays as it is."""


class Postbox:
    """The one way to say something in a chat."""

    def __init__(self, outbox: Outbox, texts: Texts, wake: Callable[[int], None]) -> None:
        self._outbox = outbox
        self._texts = texts
        self._wake = wake
        self._turn = asyncio.Lock()

    async def post(self, letter: Letter) -> int:
        """Commit a message, or a newer version of it; returns the outbox id of the message itself."""
        message = self._written(letter)
        async with self._turn:
            newest = None if letter.is_new else await self._outbox.newest_by_key(letter.key)
            if newest is not None and _never_came(newest):
                newest = None
            base = _base(newest) if newest is not None else None
            if newest is not None and (letter.only_once or newest.message.payload == message.payload):
                return base or newest.id
            (row_id,) = await self._outbox.add(message)
        self._wake(letter.chat_id)
        return base or row_id

    def _written(self, letter: Letter) -> NewMessage:
        sheet = letter.card if isinstance(letter.card, Sheet) else None
        card = sheet.caption if sheet else letter.card
        assert isinstance(card, Card)
        card, meanings = _with_tokens(card)
        rendered = render(card, self._texts, letter.language, CAPTION_LIMIT if sheet else MESSAGE_LIMIT)
        rows: list[list[dict[str, str]]] = keyboard(card, self._texts, letter.language)
        payload: JsonObject = {
            "html": rendered.html or "–",
            "plain": rendered.plain or "–",
            "keyboard": [[dict(button) for button in row] for row in rows],
            "meanings": meanings,
            "key": letter.key,
            "is_replaced": card.is_replaced,
            "reply_to": letter.reply_to,
            "is_silent": letter.is_silent,
            "is_urgent": letter.is_urgent,
            "incident": letter.incident_id,
            "file_name": sheet.name if sheet else None,
        }
        kind = MessageKind.SEND
        if sheet is not None:
            kind = MessageKind.PHOTO if sheet.is_photo else MessageKind.DOCUMENT
        return NewMessage(
            chat_id=letter.chat_id,
            thread_id=letter.thread_id,
            kind=kind,
            payload=payload,
            attachment=sheet.content if sheet else None,
            of=letter.under,
            coalesce=letter.key,
        )


def _never_came(row: Outgoing) -> bool:
    """Whether the chat refused the message: there is nothing to edit, it is sent anew."""
    return row.state is MessageState.FAILED and row.message_id is None and row.of_message_id is None


def _base(row: Outgoing) -> int:
    """The outbox id of the message itself, of which the row may be an edit."""
    if row.message.kind is MessageKind.EDIT and row.message.of is not None:
        return row.message.of
    return row.id


def _with_tokens(card: Card) -> tuple[Card, JsonObject]:
    """The card whose command buttons carry tokens, and what the tokens mean; they count in this message only."""
    meanings: JsonObject = {}
    rows = []
    for row in card.buttons:
        kept = []
        for button in row:
            if button.press is ButtonAction.COMMAND:
                token = _token(button)
                meanings[token] = {"command": button.subject, "words": button.detail, "only_for": button.only_for}
                button = replace(button, subject=token)
            kept.append(button)
        rows.append(tuple(kept))
    return replace(card, buttons=tuple(rows)), meanings


def _token(button: CardButton) -> str:
    """The same for the same button, so that one pressed while the message changes is still understood."""
    exact = f"{button.subject}\0{button.detail}\0{button.only_for}"
    return hashlib.sha256(exact.encode()).hexdigest()[:16]

"""Notifier for Telegram: sends cards as messages of the Bot API and retries at once what can be fixed."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace

from bot.delivery.destinations import SCHEME, chat_and_thread, chat_destination
from bot.delivery.pacing import ChatPace, OverallPace
from bot.delivery.telegram_client import DeliveryAnswer, FixableProblem, TelegramClient
from bot.rendering.buttons import keyboard_json
from bot.rendering.telegram_html import CAPTION_LIMIT, MESSAGE_LIMIT, render_card
from core.actions.catalog import JsonObject
from core.notifications import Destination, MessageKind, OutgoingMessage, QueuedMessage, SendResult
from core.settings import TelegramSettings
from core.text import Texts
from core.views.cards import ButtonAction, Card, CardButton
from knowledge.records.setting_records import SettingRecords

FIXES_PER_MESSAGE = 4
"""Fixes tried per message, each once."""
MOVED_CHAT_KEY_PREFIX = "moved:"


class TelegramNotifier:
    """core.notifications.Notifier over one bot account."""

    scheme = SCHEME

    def __init__(
        self, client: TelegramClient, texts: Texts, settings: TelegramSettings, changed: SettingRecords
    ) -> None:
        self._client = client
        self._texts = texts
        self._settings = settings
        self._changed = changed
        self._overall = OverallPace()
        self._paces: dict[int, ChatPace] = {}
        self._moved: dict[int, int] = {}

    async def load(self) -> None:
        """Load the groups that have become supergroups."""
        for key, new in (await self._changed.all(MOVED_CHAT_KEY_PREFIX)).items():
            if isinstance(new, int):
                self._moved[int(key.removeprefix(MOVED_CHAT_KEY_PREFIX))] = new

    # -- core.notifications.Notifier ---------------------------------------------------------------------------------

    def render(self, message: OutgoingMessage) -> JsonObject:
        """Render as HTML, plain text, buttons, and the commands behind the buttons' tokens."""
        card, meanings = _with_tokens(message.card)
        limit = CAPTION_LIMIT if card.attachment else MESSAGE_LIMIT
        rendered = render_card(card, self._texts, message.language, limit)
        return {
            "html": rendered.html or "–",
            "plain": rendered.plain or "–",
            "keyboard": [
                [dict(button) for button in row] for row in keyboard_json(card, self._texts, message.language)
            ],
            "meanings": meanings,
            "is_replaced": card.is_replaced,
            "file_name": card.attachment.name if card.attachment else None,
        }

    async def send(self, message: QueuedMessage) -> SendResult:
        """Send or edit one message, within Telegram's limit over all chats."""
        await asyncio.sleep(self._overall.take(asyncio.get_running_loop().time()))
        message = replace(message, destination=self.current(message.destination))
        is_plain, is_another = False, False
        answer = await self._client.deliver(message)
        for _ in range(FIXES_PER_MESSAGE):
            if answer.obstacle is None:
                break
            if answer.obstacle is FixableProblem.MARKUP and not is_plain:
                is_plain = True
            elif answer.obstacle is FixableProblem.MESSAGE_GONE and message.kind is MessageKind.EDIT:
                message, is_another = replace(message, kind=MessageKind.SEND, of_message_id=None), True
            else:
                mended = await self._elsewhere(message, answer)
                if mended is None:
                    break
                message = mended
            answer = await self._client.deliver(message, is_plain=is_plain)
        return replace(answer.result, is_another=is_another)

    def pace(self, destination: Destination) -> ChatPace:
        """The pace of a destination's chat: Telegram counts per chat, whatever the thread."""
        chat_id, _ = chat_and_thread(destination)
        if chat_id not in self._paces:
            is_group = chat_id < 0
            edit_s = self._settings.group_edit_pace_s if is_group else self._settings.edit_pace_s
            self._paces[chat_id] = ChatPace(is_group=is_group, edit_pace_s=edit_s)
        return self._paces[chat_id]

    def current(self, destination: Destination) -> Destination:
        """The destination's current address, after its group became a supergroup."""
        chat_id, thread_id = chat_and_thread(destination)
        return chat_destination(self.moved_to(chat_id), thread_id)

    # -- groups that move --------------------------------------------------------------------------------------------

    def moved_to(self, chat_id: int) -> int:
        """The current id of a chat."""
        return self._moved.get(chat_id, chat_id)

    def moved_from(self, chat_id: int) -> int:
        """The id of a chat before it became a supergroup."""
        return next((old for old, new in self._moved.items() if new == chat_id), chat_id)

    async def remember_move(self, old: int, new: int) -> None:
        """Record that a group became a supergroup: messages for the old id go to the new one."""
        self._moved[old] = new
        await self._changed.put(f"{MOVED_CHAT_KEY_PREFIX}{old}", new, by=SCHEME)

    async def _elsewhere(self, message: QueuedMessage, answer: DeliveryAnswer) -> QueuedMessage | None:
        """Redirect a message from a lost thread to its chat, or from a group to its supergroup; None: neither fits."""
        chat_id, thread_id = chat_and_thread(message.destination)
        if answer.obstacle is FixableProblem.NO_THREAD and thread_id is not None:
            return replace(message, destination=chat_destination(chat_id))
        if answer.obstacle is not FixableProblem.MIGRATED or answer.new_chat_id is None:
            return None
        await self.remember_move(chat_id, answer.new_chat_id)
        moved = replace(
            message,
            destination=chat_destination(answer.new_chat_id, thread_id),
            payload={**message.payload, "reply_to": None},
        )
        return moved if message.kind is MessageKind.EDIT else replace(moved, of_message_id=None)


def _with_tokens(card: Card) -> tuple[Card, JsonObject]:
    """Replace the card's command buttons by tokens; returns the card and the commands, valid in this message only."""
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
    """Token of a button; stable, so that a tap during an edit of the message still works."""
    exact = f"{button.subject}\0{button.detail}\0{button.only_for}"
    return hashlib.sha256(exact.encode()).hexdigest()[:16]

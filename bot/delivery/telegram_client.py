"""Calls Telegram through python-telegram-bot and translates its answers into the core's results."""

from __future__ import annotations

import io
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import Any, TypeVar, cast

import httpx
import structlog
from telegram import Bot, InputFile, LinkPreviewOptions, Message, ReplyParameters
from telegram.constants import ParseMode
from telegram.error import (
    BadRequest,
    ChatMigrated,
    InvalidToken,
    NetworkError,
    RetryAfter,
    TelegramError,
    TimedOut,
)
from telegram.request import HTTPXRequest

from bot.delivery.destinations import chat_and_thread
from bot.rendering.buttons import keyboard_markup
from core.actions.catalog import JsonObject
from core.errors import SettingsError
from core.notifications import Fate, MessageKind, QueuedMessage, SendResult
from core.settings import TelegramSettings

API_CALL_LIMIT_S = 15.0
"""Time limit of one call; getUpdates adds its own polling time."""
UPLOAD_LIMIT_S = 60.0
CONNECTIONS = 32
R = TypeVar("R")
_NO_PREVIEW = LinkPreviewOptions(is_disabled=True)
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
log = structlog.get_logger(__name__)
# the library's spans are timedeltas from its next version on; until then it warns of whole seconds unless told so
os.environ.setdefault("PTB_TIMEDELTA", "true")


class FixableProblem(StrEnum):
    """A fixable reason why a message was refused."""

    MARKUP = "markup"
    NO_THREAD = "no_thread"
    MESSAGE_GONE = "message_gone"
    """The message to be edited is gone."""
    MIGRATED = "migrated"
    """The group has become a supergroup."""


@dataclass(frozen=True, kw_only=True)
class DeliveryAnswer:
    """Telegram's answer to one message."""

    result: SendResult
    obstacle: FixableProblem | None = None
    new_chat_id: int | None = None


class TelegramClient:
    """One bot account; `open` it before use, `close` it after."""

    def __init__(self, settings: TelegramSettings, token: str) -> None:
        base = settings.api_url.rstrip("/")
        self._poll_s = settings.poll_timeout_s
        self.bot = Bot(
            token,
            base_url=f"{base}/bot",
            base_file_url=f"{base}/file/bot",
            request=HTTPXRequest(
                connection_pool_size=CONNECTIONS,
                read_timeout=API_CALL_LIMIT_S,
                write_timeout=API_CALL_LIMIT_S,
                connect_timeout=5.0,
                pool_timeout=5.0,
                media_write_timeout=UPLOAD_LIMIT_S,
            ),
            get_updates_request=HTTPXRequest(connection_pool_size=2, connect_timeout=5.0, pool_timeout=5.0),
        )

    @property
    def bot_id(self) -> int:
        """The account's id, read from the token."""
        return int(self.bot.token.partition(":")[0])

    @property
    def username(self) -> str:
        """The account's @name, without the @."""
        return self.bot.username

    async def open(self) -> None:
        """Log in. Raises SettingsError for a wrong token, NetworkError when Telegram cannot be reached."""
        try:
            await self.bot.initialize()
        except InvalidToken as error:
            raise SettingsError(
                "Telegram refuses the token in TELEGRAM_BOT_TOKEN; copy it again from @BotFather (/mybots → API Token)"
            ) from error

    async def close(self) -> None:
        """Close the connections."""
        await self.bot.shutdown()

    async def updates(self, offset: int | None, allowed: list[str]) -> list[JsonObject]:
        """Wait for updates and return them as raw JSON."""
        wanted: JsonObject = {"timeout": self._poll_s, "allowed_updates": list(allowed)}
        if offset is not None:
            wanted["offset"] = offset
        # method names are case-insensitive; spelled like the library's own method, it would warn
        raw = await self.bot.do_api_request(
            "getupdates", api_kwargs=wanted, read_timeout=self._poll_s + API_CALL_LIMIT_S
        )
        return [dict(one) for one in raw] if isinstance(raw, list) else []

    async def deliver(self, message: QueuedMessage, *, is_plain: bool = False) -> DeliveryAnswer:
        """Send or edit one message; never raises for what Telegram or the network answers."""
        is_edit = message.kind is MessageKind.EDIT
        try:
            sent = await (self._edit(message, is_plain) if is_edit else self._send(message, is_plain))
        except TelegramError as error:
            return _refusal(error, message)
        message_id = str(sent.message_id) if sent else message.of_message_id
        return DeliveryAnswer(result=SendResult(fate=Fate.SENT, message_id=message_id))

    async def _send(self, message: QueuedMessage, is_plain: bool) -> Message:
        chat_id, thread_id = chat_and_thread(message.destination)
        reply_to = message.of_message_id or message.payload.get("reply_to")
        reply = ReplyParameters(int(str(reply_to)), allow_sending_without_reply=True) if reply_to else None
        common: dict[str, Any] = {
            **_form(message, is_plain),
            "chat_id": chat_id,
            "message_thread_id": thread_id,
            "reply_parameters": reply,
            "disable_notification": bool(message.payload.get("is_silent")),
        }
        words = _words(message, is_plain)
        if message.attachment is None:
            return await self.bot.send_message(text=words, link_preview_options=_NO_PREVIEW, **common)
        name = str(message.payload.get("file_name") or "file")
        upload = InputFile(io.BytesIO(message.attachment), filename=name)
        if message.kind is MessageKind.PHOTO:
            return await self.bot.send_photo(photo=upload, caption=words, **common)
        return await self.bot.send_document(document=upload, caption=words, **common)

    async def _edit(self, message: QueuedMessage, is_plain: bool) -> Message | None:
        chat_id, _ = chat_and_thread(message.destination)
        edited = await self.bot.edit_message_text(
            text=_words(message, is_plain),
            chat_id=chat_id,
            message_id=int(message.of_message_id or 0),
            link_preview_options=_NO_PREVIEW,
            **_form(message, is_plain),
        )
        return edited if isinstance(edited, Message) else None

    async def attempt(self, call: Callable[[Bot], Awaitable[R]], what: str) -> R | None:
        """Make a call whose failure does not matter (a toast, a typing sign); a failure is logged and returns None."""
        try:
            return await call(self.bot)
        except TelegramError as error:
            log.info("Telegram did not take it", what=what, error=str(error))
            return None


def _words(message: QueuedMessage, is_plain: bool) -> str:
    return str(message.payload["plain" if is_plain else "html"])


def _form(message: QueuedMessage, is_plain: bool) -> dict[str, Any]:
    rows = cast("list[list[dict[str, str]]]", message.payload.get("keyboard") or [])
    return {"parse_mode": None if is_plain else ParseMode.HTML, "reply_markup": keyboard_markup(rows)}


def _refusal(error: TelegramError, message: QueuedMessage) -> DeliveryAnswer:
    problem = str(error)
    if isinstance(error, RetryAfter):
        wait = error.retry_after
        wait_s = wait.total_seconds() if isinstance(wait, timedelta) else float(wait)
        return _answer(Fate.AGAIN, problem, wait_s=wait_s)
    if isinstance(error, ChatMigrated):
        return replace(_answer(Fate.REFUSED, problem, FixableProblem.MIGRATED), new_chat_id=error.new_chat_id)
    if isinstance(error, BadRequest):
        return _bad_request(problem, message)
    if isinstance(error, NetworkError | TimedOut):
        is_edit = message.kind is MessageKind.EDIT
        is_certain = isinstance(error.__cause__, _NOT_SENT) or is_edit or "Bad Gateway" in problem
        return _answer(Fate.AGAIN if is_certain else Fate.UNKNOWN, problem)
    return _answer(Fate.REFUSED, problem)


def _bad_request(problem: str, message: QueuedMessage) -> DeliveryAnswer:
    lower = problem.lower()
    if lower.startswith("message is not modified"):
        return DeliveryAnswer(result=SendResult(fate=Fate.SENT, message_id=message.of_message_id))
    if "can't parse entities" in lower or "unsupported parse_mode" in lower:
        return _answer(Fate.REFUSED, problem, FixableProblem.MARKUP)
    if "message thread not found" in lower:
        return _answer(Fate.REFUSED, problem, FixableProblem.NO_THREAD)
    if "message to edit not found" in lower or "message can't be edited" in lower:
        return _answer(Fate.REFUSED, problem, FixableProblem.MESSAGE_GONE)
    return _answer(Fate.REFUSED, problem)


def _answer(fate: Fate, problem: str, obstacle: FixableProblem | None = None, *, wait_s: float = 0.0) -> DeliveryAnswer:
    return DeliveryAnswer(result=SendResult(fate=fate, wait_s=wait_s, problem=problem), obstacle=obstacle)

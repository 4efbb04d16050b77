"""Speaks to Telegram through python-telegram-bot, and says in our own words what became of a message."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, TypeVar

import httpx
from telegram import Bot, InputFile, LinkPreviewOptions, Message, ReplyParameters
from telegram.constants import ParseMode
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Forbidden,
    InvalidToken,
    NetworkError,
    RetryAfter,
    TelegramError,
    TimedOut,
)
from telegram.request import HTTPXRequest

from bot.rendering.buttons import markup
from core.actions.catalog import JsonObject
from core.errors import SettingsError
from core.settings import TelegramSettings

CALL_S = 15.0
"""How long one call to Telegram may take; getUpdates takes its own time on top."""
UPLOAD_S = 60.0
CONNECTIONS = 32
R = TypeVar("R")
_NO_PREVIEW = LinkPreviewOptions(is_disabled=True)
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
log = logging.getLogger(__name__)
# the library's spans are timedeltas from its next version on; until then it warns of whole seconds unless told so
os.environ.setdefault("PTB_TIMEDELTA", "true")


class Fate(StrEnum):
    """What became of a message."""

    SENT = "sent"
    AGAIN = "again"
    """Certainly not sent; may be tried again."""
    UNKNOWN = "unknown"
    """The answer is missing: it may have been sent."""
    BAD_MARKUP = "bad_markup"
    NO_THREAD = "no_thread"
    NO_MESSAGE = "no_message"
    """The message to be edited is gone."""
    MIGRATED = "migrated"
    REFUSED = "refused"
    """Blocked, kicked, unknown chat, or otherwise never possible."""


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """The answer to one message."""

    fate: Fate
    message_id: int | None = None
    wait_s: float = 0.0
    """For AGAIN: how long Telegram wants us to wait; 0: it did not say."""
    new_chat_id: int | None = None
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class Parcel:
    """What is to be delivered."""

    chat_id: int
    thread_id: int | None = None
    edits: int | None = None
    """Id of the message that it replaces."""
    html: str
    plain: str
    use_plain: bool = False
    keyboard: list[list[dict[str, str]]]
    reply_to: int | None = None
    is_silent: bool = False
    file_name: str | None = None
    file: bytes | None = None
    is_photo: bool = False


class TelegramClient:
    """One bot account; open with `async with`."""

    def __init__(self, settings: TelegramSettings, token: str) -> None:
        base = settings.api_url.rstrip("/")
        self._poll_s = settings.poll_timeout_s
        self.bot = Bot(
            token,
            base_url=f"{base}/bot",
            base_file_url=f"{base}/file/bot",
            request=HTTPXRequest(
                connection_pool_size=CONNECTIONS,
                read_timeout=CALL_S,
                write_timeout=CALL_S,
                connect_timeout=5.0,
                pool_timeout=5.0,
                media_write_timeout=UPLOAD_S,
            ),
            get_updates_request=HTTPXRequest(connection_pool_size=2, connect_timeout=5.0, pool_timeout=5.0),
        )

    @property
    def bot_id(self) -> int:
        """The account's number, as its token tells."""
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
        """Wait for updates and return them as Telegram wrote them."""
        wanted: JsonObject = {"timeout": self._poll_s, "allowed_updates": list(allowed)}
        if offset is not None:
            wanted["offset"] = offset
        # method names are case-insensitive; spelled like the library's own method, it would warn
        raw = await self.bot.do_api_request("getupdates", api_kwargs=wanted, read_timeout=self._poll_s + CALL_S)
        return [dict(one) for one in raw] if isinstance(raw, list) else []

    async def deliver(self, parcel: Parcel) -> Delivery:
        """Send or edit one message; never raises for what Telegram or the network answers."""
        try:
            message = await (self._edit(parcel) if parcel.edits is not None else self._send(parcel))
        except TelegramError as error:
            return _fate(error, parcel)
        return Delivery(fate=Fate.SENT, message_id=message.message_id if message else parcel.edits)

    async def _send(self, parcel: Parcel) -> Message:
        common = self._common(parcel)
        if parcel.file is not None:
            upload = InputFile(io.BytesIO(parcel.file), filename=parcel.file_name or "file")
            caption: dict[str, Any] = {"caption": parcel.plain if parcel.use_plain else parcel.html}
            if parcel.is_photo:
                return await self.bot.send_photo(photo=upload, **caption, **common)
            return await self.bot.send_document(document=upload, **caption, **common)
        text = parcel.plain if parcel.use_plain else parcel.html
        return await self.bot.send_message(text=text, link_preview_options=_NO_PREVIEW, **common)

    def _common(self, parcel: Parcel) -> dict[str, Any]:
        reply = ReplyParameters(parcel.reply_to, allow_sending_without_reply=True) if parcel.reply_to else None
        return {
            "chat_id": parcel.chat_id,
            "message_thread_id": parcel.thread_id,
            "parse_mode": None if parcel.use_plain else ParseMode.HTML,
            "reply_parameters": reply,
            "reply_markup": markup(parcel.keyboard),
            "disable_notification": parcel.is_silent,
        }

    async def _edit(self, parcel: Parcel) -> Message | None:
        text = parcel.plain if parcel.use_plain else parcel.html
        mode = None if parcel.use_plain else ParseMode.HTML
        where: dict[str, Any] = {"chat_id": parcel.chat_id, "message_id": parcel.edits, "parse_mode": mode}
        rows = markup(parcel.keyboard)
        if parcel.file is not None:
            edited = await self.bot.edit_message_caption(caption=text, reply_markup=rows, **where)
        else:
            edited = await self.bot.edit_message_text(
                text=text, reply_markup=rows, link_preview_options=_NO_PREVIEW, **where
            )
        return edited if isinstance(edited, Message) else None

    async def attempt(self, call: Callable[[Bot], Awaitable[R]], what: str) -> R | None:
        """A call whose failure does not matter (a toast, a typing sign): None, and a line in the log."""
        try:
            return await call(self.bot)
        except TelegramError as error:
            log.info("Telegram did not take it", extra={"what": what, "error": str(error)})
            return None


def _fate(error: TelegramError, parcel: Parcel) -> Delivery:
    problem = str(error)
    if isinstance(error, RetryAfter):
        wait = error.retry_after
        wait_s = wait.total_seconds() if isinstance(wait, timedelta) else float(wait)
        return Delivery(fate=Fate.AGAIN, wait_s=wait_s, problem=problem)
    if isinstance(error, ChatMigrated):
        return Delivery(fate=Fate.MIGRATED, new_chat_id=error.new_chat_id, problem=problem)
    if isinstance(error, Forbidden | InvalidToken):
        return Delivery(fate=Fate.REFUSED, problem=problem)
    if isinstance(error, BadRequest):
        return _bad_request(problem, parcel)
    if isinstance(error, NetworkError | TimedOut):
        certain = isinstance(error.__cause__, _NOT_SENT) or parcel.edits is not None or "Bad Gateway" in problem
        return Delivery(fate=Fate.AGAIN if certain else Fate.UNKNOWN, problem=problem)
    return Delivery(fate=Fate.REFUSED, problem=problem)


def _bad_request(problem: str, parcel: Parcel) -> Delivery:
    said = problem.lower()
    if said.startswith("message is not modified"):
        return Delivery(fate=Fate.SENT, message_id=parcel.edits)
    if "can't parse entities" in said or "unsupported parse_mode" in said:
        return Delivery(fate=Fate.BAD_MARKUP, problem=problem)
    if "message thread not found" in said:
        return Delivery(fate=Fate.NO_THREAD, problem=problem)
    if "message to edit not found" in said or "message can't be edited" in said:
        return Delivery(fate=Fate.NO_MESSAGE, problem=problem)
    return Delivery(fate=Fate.REFUSED, problem=problem)

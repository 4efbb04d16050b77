"""Delivers the outbox: per chat in order, paced, tried again after limits and failures, until Telegram has it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import cast

from bot.delivery.pacing import ChatPace, OverallPace
from bot.delivery.telegram_client import Delivery, Fate, Parcel, TelegramClient
from core.clock import Clock
from core.settings import TelegramSettings
from core.tasks import Tasks
from knowledge.records.message_records import MessageKind, Outbox, Outgoing
from knowledge.records.setting_records import SettingRecords

FIRST_REST_S = 0.5
LONGEST_REST_S = 30.0
UNKNOWN_TRIES = 5
"""So often a message is sent whose arrival nobody confirmed; each time may be a repeat."""
LOOK_S = 30.0
"""A look at the outbox at least this often, whether or not anybody woke us."""
CHATS_AT_ONCE = 20
OnRefused = Callable[[int, str], Awaitable[None]]
log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class _Chat:
    pace: ChatPace
    news: asyncio.Event = field(default_factory=asyncio.Event)


class Postman:
    """Serves every chat that something is pending for; `run` until cancelled, `wake` when something was queued."""

    def __init__(
        self,
        *,
        outbox: Outbox,
        client: TelegramClient,
        settings: TelegramSettings,
        clock: Clock,
        changed: SettingRecords,
        tasks: Tasks,
        on_refused: OnRefused,
    ) -> None:
        self._outbox = outbox
        self._client = client
        self._settings = settings
        self._clock = clock
        self._changed = changed
        self._tasks = tasks
        self._on_refused = on_refused
        self._chats: dict[int, _Chat] = {}
        self._overall = OverallPace()
        self._is_running = False
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        self._serving: set[int] = set()
        self._news = asyncio.Event()
        self._moved: dict[int, int] = {}

    def wake(self, chat_id: int) -> None:
        """Something was queued for a chat."""
        if chat_id in self._serving:
            self._chats[chat_id].news.set()
        elif self._is_running and len(self._serving) < CHATS_AT_ONCE:
            self._begin(chat_id)
        else:
            self._news.set()

    def moved(self, chat_id: int) -> int:
        """Where a chat is now, after it became a supergroup."""
        return self._moved.get(chat_id, chat_id)

    def moved_from(self, chat_id: int) -> int:
        """What a chat was before it became a supergroup."""
        return next((old for old, new in self._moved.items() if new == chat_id), chat_id)

    async def remember_move(self, old: int, new: int) -> None:
        """A group became a supergroup: what was meant for the old one goes to the new one."""
        self._moved[old] = new
        await self._changed.put(f"moved:{old}", new, by="telegram")

    async def run(self) -> None:
        """Deliver until cancelled."""
        for key, new in (await self._changed.all("moved:")).items():
            if isinstance(new, int):
                self._moved[int(key.removeprefix("moved:"))] = new
        self._is_running = True
        while self._is_running:
            self._news.clear()
            room = CHATS_AT_ONCE - len(self._serving)
            rows = await self._outbox.ready(room, but=tuple(self._serving)) if room > 0 else []
            for row in rows:
                if row.message.chat_id not in self._serving:
                    self._begin(row.message.chat_id)
            due = await self._outbox.next_due()
            rest_s = (due - self._clock.now()).total_seconds() if due else LOOK_S
            await _wait(self._news, min(max(rest_s, 0.02), LOOK_S))

    async def stop(self, limit_s: float) -> None:
        """Begin nothing new, and let what is on its way arrive; the rest waits in the outbox."""
        self._is_running = False
        self._news.set()
        for chat in self._chats.values():
            chat.news.set()
        await _wait(self._is_idle, limit_s)

    def _begin(self, chat_id: int) -> None:
        self._serving.add(chat_id)
        self._is_idle.clear()
        chat = self._chats.setdefault(chat_id, _Chat(pace=self._new_pace(chat_id)))
        self._tasks.start(f"write to chat {chat_id}", partial(self._serve, chat_id, chat))

    async def _serve(self, chat_id: int, chat: _Chat) -> None:
        try:
            while self._is_running:
                chat.news.clear()
                rows = await self._outbox.of_chat(chat_id)
                if not rows:
                    return
                row, rest_s = self._next(rows, chat.pace)
                if row is None:
                    if rest_s > LOOK_S:
                        return
                    await _wait(chat.news, rest_s)
                    continue
                await self._deliver(row, chat.pace)
        finally:
            is_full = len(self._serving) >= CHATS_AT_ONCE
            self._serving.discard(chat_id)
            if chat.news.is_set() or is_full:
                self._news.set()
            if not self._serving:
                self._is_idle.set()

    def _new_pace(self, chat_id: int) -> ChatPace:
        is_group = chat_id < 0
        edit_s = self._settings.group_edit_pace_s if is_group else self._settings.edit_pace_s
        return ChatPace(is_group=is_group, edit_pace_s=edit_s)

    def _next(self, rows: Sequence[Outgoing], pace: ChatPace) -> tuple[Outgoing | None, float]:
        """What may go now, in order; an edit that must wait for its pace lets the others pass. Or how long to wait."""
        now, now_s = self._clock.now(), asyncio.get_running_loop().time()
        waiting: set[int] = set()
        least_s = LOOK_S
        for row in rows:
            is_edit = row.message.kind is MessageKind.EDIT
            about = _about(row)
            if about in waiting:
                continue
            is_urgent = bool(row.message.payload.get("is_urgent"))
            rest_s = pace.wait_s(now_s, message=about, is_edit=is_edit, is_urgent=is_urgent)
            if row.message.not_before is not None:
                rest_s = max(rest_s, (row.message.not_before - now).total_seconds())
            if rest_s <= 0:
                return row, 0.0
            least_s = min(least_s, rest_s)
            if not is_edit:
                break
            waiting.add(about)
        return None, least_s

    async def _deliver(self, row: Outgoing, pace: ChatPace) -> None:
        parcel = self._parcel(row)
        if parcel is None:
            await self._outbox.failed(row.id, error="the message to be edited was never sent")
            return
        await asyncio.sleep(self._overall.take(asyncio.get_running_loop().time()))
        delivery = await self._client.deliver(parcel)
        parcel, delivery = await self._mend(row, parcel, delivery)
        pace.went(asyncio.get_running_loop().time(), message=_about(row))
        if delivery.fate is Fate.SENT:
            await self._sent(row, parcel, delivery)
        elif delivery.fate is Fate.AGAIN or (delivery.fate is Fate.UNKNOWN and row.attempts + 1 < UNKNOWN_TRIES):
            rest_s = delivery.wait_s or min(FIRST_REST_S * 2**row.attempts, LONGEST_REST_S)
            pace.close(asyncio.get_running_loop().time(), rest_s)
            until = self._clock.now() + timedelta(seconds=rest_s)
            log.info(
                "a message must wait", extra={"chat": row.message.chat_id, "rest_s": rest_s, "why": delivery.problem}
            )
            await self._outbox.postpone(row.id, until=until, error=delivery.problem)
        elif delivery.fate is Fate.UNKNOWN:
            await self._outbox.unknown(row.id, error=delivery.problem)
        else:
            log.warning("a message was refused", extra={"chat": row.message.chat_id, "why": delivery.problem})
            await self._outbox.failed(row.id, error=delivery.problem)
            await self._on_refused(row.message.chat_id, delivery.problem)

    async def _mend(self, row: Outgoing, parcel: Parcel, delivery: Delivery) -> tuple[Parcel, Delivery]:
        """Try at once in another way what can be mended: each way once."""
        for _ in range(4):
            if delivery.fate is Fate.BAD_MARKUP and not parcel.use_plain:
                parcel = replace(parcel, use_plain=True)
            elif delivery.fate is Fate.NO_THREAD and parcel.thread_id is not None:
                parcel = replace(parcel, thread_id=None)
            elif delivery.fate is Fate.NO_MESSAGE and parcel.edits is not None:
                parcel = replace(parcel, edits=None)
            elif delivery.fate is Fate.MIGRATED and delivery.new_chat_id is not None:
                await self.remember_move(row.message.chat_id, delivery.new_chat_id)
                parcel = replace(parcel, chat_id=delivery.new_chat_id, reply_to=None)
            else:
                return parcel, delivery
            delivery = await self._client.deliver(parcel)
        return parcel, delivery

    async def _sent(self, row: Outgoing, parcel: Parcel, delivery: Delivery) -> None:
        await self._outbox.sent(row.id, version=row.version, message_id=delivery.message_id)
        is_another = row.message.kind is MessageKind.EDIT and parcel.edits is None
        if is_another and row.message.of is not None and row.message.of != row.id:
            # the edited message was gone: this one takes its place for every later edit
            await self._outbox.sent(row.message.of, version=-1, message_id=delivery.message_id)

    def _parcel(self, row: Outgoing) -> Parcel | None:
        message, payload = row.message, row.message.payload
        is_edit = message.kind is MessageKind.EDIT
        if is_edit and row.of_message_id is None:
            return None
        reply_to = payload.get("reply_to")
        if not is_edit and message.of is not None:
            reply_to = row.of_message_id
        return Parcel(
            chat_id=self.moved(message.chat_id),
            thread_id=message.thread_id,
            edits=row.of_message_id if is_edit else None,
            html=str(payload["html"]),
            plain=str(payload["plain"]),
            keyboard=cast("list[list[dict[str, str]]]", payload.get("keyboard") or []),
            reply_to=reply_to if isinstance(reply_to, int) else None,
            is_silent=bool(payload.get("is_silent")),
            file_name=str(payload["file_name"]) if payload.get("file_name") else None,
            file=message.attachment,
            is_photo=message.kind is MessageKind.PHOTO,
        )


def _about(row: Outgoing) -> int:
    """The outbox id of the message itself, of which the row may be an edit."""
    is_edit = row.message.kind is MessageKind.EDIT and row.message.of is not None
    return row.message.of or row.id if is_edit else row.id


async def _wait(event: asyncio.Event, limit_s: float) -> None:
    try:
        async with asyncio.timeout(limit_s):
            await event.wait()
    except TimeoutError:
        return

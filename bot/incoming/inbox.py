"""Receives updates: stored before Telegram gets its acknowledgement, then handled in order per chat."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

import structlog
from telegram.error import Conflict, EndPointNotFound, InvalidToken, NetworkError, RetryAfter, TelegramError

from bot.delivery.telegram_client import TelegramClient
from core.actions.catalog import JsonObject
from core.error_text import explained
from core.errors import SettingsError, SystemUnavailable
from core.tasks import Tasks
from core.text import Text, text
from knowledge.records.inbox_records import Inbox, RawUpdate, ReceivedUpdate

ALLOWED_UPDATES = ["message", "callback_query", "my_chat_member"]
"""Sent with every call: without it Telegram keeps the previous list."""
UPDATE_TRIES = 3
"""Tries of an update that ends the process; after them it is put aside."""
CHATS_AT_ONCE = 16
BACKLOG_LIMIT = 2000
"""Most updates waiting in memory; polling pauses meanwhile, and Telegram keeps the rest."""
FIRST_REST_S = 0.5
LONGEST_REST_S = 30.0
CONFLICT_REST_S = 5.0
log = structlog.get_logger(__name__)

SlowAnswer = Callable[[], Awaitable[None]]


class UpdateRouter(Protocol):
    """Handles updates and reports problems with them."""

    async def handle(self, received: ReceivedUpdate) -> SlowAnswer | None:
        """Handle one update; a slow answer is returned as work to run beside the others."""
        ...

    async def tell(self, received: ReceivedUpdate, message: Text, *, is_interim: bool = False) -> None:
        """Send a message about a command to the person who sent it; `is_interim`: the answer is still to come."""
        ...


@dataclass(frozen=True, kw_only=True)
class CommandTimeouts:
    """Time limits of a command. Seconds."""

    quiet_s: float = 30.0
    """Until the person is told that it takes longer, and the chat's next command begins."""
    order_s: float = 300.0
    """Until it is stopped, and the person is told."""
    answer_s: float = 3600.0
    """The same for a slow answer, a live one for example."""


@dataclass(kw_only=True)
class _ChatQueue:
    waiting: deque[ReceivedUpdate] = field(default_factory=deque)


class InboxWorker:
    """Stores updates and hands them to the router: one at a time per chat and topic."""

    def __init__(
        self, *, inbox: Inbox, bot_id: int, handler: UpdateRouter, tasks: Tasks, patience: CommandTimeouts | None = None
    ) -> None:
        self._inbox = inbox
        self._bot_id = bot_id
        self._handler = handler
        self._tasks = tasks
        self._patience = patience or CommandTimeouts()
        self._lanes: dict[object, _ChatQueue] = {}
        self._seats = asyncio.Semaphore(CHATS_AT_ONCE)
        self._turn = asyncio.Lock()
        self._is_behind = True
        """True while the inbox may hold updates not dispatched yet: newer ones must not overtake them."""
        self._at_hand: set[int] = set()
        """Ids of rows dispatched and not yet marked done."""
        self._count = 0
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        self._slow: dict[int, asyncio.Task[None]] = {}
        self._given_up: set[int] = set()
        self._left: set[int] = set()

    async def replay(self) -> None:
        """Dispatch stored updates that are not done, in order, page by page; new ones come last."""
        after = 0
        self._is_behind = True
        while self._is_behind:
            await self.room()
            async with self._turn:
                page = await self._inbox.pending(after=after)
                for received in page:
                    after = received.id
                    if received.id not in self._at_hand:
                        self._left.add(received.id)
                        self._dispatch(replace(received, tries=max(1, received.tries)))
                self._is_behind = bool(page)

    async def take(self, raw: Sequence[Mapping[str, object]]) -> None:
        """Store updates in their order, then dispatch them; known ones are skipped.

        A commit that fails may have happened all the same: the inbox is read again as soon as possible.
        """
        updates = [_update(self._bot_id, one) for one in raw]
        async with self._turn:
            try:
                fresh = await self._inbox.put([one for one in updates if one is not None])
            except SystemUnavailable:
                if not self._is_behind:
                    self._is_behind = True
                    self._tasks.start("hand out what may have been received", self.replay, restarts=True)
                raise
            for received in () if self._is_behind else fresh:
                self._dispatch(received)

    async def room(self) -> None:
        """Wait until the backlog in memory is small enough."""
        await self._has_room.wait()

    async def drain(self, limit_s: float) -> None:
        """Wait until everything dispatched is handled, slow answers excepted, or `limit_s` is over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await self._is_idle.wait()

    def cancel(self, update_id: int) -> bool:
        """Stop the slow answer to an update; False: there is none."""
        task = self._slow.get(update_id)
        if task is None:
            return False
        self._given_up.add(update_id)
        return task.cancel()

    def is_cancelled(self, update_id: int) -> bool:
        """Return whether a person stopped the slow answer to an update."""
        return update_id in self._given_up

    def _dispatch(self, received: ReceivedUpdate) -> None:
        key = _lane_key(received.update.payload)
        self._at_hand.add(received.id)
        self._count += 1
        if self._count >= BACKLOG_LIMIT:
            self._has_room.clear()
        lane = self._lanes.get(key)
        if lane is not None:
            lane.waiting.append(received)
            return
        self._lanes[key] = _ChatQueue(waiting=deque([received]))
        self._is_idle.clear()
        self._tasks.start(f"handle updates of {key}", partial(self._serve, key))

    async def _serve(self, key: object) -> None:
        lane = self._lanes[key]
        try:
            while lane.waiting:
                received = lane.waiting.popleft()
                async with self._seats:
                    await self._one(received)
                self._count -= 1
                if self._count < BACKLOG_LIMIT // 2:
                    self._has_room.set()
        finally:
            del self._lanes[key]
            if not self._lanes:
                self._is_idle.set()

    async def _one(self, received: ReceivedUpdate) -> None:
        """Handle one update. Tries of those left by an earlier process are counted: one of them may have ended it."""
        is_left = received.id in self._left
        self._left.discard(received.id)
        is_over = asyncio.Event()
        name = f"handle update {received.update.update_id}"
        self._tasks.start(name, partial(self._carry_out, received, is_over, is_left=is_left))
        try:
            async with asyncio.timeout(self._patience.quiet_s):
                await is_over.wait()
        except TimeoutError:
            log.warning("an order takes long", update=received.update.update_id)
            name = f"say that update {received.update.update_id} takes long"
            self._tasks.start(name, partial(self._handler.tell, received, text("chat.takes_long"), is_interim=True))

    async def _carry_out(self, received: ReceivedUpdate, is_over: asyncio.Event, *, is_left: bool) -> None:
        """Handle an update to its end; sets `is_over` when the chat's next one may begin.

        It is marked done last: after a kill it is handled again.
        """
        try:
            error, message = await self._outcome(received, is_over, is_left=is_left)
            await self._finish(received, error, message)
        finally:
            is_over.set()
            self._slow.pop(received.update.update_id, None)
            self._given_up.discard(received.update.update_id)

    async def _outcome(
        self, received: ReceivedUpdate, is_over: asyncio.Event, *, is_left: bool
    ) -> tuple[str, Text | None]:
        """Handle an update; returns the error for the records, and the message that its person must still get."""
        try:
            async with asyncio.timeout(self._patience.order_s) as limit:
                if is_left and await self._inbox.begun(received.id) > UPDATE_TRIES:
                    log.error("an update is put aside: it ended the process", update=received.id)
                    return f"put aside after {UPDATE_TRIES} tries", text("chat.put_aside")
                await self._handled(received, is_over, limit)
        except asyncio.CancelledError:
            if received.update.update_id not in self._given_up:
                raise  # the program stops: the update is handled again at the next start
            return "cancelled by a person", None
        except Exception as problem:  # the boundary of all commands: the person is told, and the chat goes on
            log.exception("an update could not be handled", update=received.update.update_id)
            message = text("chat.cut_off") if limit.expired() else explained(problem)
            return f"{type(problem).__name__}: {problem}", message
        return "", None

    async def _handled(self, received: ReceivedUpdate, is_over: asyncio.Event, limit: asyncio.Timeout) -> None:
        slow = await self._handler.handle(received)
        is_over.set()
        task = asyncio.current_task()
        if slow is None or task is None:
            return
        limit.reschedule(asyncio.get_running_loop().time() + self._patience.answer_s)
        self._slow[received.update.update_id] = task
        await slow()

    async def _finish(self, received: ReceivedUpdate, error: str, message: Text | None) -> None:
        """Send the outstanding message and mark the update done, as soon as the records allow."""
        rest_s = FIRST_REST_S
        while True:
            try:
                try:
                    if message is not None:
                        await self._handler.tell(received, message)
                finally:
                    await self._inbox.done(received.id, error=error)
            except SystemUnavailable as problem:
                log.warning("an update cannot be marked done now; trying on", why=str(problem))
            else:
                self._at_hand.discard(received.id)
                return
            await asyncio.sleep(rest_s)
            rest_s = min(rest_s * 2, LONGEST_REST_S)


class UpdatePoller:
    """Polls Telegram for updates; the offset moves only after they are stored."""

    def __init__(self, client: TelegramClient, reception: InboxWorker) -> None:
        self._client = client
        self._reception = reception
        self.problem = ""
        """The reason why no updates are received; empty when they are."""

    async def run(self) -> None:
        """Poll until cancelled. Raises SettingsError when Telegram refuses the token."""
        offset: int | None = None
        rest_s = FIRST_REST_S
        while True:
            await self._reception.room()
            try:
                raw = await self._client.updates(offset, ALLOWED_UPDATES)
                if raw:
                    await self._reception.take(raw)
                    offset = max(_number(one.get("update_id")) for one in raw) + 1
            except (TelegramError, SystemUnavailable) as error:
                rest_s = self._rest(error, rest_s)
                await asyncio.sleep(rest_s)
                continue
            if self.problem:
                log.info("Telegram is heard again")
            self.problem, rest_s = "", FIRST_REST_S

    def _rest(self, error: Exception, rest_s: float) -> float:
        if isinstance(error, InvalidToken | EndPointNotFound):
            raise SettingsError(
                "Telegram refuses the token; was it revoked? Copy the new one from @BotFather"
            ) from error
        self._tell(error)
        if isinstance(error, Conflict):
            return CONFLICT_REST_S
        if isinstance(error, RetryAfter):
            wait = error.retry_after
            return float(wait if isinstance(wait, int) else wait.total_seconds())
        return min(rest_s * 2, LONGEST_REST_S)

    def _tell(self, error: Exception) -> None:
        problem = str(error)
        if isinstance(error, Conflict):
            problem = (
                f"another program is reading this bot's messages; stop it, or give this one its own token ({error})"
            )
        if problem != self.problem:
            known = isinstance(error, NetworkError | Conflict | RetryAfter | SystemUnavailable)
            (log.warning if known else log.error)("Telegram is not heard", why=problem)
        self.problem = problem


def _update(bot_id: int, raw: Mapping[str, object]) -> RawUpdate | None:
    update_id = raw.get("update_id")
    if not isinstance(update_id, int):
        return None
    payload: JsonObject = dict(raw)  # type: ignore[arg-type]  # what JSON gave is JSON
    return RawUpdate(bot_id=bot_id, update_id=update_id, mark=_mark(raw), payload=payload)


def _mark(raw: Mapping[str, object]) -> str:
    """Mark that tells two updates of one number apart: the callback's id, or the message's date."""
    query = raw.get("callback_query")
    if isinstance(query, Mapping):
        return str(query.get("id", ""))
    for body in raw.values():
        if isinstance(body, Mapping) and "date" in body:
            return str(body["date"])
    return ""


def _lane_key(payload: Mapping[str, object]) -> tuple[int, int]:
    """Chat and topic, from the raw update."""
    for body in payload.values():
        if isinstance(body, Mapping):
            message = body.get("message") if "data" in body else body
            if isinstance(message, Mapping) and isinstance(message.get("chat"), Mapping):
                return _number(message["chat"].get("id")), _number(message.get("message_thread_id"))
    return 0, 0


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0

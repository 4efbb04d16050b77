"""Queues messages in the outbox and delivers them: in order per destination, paced, with retries."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial

import structlog

from core.actions.catalog import JsonObject
from core.clock import Clock
from core.notifications import (
    Destination,
    Fate,
    MessageKind,
    Notifier,
    OutgoingMessage,
    Pace,
    QueuedMessage,
    SendResult,
)
from core.tasks import Tasks
from knowledge.records.message_records import Outbox

FIRST_REST_S = 0.5
LONGEST_REST_S = 30.0
UNCONFIRMED_ATTEMPTS = 5
"""Attempts for a message whose arrival nobody confirms; each may be a duplicate."""
OUTBOX_READ_EVERY_S = 30.0
"""Longest pause between two reads of the outbox, even without a wake."""
DESTINATIONS_AT_ONCE = 20
"""Destinations served at once."""
ROWS_AT_ONCE = 50
KEYS_KEPT = 500
DELIVERY_FIELDS = ("is_silent", "is_urgent")
"""Fields that nobody sees: a change in them is no reason to send the message again."""
OnRefused = Callable[[Destination, str], Awaitable[None]]
log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class _ShownMessage:
    """The message queued last under a key."""

    base: int
    """Outbox id of the message itself; 0: not queued yet."""
    digest: str
    message: OutgoingMessage | None = None
    """The message as posted; None: by an earlier process."""

    def shows(self, message: OutgoingMessage) -> bool:
        """Return whether a message would look the same."""
        if self.message is None or message.card.attachment is not None:
            return False
        how = {name: getattr(message, name) for name in (*DELIVERY_FIELDS, "is_new", "only_once")}
        return replace(self.message, **how) == message


class OutboxWriter:
    """Queues messages for a channel; a newer version of a message becomes an edit."""

    def __init__(self, outbox: Outbox, notifier: Notifier) -> None:
        self._outbox = outbox
        self._notifier = notifier
        self._turn = asyncio.Lock()
        self._shown: OrderedDict[str, _ShownMessage | None] = OrderedDict()
        self.wake: Callable[[Destination], None] = lambda _: None
        """Called with each destination that has new messages."""
        self.rendered = 0
        """Messages rendered so far."""

    async def post(self, *messages: OutgoingMessage) -> None:
        """Queue messages in one transaction; skip those that show already, and posted ones that are `only_once`."""
        async with self._turn:
            keys = [one.key for one in messages if not one.is_new]
            known = await self._known([*keys, *(one.under for one in messages if one.under)])
            news = [one for one in messages if not _is_known(one, known.get(one.key))]
            queued = await self._add([self._queued(one) for one in news], news, known)
        for destination in {row.destination for row in queued}:
            self.wake(destination)

    async def was_said(self, key: str) -> bool:
        """Return whether a message was queued under that key."""
        async with self._turn:
            return (await self._known([key])).get(key) is not None

    async def keys(self, stem: str) -> set[str]:
        """Every key with a message that begins with `stem`."""
        return await self._outbox.keys(stem)

    async def refused(self, message: QueuedMessage, problem: str) -> None:
        """Record that the channel refused a message for good; the next one under its key is sent as a new message."""
        async with self._turn:
            await self._outbox.failed(message.id, error=problem)
            self._shown.pop(message.key or "", None)

    async def _known(self, keys: Sequence[str]) -> dict[str, _ShownMessage | None]:
        unknown = [key for key in dict.fromkeys(keys) if key not in self._shown]
        if unknown:
            found = await self._outbox.newest_by_key(*unknown)
            for key in unknown:
                row = found.get(key)
                is_there = row is not None and not row.never_came
                self._keep(key, _ShownMessage(base=row.base, digest=_digest(row.payload)) if row and is_there else None)
        return {key: self._shown[key] for key in keys}

    def _keep(self, key: str, shown: _ShownMessage | None) -> None:
        self._shown[key] = shown
        self._shown.move_to_end(key)
        while len(self._shown) > KEYS_KEPT:
            self._shown.popitem(last=False)

    async def _add(
        self, queued: list[QueuedMessage], messages: list[OutgoingMessage], known: dict[str, _ShownMessage | None]
    ) -> list[QueuedMessage]:
        """Queue messages that look different from what their keys show, in one transaction; returns their rows."""
        bases = {key: shown.base for key, shown in known.items() if shown is not None}
        news: list[tuple[QueuedMessage, _ShownMessage]] = []
        for row, message in zip(queued, messages, strict=True):
            shown = known.get(message.key)
            now = _ShownMessage(base=bases.setdefault(message.key, 0), digest=_digest(row.payload), message=message)
            if shown is not None and shown.digest == now.digest:
                self._keep(message.key, now)
            else:
                news.append((row, now))
        ids = await self._outbox.add(*(row for row, _ in news), known=bases) if news else []
        for row_id, (row, now) in zip(ids, news, strict=True):
            is_edit = now.base and row.kind is MessageKind.SEND
            self._keep(row.key or "", now if is_edit else replace(now, base=row_id))
        return [row for row, _ in news]

    def _queued(self, message: OutgoingMessage) -> QueuedMessage:
        self.rendered += 1
        payload: JsonObject = {
            **self._notifier.render(message),
            "key": message.key,
            "reply_to": message.reply_to,
            "is_silent": message.is_silent,
            "is_urgent": message.is_urgent,
            "incident": message.incident_id,
        }
        kind, attachment = MessageKind.SEND, message.card.attachment
        if attachment is not None:
            kind = MessageKind.PHOTO if attachment.is_picture else MessageKind.DOCUMENT
        return QueuedMessage(
            destination=message.destination,
            kind=kind,
            payload=payload,
            attachment=attachment.content if attachment else None,
            key=message.key,
            under=message.under,
        )


@dataclass(kw_only=True)
class _DestinationQueue:
    """A destination being served."""

    pace: Pace
    news: asyncio.Event = field(default_factory=asyncio.Event)


class OutboxWorker:
    """Delivers a channel's pending messages to every destination; `run` until cancelled, `wake` for new ones."""

    def __init__(
        self,
        *,
        outbox: Outbox,
        writer: OutboxWriter,
        notifier: Notifier,
        clock: Clock,
        tasks: Tasks,
        on_refused: OnRefused,
    ) -> None:
        self._outbox = outbox
        self._writer = writer
        self._notifier = notifier
        self._clock = clock
        self._tasks = tasks
        self._on_refused = on_refused
        self._lanes: dict[Destination, _DestinationQueue] = {}
        self._is_running = False
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        self._serving: set[Destination] = set()
        self._news = asyncio.Event()
        writer.wake = self.wake

    def wake(self, destination: Destination) -> None:
        """Serve a destination now: a message was queued for it."""
        if destination in self._serving:
            self._lanes[destination].news.set()
        elif self._is_running and len(self._serving) < DESTINATIONS_AT_ONCE:
            self._begin(destination)
        else:
            self._news.set()

    async def run(self) -> None:
        """Deliver until cancelled."""
        self._is_running = True
        scheme = self._notifier.scheme
        while self._is_running:
            self._news.clear()
            room = DESTINATIONS_AT_ONCE - len(self._serving)
            rows = await self._outbox.ready(room, scheme=scheme, but=tuple(self._serving)) if room > 0 else []
            for row in rows:
                if row.destination not in self._serving:
                    self._begin(row.destination)
            due = await self._outbox.next_due(scheme)
            rest_s = (due - self._clock.now()).total_seconds() if due else OUTBOX_READ_EVERY_S
            await _wait(self._news, min(max(rest_s, 0.02), OUTBOX_READ_EVERY_S))

    async def stop(self, limit_s: float) -> None:
        """Start no new sends and wait for those in flight; the rest stays in the outbox."""
        self._is_running = False
        self._news.set()
        for lane in self._lanes.values():
            lane.news.set()
        await _wait(self._is_idle, limit_s)

    def _begin(self, destination: Destination) -> None:
        self._serving.add(destination)
        self._is_idle.clear()
        lane = self._lanes.setdefault(destination, _DestinationQueue(pace=self._notifier.pace(destination)))
        self._tasks.start(f"write to {destination}", partial(self._serve, destination, lane))

    async def _serve(self, destination: Destination, lane: _DestinationQueue) -> None:
        rows: list[QueuedMessage] | None = None
        try:
            while self._is_running:
                if rows is None or lane.news.is_set():
                    lane.news.clear()
                    rows = await self._outbox.pending_for(destination, ROWS_AT_ONCE)
                row, rest_s = self._next(rows, lane.pace)
                if row is not None:
                    rows = await self._deliver(row, rows, lane.pace)
                elif not rows or rest_s > OUTBOX_READ_EVERY_S:
                    if not lane.news.is_set():
                        return
                else:
                    await _wait(lane.news, rest_s)
        finally:
            is_full = len(self._serving) >= DESTINATIONS_AT_ONCE
            self._serving.discard(destination)
            if lane.news.is_set() or is_full:
                self._news.set()
            if not self._serving:
                self._is_idle.set()

    def _next(self, rows: Sequence[QueuedMessage], pace: Pace) -> tuple[QueuedMessage | None, float]:
        """Pick the first row that may be sent now, or None and the wait in seconds; a waiting edit lets others pass."""
        now, now_s = self._clock.now(), asyncio.get_running_loop().time()
        waiting: set[int] = set()
        least_s = OUTBOX_READ_EVERY_S
        for row in rows:
            is_edit = row.kind is MessageKind.EDIT
            if row.base in waiting:
                continue
            is_urgent = bool(row.payload.get("is_urgent"))
            rest_s = pace.wait_s(now_s, message=row.base, is_edit=is_edit, is_urgent=is_urgent)
            if row.not_before is not None:
                rest_s = max(rest_s, (row.not_before - now).total_seconds())
            if rest_s <= 0:
                return row, 0.0
            least_s = min(least_s, rest_s)
            if not is_edit:
                break
            waiting.add(row.base)
        return None, least_s

    async def _deliver(
        self, row: QueuedMessage, rows: Sequence[QueuedMessage], pace: Pace
    ) -> list[QueuedMessage] | None:
        """Send one row; returns the rows still pending, or None where they must be read again."""
        if row.kind is MessageKind.EDIT and row.of_message_id is None:
            await self._writer.refused(row, "the message to be edited was never sent")
            return None
        result = await self._notifier.send(row)
        pace.went(asyncio.get_running_loop().time(), message=row.base)
        if result.fate is Fate.SENT:
            is_over = await self._sent(row, result)
            is_awaited = len(rows) == ROWS_AT_ONCE or any(one.of == row.id for one in rows if one is not row)
            return [one for one in rows if one is not row] if is_over and not is_awaited else None
        if result.fate is Fate.AGAIN or (result.fate is Fate.UNKNOWN and row.attempts + 1 < UNCONFIRMED_ATTEMPTS):
            await self._postpone(row, result, pace)
        elif result.fate is Fate.UNKNOWN:
            await self._outbox.unknown(row.id, error=result.problem)
        else:
            log.warning("a message was refused", destination=row.destination, why=result.problem)
            await self._writer.refused(row, result.problem)
            await self._on_refused(row.destination, result.problem)
        return None

    async def _postpone(self, row: QueuedMessage, result: SendResult, pace: Pace) -> None:
        rest_s = result.wait_s or min(FIRST_REST_S * 2**row.attempts, LONGEST_REST_S)
        pace.close(asyncio.get_running_loop().time(), rest_s)
        until = self._clock.now() + timedelta(seconds=rest_s)
        log.info("a message must wait", destination=row.destination, rest_s=rest_s, why=result.problem)
        await self._outbox.postpone(row.id, until=until, error=result.problem)

    async def _sent(self, row: QueuedMessage, result: SendResult) -> bool:
        is_over = await self._outbox.sent(row.id, version=row.version, message_id=result.message_id)
        if result.is_another and row.base != row.id:
            await self._outbox.sent(row.base, version=-1, message_id=result.message_id)
        return is_over


def _is_known(message: OutgoingMessage, shown: _ShownMessage | None) -> bool:
    return shown is not None and (message.only_once or shown.shows(message))


def _digest(payload: JsonObject) -> str:
    """Digest of the visible part of a payload."""
    seen = {name: value for name, value in payload.items() if name not in DELIVERY_FIELDS}
    return hashlib.sha256(json.dumps(seen, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


async def _wait(event: asyncio.Event, limit_s: float) -> None:
    try:
        async with asyncio.timeout(limit_s):
            await event.wait()
    except TimeoutError:
        return

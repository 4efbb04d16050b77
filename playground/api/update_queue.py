"""Queue of updates for the bot: remembered filter, offsets, expiry, and one long poll at a time."""

import asyncio
import copy
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from playground.api.bot_api_wire import ApiError, Json
from playground.chats.playground_clock import PlaygroundClock
from playground.chats.playground_store import PlaygroundStore

POLL_LIMIT_S = 50  # the server holds no poll longer, whatever the bot asks for
FIRST_UPDATE_ID = 710_000_001
QUEUE_LIMIT = 100_000
KEPT_FOR_REDELIVERY = 1000
LIFETIME_S = {"callback_query": 150.0, "inline_query": 30.0}
MESSAGE_LIFETIME_S = 86_400.0
NOT_BY_DEFAULT = frozenset({"chat_member", "message_reaction", "message_reaction_count"})
OTHER_POLL_CONFLICT = (
    "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"
)  # fmt: skip
WEBHOOK_ACTIVE = (
    "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"
)


@dataclass(kw_only=True)
class PendingUpdate:
    """An update that waits for the bot."""

    update_id: int
    kind: str
    content: Json
    queued_at: float

    def wire(self) -> Json:
        return {"update_id": self.update_id, self.kind: self.content}


class UpdateQueue:
    """Updates in delivery order; every change is written to the store."""

    def __init__(self, store: PlaygroundStore, clock: PlaygroundClock) -> None:
        self._store = store
        self._clock = clock
        stored = sorted(store.all("update").items(), key=lambda item: int(item[0]))
        self.pending: list[PendingUpdate] = [PendingUpdate(**value) for _, value in stored]
        self.allowed: list[str] = store.get("setting", "allowed_updates", [])
        self.delivered: dict[int, Json] = {}
        self._held: list[tuple[str, Json]] | None = None
        self._arrived = asyncio.Event()
        self._poll: asyncio.Future[str] | None = None
        self._is_closing = False

    @property
    def is_polled(self) -> bool:
        return self._poll is not None

    def allows(self, kind: str) -> bool:
        return kind in self.allowed if self.allowed else kind not in NOT_BY_DEFAULT

    def allow(self, kinds: Iterable[str]) -> None:
        """Remember the kinds of update the bot wants; an empty list restores the default."""
        self.allowed = [str(kind) for kind in kinds]
        self._store.put("setting", "allowed_updates", self.allowed)

    def add(self, kind: str, content: Json) -> int:
        """Queue an update and return its id; 0 when the bot does not want this kind or updates are held back."""
        if self._held is not None:
            self._held.append((kind, content))
            return 0
        if not self.allows(kind) or len(self.pending) >= QUEUE_LIMIT:
            return 0
        update_id = self._store.count_up("update", FIRST_UPDATE_ID)
        self._append(
            PendingUpdate(update_id=update_id, kind=kind, content=copy.deepcopy(content), queued_at=self._clock.now())
        )
        return update_id

    def push(self, update: Json) -> int:
        """Queue an update object as it is; without `update_id` it gets the next one. Filters do not apply."""
        given = {key: value for key, value in update.items() if key != "update_id"}
        if len(given) != 1:
            raise ValueError(f"an update holds exactly one kind beside update_id, not {sorted(given)}")
        kind, content = next(iter(given.items()))
        update_id = int(update.get("update_id") or self._store.count_up("update", FIRST_UPDATE_ID))
        self._append(
            PendingUpdate(update_id=update_id, kind=kind, content=copy.deepcopy(content), queued_at=self._clock.now())
        )
        return update_id

    def redeliver(self, update_id: int) -> None:
        """Queue a delivered update again, under its old id and before all others."""
        waiting = next((pending.wire() for pending in self.pending if pending.update_id == update_id), None)
        update = self.delivered.get(update_id, waiting)
        if update is None:
            raise ValueError(f"update {update_id} was never delivered; delivered are {sorted(self.delivered)[-5:]}")
        self.push(update)
        self.pending.insert(0, self.pending.pop())

    def hold(self) -> None:
        """Keep new updates back until `release`."""
        self._held = self._held if self._held is not None else []

    def release(self, *, reverse: bool = False) -> list[int]:
        """Queue the updates held back, in the order they came or reversed; returns their ids."""
        held, self._held = self._held or [], None
        return [self.add(kind, content) for kind, content in (reversed(held) if reverse else held)]

    def _append(self, pending: PendingUpdate) -> None:
        self.pending.append(pending)
        self._store.put("update", pending.update_id, asdict(pending))
        self._arrived.set()

    def drop(self, dropped: Iterable[PendingUpdate]) -> None:
        """Forget updates that the bot has confirmed or that are too old."""
        gone = {id(pending): pending for pending in dropped}
        self.pending = [pending for pending in self.pending if id(pending) not in gone]
        waiting = {pending.update_id for pending in self.pending}
        for pending in gone.values():
            if pending.update_id not in waiting:
                self._store.delete("update", pending.update_id)

    def note_delivered(self, pending: PendingUpdate) -> None:
        self.delivered.pop(pending.update_id, None)
        self.delivered[pending.update_id] = pending.wire()
        while len(self.delivered) > KEPT_FOR_REDELIVERY:
            self.delivered.pop(next(iter(self.delivered)))

    def drop_expired(self) -> None:
        now = self._clock.now()
        self.drop([p for p in self.pending if now - p.queued_at > LIFETIME_S.get(p.kind, MESSAGE_LIFETIME_S)])

    def confirm(self, offset: int) -> None:
        """Forget every update below `offset`; a negative one keeps only the last updates."""
        if offset > 0:
            self.drop([pending for pending in self.pending if pending.update_id < offset])
        elif offset < 0:
            self.drop(self.pending[:offset])

    async def fetch(self, *, offset: int, limit: int, timeout_s: float) -> list[Json]:
        """Answer one getUpdates: at once when an update waits, else when one arrives or `timeout_s` is over."""
        self.end_poll(OTHER_POLL_CONFLICT)
        self.confirm(offset)
        self.drop_expired()
        if not self.pending and timeout_s > 0 and not self._is_closing:
            await self._wait(min(timeout_s, POLL_LIMIT_S))
            self.drop_expired()
        fetched = self.pending[:limit]
        for pending in fetched:
            self.note_delivered(pending)
        return [pending.wire() for pending in fetched]

    async def _wait(self, timeout_s: float) -> None:
        poll: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._poll = poll
        self._arrived.clear()
        arrival = asyncio.ensure_future(self._arrived.wait())
        try:
            waiting: list[asyncio.Future[Any]] = [poll, arrival]
            await asyncio.wait(waiting, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            arrival.cancel()
            if self._poll is poll:
                self._poll = None
        if poll.done() and poll.result():
            raise ApiError(409, poll.result())

    async def wait_for_arrival(self, timeout_s: float) -> None:
        """Sleep until an update is queued; for the webhook's delivery."""
        try:
            await asyncio.wait_for(self._arrived.wait(), timeout_s)
        except TimeoutError:
            return
        self._arrived.clear()

    def wake(self) -> None:
        self._arrived.set()

    def end_poll(self, conflict: str) -> None:
        """End the waiting poll with a conflict; with "" it returns no updates."""
        if self._poll is not None and not self._poll.done():
            self._poll.set_result(conflict)
        self._poll = None

    def close(self) -> None:
        self._is_closing = True
        self.end_poll("")
        self._arrived.set()

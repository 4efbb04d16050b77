"""The outbox: messages to send, in order per destination, until the channel has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from core.clock import Clock
from core.notifications import Destination, MessageKind, MessageState, QueuedMessage
from knowledge.database import Database
from knowledge.tables import outbox

FINAL_MESSAGE_STATES = (MessageState.SENT, MessageState.UNKNOWN, MessageState.FAILED)
CARD_KEY_PREFIX = "card:"
"""Prefix of the keys of incident cards, which are edited and replied to for long."""


_OTHER = outbox.alias("other")
_WITH_TARGET = select(outbox, _OTHER.c.message_id.label("of_message_id")).outerjoin(
    _OTHER, _OTHER.c.id == outbox.c.of_row
)
"""Built once: an alias copies every column, and a message is looked up several times on its way out."""


class Outbox:
    """Messages to send. Per destination only the first pending one is handed out, so the order is kept.

    `add` → `ready` → send it → `sent` | `postpone` (429, unreachable) | `failed` | `unknown`. A crash in between leaves
    it pending: it is sent again (at least once).
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def add(self, *messages: QueuedMessage, known: Mapping[str, int] | None = None) -> list[int]:
        """Queue messages in one transaction; returns their ids (that of the pending one where they coalesce).

        `known`: outbox ids of the messages themselves by key, 0 where none was ever queued. Keys that messages are
        `under` must be among them, or be queued before.
        """
        bases = dict(known or {})
        ids: list[int] = []
        async with self._database.write() as connection:
            for message in messages:
                if message.under is not None and message.of is None:
                    message = replace(message, of=bases.get(message.under))
                ids.append(await self._add(connection, message, bases.get(message.key or "")))
                bases[message.key or ""] = bases.get(message.key or "") or ids[-1]
        return ids

    async def ready(self, limit: int = 50, *, scheme: str = "", but: Sequence[Destination] = ()) -> list[QueuedMessage]:
        """The first pending message of each destination of a channel, if it is due.

        `but`: destinations that are being served.
        """
        firsts = select(func.min(outbox.c.id)).where(_is_pending(scheme)).group_by(outbox.c.destination)
        is_due = or_(outbox.c.not_before.is_(None), outbox.c.not_before <= self._clock.now())
        query = _WITH_TARGET.where(outbox.c.id.in_(firsts), is_due, outbox.c.destination.not_in(but))
        return await self._all(query.order_by(outbox.c.id).limit(limit))

    async def next_due(self, scheme: str = "") -> datetime | None:
        """Time of the next postponed message; None: none is postponed."""
        query = select(func.min(outbox.c.not_before)).where(
            _is_pending(scheme), outbox.c.not_before > self._clock.now()
        )
        async with self._database.read() as connection:
            found: datetime | None = (await connection.execute(query)).scalar_one_or_none()
        return found

    async def get(self, row_id: int) -> QueuedMessage | None:
        """The message, or None."""
        found = await self._all(_WITH_TARGET.where(outbox.c.id == row_id))
        return found[0] if found else None

    async def pending_for(self, destination: Destination, limit: int = 50) -> list[QueuedMessage]:
        """Pending messages of one destination, oldest first, postponed ones too."""
        query = _WITH_TARGET.where(_is_pending(), outbox.c.destination == destination)
        return await self._all(query.order_by(outbox.c.id).limit(limit))

    async def newest_by_key(self, *keys: str) -> dict[str, QueuedMessage]:
        """The message queued last under each key: what is shown there, or will be."""
        newest = select(func.max(outbox.c.id)).where(outbox.c.coalesce.in_(keys)).group_by(outbox.c.coalesce)
        found = await self._all(_WITH_TARGET.where(outbox.c.id.in_(newest)))
        return {message.key: message for message in found if message.key is not None}

    async def keys(self, stem: str) -> set[str]:
        """Every key with a message that begins with `stem`."""
        query = select(outbox.c.coalesce).distinct().where(_begins(outbox.c.coalesce, stem))
        async with self._database.read() as connection:
            return set((await connection.execute(query)).scalars())

    async def showing(self, place: Destination, message_id: str) -> list[QueuedMessage]:
        """The latest versions of a sent message, newest first; `place` covers its parts too, such as threads."""
        is_there = or_(outbox.c.destination == place, _begins(outbox.c.destination, f"{place}:"))
        query = _WITH_TARGET.where(outbox.c.message_id == message_id, is_there)
        return await self._all(query.order_by(outbox.c.id.desc()).limit(5))

    async def sent(self, row_id: int, *, version: int, message_id: str | None) -> bool:
        """Mark a message sent; False: a newer payload replaced it meanwhile and stays pending (as an edit)."""
        known = {} if message_id is None else {"message_id": message_id}
        over: dict[str, object] = {"state": MessageState.SENT, "ended_at": self._clock.now(), "attachment": None}
        is_this = (outbox.c.id == row_id, outbox.c.state == MessageState.PENDING)
        async with self._database.write() as connection:
            ended = await connection.execute(
                update(outbox).where(*is_this, outbox.c.version == version).values(error="", **over, **known)
            )
            if ended.rowcount == 1:
                return True
            if known:
                await connection.execute(update(outbox).where(outbox.c.id == row_id).values(**known))
            await connection.execute(
                update(outbox)
                .where(*is_this, outbox.c.kind == MessageKind.SEND, outbox.c.message_id.is_not(None))
                .values(kind=MessageKind.EDIT, of_row=row_id)
            )
            return False

    async def postpone(self, row_id: int, *, until: datetime, error: str = "") -> None:
        """Postpone a message until then; counts the attempt."""
        await self._change(row_id, not_before=until, attempts=outbox.c.attempts + 1, error=error[:1000])

    async def failed(self, row_id: int, *, error: str) -> None:
        """Mark a message that the channel refused for good."""
        await self._change(row_id, state=MessageState.FAILED, error=error[:1000], ended_at=self._clock.now())

    async def unknown(self, row_id: int, *, error: str) -> None:
        """Mark a message that may have arrived and is not worth a repeat (an old edit)."""
        await self._change(row_id, state=MessageState.UNKNOWN, error=error[:1000], ended_at=self._clock.now())

    async def count_pending(self) -> int:
        """Number of pending messages."""
        query = select(func.count()).where(_is_pending())
        async with self._database.read() as connection:
            return int((await connection.execute(query)).scalar_one())

    async def _add(self, connection: AsyncConnection, message: QueuedMessage, base: int | None) -> int:
        if message.key is None or base == 0:
            return await self._insert(connection, message, None)
        pending = await self._take_place(connection, message)
        if pending is not None:
            return pending
        is_edit = message.kind is MessageKind.SEND
        first = (base or await self._first(connection, message)) if is_edit else None
        return await self._insert(connection, message, first)

    async def _take_place(self, connection: AsyncConnection, message: QueuedMessage) -> int | None:
        """Replace the payload of the pending message with the same key; None: there is none."""
        changed = await connection.execute(
            update(outbox)
            .where(_is_pending(), *_is_same(message))
            .values(payload=message.payload, attachment=message.attachment, version=outbox.c.version + 1)
            .returning(outbox.c.id)
        )
        found = changed.scalars().first()
        return None if found is None else int(found)

    async def _first(self, connection: AsyncConnection, message: QueuedMessage) -> int | None:
        """Id of the message to edit: the first under the same key; None: none was sent, or it was refused."""
        came = or_(outbox.c.state != MessageState.FAILED, outbox.c.message_id.is_not(None))
        query = select(outbox.c.id).where(came, *_is_same(message)).order_by(outbox.c.id).limit(1)
        return (await connection.execute(query)).scalar_one_or_none()

    async def _insert(self, connection: AsyncConnection, message: QueuedMessage, edits: int | None) -> int:
        written = await connection.execute(
            insert(outbox)
            .values(
                destination=message.destination,
                kind=message.kind if edits is None else MessageKind.EDIT,
                payload=message.payload,
                attachment=message.attachment if edits is None else None,
                coalesce=message.key,
                of_row=message.of if edits is None else edits,
                state=MessageState.PENDING,
                not_before=message.not_before,
                made_at=self._clock.now(),
            )
            .returning(outbox.c.id)
        )
        return int(written.scalar_one())

    async def _change(self, row_id: int, **values: object) -> None:
        async with self._database.write() as connection:
            await connection.execute(update(outbox).where(outbox.c.id == row_id, _is_pending()).values(**values))

    async def _all(self, query: Select[Any]) -> list[QueuedMessage]:
        async with self._database.read() as connection:
            return [_queued(row) for row in (await connection.execute(query)).all()]


def _is_pending(scheme: str = "") -> ColumnElement[bool]:
    is_pending = outbox.c.state == MessageState.PENDING
    return is_pending & _begins(outbox.c.destination, f"{scheme}:") if scheme else is_pending


def _is_same(message: QueuedMessage) -> tuple[ColumnElement[bool], ...]:
    return (outbox.c.coalesce == message.key, outbox.c.destination == message.destination)


def _begins(column: ColumnElement[Any], stem: str) -> ColumnElement[bool]:
    return column.startswith(stem, autoescape=True)


def _queued(row: Row[Any]) -> QueuedMessage:
    return QueuedMessage(
        id=row.id,
        destination=row.destination,
        kind=MessageKind(row.kind),
        payload=row.payload,
        attachment=row.attachment,
        key=row.coalesce,
        of=row.of_row,
        not_before=row.not_before,
        state=MessageState(row.state),
        version=row.version,
        attempts=row.attempts,
        message_id=row.message_id,
        of_message_id=row.of_message_id,
        error=row.error,
    )

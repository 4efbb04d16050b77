"""The outbox: what is to be sent, per chat in order, until the chat server has it; and which message is which card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, and_, func, insert, or_, select, update

from core.actions.catalog import JsonObject
from core.clock import Clock
from knowledge.database import Database
from knowledge.tables import cards, outbox


class MessageKind(StrEnum):
    """What to ask of the chat server."""

    SEND = "send"
    EDIT = "edit"
    PHOTO = "photo"
    DOCUMENT = "document"
    DELETE = "delete"


class MessageState(StrEnum):
    """pending → one of the others."""

    PENDING = "pending"
    SENT = "sent"
    UNKNOWN = "unknown"
    """Given up without knowing whether it arrived."""
    FAILED = "failed"
    """Refused: repeating it would not help."""


OVER = (MessageState.SENT, MessageState.UNKNOWN, MessageState.FAILED)


@dataclass(frozen=True, kw_only=True)
class NewMessage:
    """Something to send."""

    chat_id: int
    thread_id: int | None = None
    kind: MessageKind = MessageKind.SEND
    payload: JsonObject
    """As the face needs it: text, buttons, parse mode, caption …"""
    attachment: bytes | None = None
    """A photo's or document's bytes."""
    of: int | None = None
    """Outbox id of the message that an edit, deletion or reply is about; its message id is looked up when sending."""
    coalesce: str | None = None
    """A pending message of the same key takes this payload instead of a second place in the queue."""
    not_before: datetime | None = None


_OTHER = outbox.alias("other")
_WITH_TARGET = select(outbox, _OTHER.c.message_id.label("of_message_id")).outerjoin(
    _OTHER, _OTHER.c.id == outbox.c.of_row
)
"""Built once: an alias copies every column, and a message is looked up five times on its way out."""


@dataclass(frozen=True, kw_only=True)
class Outgoing:
    """A message as the outbox holds it."""

    id: int
    message: NewMessage
    state: MessageState
    version: int
    """Grows when a newer payload took its place: `sent` must name the version that was sent."""
    attempts: int
    message_id: int | None
    """Of this message, once it was sent."""
    of_message_id: int | None
    """Message id of the message that `of` names; None while that one was not sent."""
    made_at: datetime
    error: str = ""


class Outbox:
    """Messages to send. Per chat only the first pending one is handed out, so the order is kept.

    `add` → `ready` → send it → `sent` | `postpone` (429, unreachable) | `failed` | `unknown`. A crash in between leaves
    it pending: it is sent again (at least once).
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def add(self, *messages: NewMessage) -> list[int]:
        """Queue messages in one transaction; returns their ids (that of the pending one where they coalesce)."""
        ids: list[int] = []
        async with self._database.write() as connection:
            for message in messages:
                known = await self._take_place(connection, message) if message.coalesce else None
                if known is None and message.coalesce and message.kind is MessageKind.SEND:
                    message = await self._as_edit(connection, message)
                ids.append(known if known is not None else await self._insert(connection, message))
        return ids

    async def ready(self, limit: int = 50, *, but: Sequence[int] = ()) -> list[Outgoing]:
        """The first pending message of each chat, where its time has come; `but`: chats that are being served."""
        firsts = select(func.min(outbox.c.id)).where(outbox.c.state == MessageState.PENDING).group_by(outbox.c.chat_id)
        is_due = or_(outbox.c.not_before.is_(None), outbox.c.not_before <= self._clock.now())
        query = _WITH_TARGET.where(outbox.c.id.in_(firsts), is_due, outbox.c.chat_id.not_in(but))
        return await self._all(query.order_by(outbox.c.id).limit(limit))

    async def next_due(self) -> datetime | None:
        """When the next postponed message may be sent; None: none is postponed."""
        query = select(func.min(outbox.c.not_before)).where(
            outbox.c.state == MessageState.PENDING, outbox.c.not_before > self._clock.now()
        )
        async with self._database.read() as connection:
            found: datetime | None = (await connection.execute(query)).scalar_one_or_none()
        return found

    async def get(self, row_id: int) -> Outgoing | None:
        """The message, or None."""
        found = await self._all(_WITH_TARGET.where(outbox.c.id == row_id))
        return found[0] if found else None

    async def of_chat(self, chat_id: int, limit: int = 50) -> list[Outgoing]:
        """What is pending in one chat, oldest first, whether or not its time has come."""
        query = _WITH_TARGET.where(outbox.c.state == MessageState.PENDING, outbox.c.chat_id == chat_id)
        return await self._all(query.order_by(outbox.c.id).limit(limit))

    async def by_key(self, key: str) -> Outgoing | None:
        """The first message that was ever queued under a coalesce key: edits name it in `of`. None: there is none."""
        found = await self._all(_WITH_TARGET.where(outbox.c.coalesce == key).order_by(outbox.c.id).limit(1))
        return found[0] if found else None

    async def newest_by_key(self, key: str) -> Outgoing | None:
        """The last that was queued under a coalesce key: what its message shows or will show. None: there is none."""
        query = _WITH_TARGET.where(outbox.c.coalesce == key).order_by(outbox.c.id.desc()).limit(1)
        found = await self._all(query)
        return found[0] if found else None

    async def showing(self, chat_id: int, message_id: int) -> list[Outgoing]:
        """What a message of a chat shows and showed, newest first: for what its buttons mean."""
        query = _WITH_TARGET.where(outbox.c.chat_id == chat_id, outbox.c.message_id == message_id)
        return await self._all(query.order_by(outbox.c.id.desc()).limit(5))

    async def sent(self, row_id: int, *, version: int, message_id: int | None) -> bool:
        """It has arrived; False: a newer payload took its place meanwhile, which stays pending (as an edit)."""
        async with self._database.write() as connection:
            if message_id is not None:
                values: dict[str, object] = {"message_id": message_id}
                await connection.execute(update(outbox).where(outbox.c.id == row_id).values(**values))
                await connection.execute(update(cards).where(cards.c.outbox_id == row_id).values(**values))
            ended = await connection.execute(
                update(outbox)
                .where(outbox.c.id == row_id, outbox.c.version == version, outbox.c.state == MessageState.PENDING)
                .values(state=MessageState.SENT, ended_at=self._clock.now(), attachment=None, error="")
            )
            if ended.rowcount == 1:
                return True
            await connection.execute(
                update(outbox)
                .where(outbox.c.id == row_id, outbox.c.state == MessageState.PENDING)
                .where(outbox.c.kind == MessageKind.SEND, outbox.c.message_id.is_not(None))
                .values(kind=MessageKind.EDIT, of_row=row_id)
            )
            return False

    async def postpone(self, row_id: int, *, until: datetime, error: str = "") -> None:
        """Try again then; counts the attempt."""
        await self._change(row_id, not_before=until, attempts=outbox.c.attempts + 1, error=error[:1000])

    async def failed(self, row_id: int, *, error: str) -> None:
        """The server refused it for good."""
        await self._change(row_id, state=MessageState.FAILED, error=error[:1000], ended_at=self._clock.now())

    async def unknown(self, row_id: int, *, error: str) -> None:
        """Nobody can say whether it arrived, and it is not worth a repeat (a deletion, an old edit)."""
        await self._change(row_id, state=MessageState.UNKNOWN, error=error[:1000], ended_at=self._clock.now())

    async def count_pending(self) -> int:
        """How many are not over."""
        query = select(func.count()).where(outbox.c.state == MessageState.PENDING)
        async with self._database.read() as connection:
            return int((await connection.execute(query)).scalar_one())

    async def _take_place(self, connection: Any, message: NewMessage) -> int | None:
        """Put the payload where the pending message of the same key stands."""
        changed = await connection.execute(
            update(outbox)
            .where(
                outbox.c.state == MessageState.PENDING,
                outbox.c.coalesce == message.coalesce,
                outbox.c.chat_id == message.chat_id,
            )
            .values(payload=message.payload, attachment=message.attachment, version=outbox.c.version + 1)
            .returning(outbox.c.id)
        )
        found = changed.scalars().first()
        return None if found is None else int(found)

    async def _as_edit(self, connection: Any, message: NewMessage) -> NewMessage:
        """What was sent under the same key is edited, never said a second time; what was refused is said anew."""
        came = or_(outbox.c.state != MessageState.FAILED, outbox.c.message_id.is_not(None))
        query = (
            select(outbox.c.id)
            .where(outbox.c.coalesce == message.coalesce, outbox.c.chat_id == message.chat_id, came)
            .order_by(outbox.c.id)
            .limit(1)
        )
        first = (await connection.execute(query)).scalar_one_or_none()
        return message if first is None else replace(message, kind=MessageKind.EDIT, of=int(first), attachment=None)

    async def _insert(self, connection: Any, message: NewMessage) -> int:
        written = await connection.execute(
            insert(outbox)
            .values(
                chat_id=message.chat_id,
                thread_id=message.thread_id,
                kind=message.kind,
                payload=message.payload,
                attachment=message.attachment,
                coalesce=message.coalesce,
                of_row=message.of,
                state=MessageState.PENDING,
                not_before=message.not_before,
                made_at=self._clock.now(),
            )
            .returning(outbox.c.id)
        )
        return int(written.scalar_one())

    async def _change(self, row_id: int, **values: object) -> None:
        async with self._database.write() as connection:
            await connection.execute(
                update(outbox).where(outbox.c.id == row_id, outbox.c.state == MessageState.PENDING).values(**values)
            )

    async def _all(self, query: Any) -> list[Outgoing]:
        async with self._database.read() as connection:
            return [_outgoing(row) for row in (await connection.execute(query)).all()]


@dataclass(frozen=True, kw_only=True)
class CardPlace:
    """Where an incident's card lives in one chat."""

    incident_id: int
    chat_id: int
    thread_id: int | None = None
    outbox_id: int
    message_id: int | None = None
    """None while it was not sent."""


class Cards:
    """Which message of which chat is which incident's card; one card per incident and chat."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def place(self, place: CardPlace) -> bool:
        """Remember a new card's place; False: the incident has a card in that chat already."""
        columns = (cards.c.incident_id == place.incident_id, cards.c.chat_id == place.chat_id)
        async with self._database.write() as connection:
            if (await connection.execute(select(cards.c.id).where(*columns))).first() is not None:
                return False
            sent = select(outbox.c.message_id).where(outbox.c.id == place.outbox_id)
            message_id = place.message_id or (await connection.execute(sent)).scalar_one_or_none()
            await connection.execute(
                insert(cards).values(
                    incident_id=place.incident_id,
                    chat_id=place.chat_id,
                    thread_id=place.thread_id,
                    outbox_id=place.outbox_id,
                    message_id=message_id,
                )
            )
            return True

    async def of_incident(self, incident_id: int) -> list[CardPlace]:
        """Every place of an incident's card."""
        query = select(cards).where(cards.c.incident_id == incident_id).order_by(cards.c.id)
        async with self._database.read() as connection:
            return [_place(row) for row in (await connection.execute(query)).all()]

    async def incident_of(self, chat_id: int, message_id: int) -> int | None:
        """The incident whose card that message is, or None."""
        query = select(cards.c.incident_id).where(cards.c.chat_id == chat_id, cards.c.message_id == message_id)
        async with self._database.read() as connection:
            return (await connection.execute(query)).scalars().first()

    async def move(self, incident_id: int, chat_id: int, *, outbox_id: int) -> None:
        """The card is another message now (the old one is gone or too old to edit)."""
        async with self._database.write() as connection:
            await connection.execute(
                update(cards)
                .where(and_(cards.c.incident_id == incident_id, cards.c.chat_id == chat_id))
                .values(outbox_id=outbox_id, message_id=None)
            )


def _outgoing(row: Row[Any]) -> Outgoing:
    message = NewMessage(
        chat_id=row.chat_id,
        thread_id=row.thread_id,
        kind=MessageKind(row.kind),
        payload=row.payload,
        attachment=row.attachment,
        of=row.of_row,
        coalesce=row.coalesce,
        not_before=row.not_before,
    )
    return Outgoing(
        id=row.id,
        message=message,
        state=MessageState(row.state),
        version=row.version,
        attempts=row.attempts,
        message_id=row.message_id,
        of_message_id=row.of_message_id,
        made_at=row.made_at,
        error=row.error,
    )


def _place(row: Row[Any]) -> CardPlace:
    return CardPlace(
        incident_id=row.incident_id,
        chat_id=row.chat_id,
        thread_id=row.thread_id,
        outbox_id=row.outbox_id,
        message_id=row.message_id,
    )

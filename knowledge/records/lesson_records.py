"""Lessons: one per incident, the truth from which the vector index can always be rebuilt."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from core.incidents.lessons import Lesson
from knowledge.codec import decode_record, encode_record
from knowledge.database import Database
from knowledge.tables import lessons


class VectorCollection(StrEnum):
    """The two vector collections."""

    BUILTIN = "builtin"
    MODEL = "model"


INDEXED_COLUMNS = {VectorCollection.BUILTIN: lessons.c.in_builtin, VectorCollection.MODEL: lessons.c.in_model}


class LessonRecords:
    """Lessons over the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def save(self, lesson: Lesson) -> Lesson:
        """Write a lesson; the later one of an incident replaces the earlier. Returns it with its id."""
        values: dict[str, object] = {
            "incident_id": lesson.incident_id,
            "at": lesson.at,
            "stack": lesson.stack,
            "service": lesson.service,
            "cause": lesson.cause,
            "runbook": lesson.runbook,
            "held": lesson.held,
            "body": encode_record(replace(lesson, id=0)),
            "embedding": None,
            "embedding_model": None,
            "in_builtin": False,
            "in_model": False,
        }
        async with self._database.write() as connection:
            if lesson.incident_id is not None:
                known = await connection.execute(
                    update(lessons)
                    .where(lessons.c.incident_id == lesson.incident_id)
                    .values(**values)
                    .returning(lessons.c.id)
                )
                known_id = known.scalar_one_or_none()
                if known_id is not None:
                    return replace(lesson, id=known_id)
            written = await connection.execute(insert(lessons).values(**values).returning(lessons.c.id))
            return replace(lesson, id=int(written.scalar_one()))

    async def some(self, ids: Collection[int]) -> Mapping[int, Lesson]:
        """Lessons by id."""
        found = await self._all(select(lessons).where(lessons.c.id.in_(ids)))
        return {lesson.id: lesson for lesson in found}

    async def newest(self, limit: int, *, stack: str | None = None) -> list[Lesson]:
        """The latest lessons, newest first."""
        query = select(lessons).order_by(lessons.c.id.desc()).limit(limit)
        return await self._all(query if stack is None else query.where(lessons.c.stack == stack))

    async def akin(
        self, *, cause: str | None, service: str | None, stack: str | None = None, limit: int = 20
    ) -> list[Lesson]:
        """Lessons of that cause or that service, newest first."""
        akin: list[ColumnElement[bool]] = []
        if cause:
            akin.append(lessons.c.cause == cause)
        if service:
            akin.append(lessons.c.service == service)
        if not akin:
            return []
        query = select(lessons).where(or_(*akin)).order_by(lessons.c.id.desc()).limit(limit)
        return await self._all(query if stack is None else query.where(lessons.c.stack == stack))

    async def wins_since_failure(self, *, runbook: str, cause: str, stack: str | None) -> int:
        """Number of verified cures of this cause by this runbook on this stack since its last failure; at most 100."""
        same = (
            lessons.c.runbook == runbook,
            lessons.c.cause == cause,
            lessons.c.stack == stack if stack is not None else lessons.c.stack.is_(None),
        )
        query = select(lessons.c.held).where(*same, lessons.c.held.is_not(None)).order_by(lessons.c.at.desc())
        async with self._database.read() as connection:
            ends = (await connection.execute(query.limit(100))).scalars().all()
        return next((count for count, held in enumerate(ends) if not held), len(ends))

    # -- the index ---------------------------------------------------------------------------------------------------

    async def count(self, index: VectorCollection | None = None) -> int:
        """Number of lessons, or of those marked as being in an index."""
        query = select(func.count()).select_from(lessons)
        if index is not None:
            query = query.where(INDEXED_COLUMNS[index].is_(True))
        async with self._database.read() as connection:
            return int((await connection.execute(query)).scalar_one())

    async def unindexed(self, index: VectorCollection, limit: int, *, model: str | None = None) -> list[Lesson]:
        """Lessons that are not in an index yet, oldest first; of the model's those that `model` has embedded."""
        query = select(lessons).where(INDEXED_COLUMNS[index].is_(False))
        if index is VectorCollection.MODEL:
            query = query.where(lessons.c.embedding_model == model)
        return await self._all(query.order_by(lessons.c.id).limit(limit))

    async def unembedded(self, identity: str, limit: int) -> list[Lesson]:
        """Lessons that the model of that identity has not embedded, oldest first."""
        async with self._database.read() as connection:
            others = [one for one in await _embedding_models(connection) if not one.startswith(f"{identity}#")]
        is_missing: ColumnElement[bool] = lessons.c.embedding_model.is_(None)
        if others:
            is_missing = or_(is_missing, lessons.c.embedding_model.in_(others))
        return await self._all(select(lessons).where(is_missing).order_by(lessons.c.id).limit(limit))

    async def embeddings(self, ids: Collection[int], model: str) -> Mapping[int, bytes]:
        """Stored embeddings of that model, by lesson."""
        query = select(lessons.c.id, lessons.c.embedding).where(
            lessons.c.id.in_(ids), lessons.c.embedding_model == model, lessons.c.embedding.is_not(None)
        )
        async with self._database.read() as connection:
            return {row.id: row.embedding for row in (await connection.execute(query)).all()}

    async def keep_embeddings(self, found: Mapping[int, bytes], model: str) -> None:
        """Store embeddings of that model, so that a rebuilt index needs none computed again."""
        async with self._database.write() as connection:
            for lesson_id, embedding in found.items():
                await connection.execute(
                    update(lessons)
                    .where(lessons.c.id == lesson_id)
                    .values(embedding=embedding, embedding_model=model, in_model=False)
                )

    async def mark(self, index: VectorCollection, taken: Sequence[Lesson]) -> None:
        """Mark lessons as being in the index, unless they changed meanwhile."""
        async with self._database.write() as connection:
            for lesson in taken:
                same = (lessons.c.id == lesson.id, lessons.c.body == encode_record(replace(lesson, id=0)))
                await connection.execute(update(lessons).where(*same).values({INDEXED_COLUMNS[index]: True}))

    async def unmark(self, index: VectorCollection) -> None:
        """Mark all lessons as missing from the index: it is empty."""
        async with self._database.write() as connection:
            await connection.execute(update(lessons).values({INDEXED_COLUMNS[index]: False}))

    async def _all(self, query: Select[Any]) -> list[Lesson]:
        async with self._database.read() as connection:
            return [_lesson(row) for row in (await connection.execute(query)).all()]


async def _embedding_models(connection: AsyncConnection) -> list[str]:
    """Models that embedded a lesson; one step through the index for each, as they are few."""
    found: list[str] = []
    column = lessons.c.embedding_model
    while (model := await connection.scalar(select(func.min(column)).where(column > (found or [""])[-1]))) is not None:
        found.append(model)
    return found


def _lesson(row: Row[Any]) -> Lesson:
    return replace(decode_record(Lesson, row.body, what=f"the lesson {row.id}"), id=row.id)

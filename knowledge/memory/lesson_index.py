"""Lessons in the vector index: opened on first use, kept complete from the records, rebuilt when it is damaged."""

from __future__ import annotations

import asyncio
import hashlib
from array import array
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

import structlog

from core.errors import GuardianError
from core.incidents.lessons import Lesson
from knowledge.memory import builtin_embedding as builtin
from knowledge.memory.vector_index import VECTORS_AT_ONCE, IndexDamaged, IndexUnavailable, VectorIndex
from knowledge.records.lesson_records import LessonRecords, VectorCollection

BUILTIN_COLLECTION = f"lessons_{builtin.EMBEDDING_ID}"
LessonHits = list[tuple[int, float]]
"""Lesson ids with their likeness (cosine), nearest first."""
R = TypeVar("R")
log = structlog.get_logger(__name__)


class LessonIndex:
    """Two collections that are never mixed: the built-in embedding's, and that of one model at a time.

    Every method returns None where there is no index, and never raises for one that is damaged.
    """

    def __init__(self, lessons: LessonRecords, directory: Path) -> None:
        self._lessons = lessons
        self._directory = directory
        self._index: VectorIndex | None = None
        self._model = ""
        self._gave_up = False
        self._turn = asyncio.Lock()

    @property
    def is_open(self) -> bool:
        """True once it was used (and Chroma is loaded)."""
        return self._index is not None

    async def near(self, vector: Sequence[float], k: int, *, stack: str | None = None) -> LessonHits | None:
        """Search by the built-in embedding, over all lessons."""

        async def ask(index: VectorIndex) -> LessonHits:
            await self._fill_builtin(index)
            return await index.nearest(BUILTIN_COLLECTION, vector, k, stack=stack)

        return await self._on_index(ask)

    async def near_by_model(
        self, model: str, vector: Sequence[float], k: int, *, stack: str | None = None
    ) -> LessonHits | None:
        """Search by a model's embedding, over the lessons that have one; `model` names model, digest and dimensions."""

        async def ask(index: VectorIndex) -> LessonHits:
            name = await self._fill_model(index, model)
            return await index.nearest(name, vector, k, stack=stack)

        return await self._on_index(ask)

    async def fill(self) -> None:
        """Add the lessons missing from the built-in collection."""
        await self._on_index(self._fill_builtin)

    async def close(self) -> None:
        """Close the index's files."""
        async with self._turn:
            index, self._index = self._index, None
            if index is not None:
                try:
                    await index.close()
                except GuardianError as error:
                    log.warning("the memory's index did not close", exc_info=error)

    # -- damage ----------------------------------------------------------------------------------------------------

    async def _on_index(self, work: Callable[[VectorIndex], Awaitable[R]]) -> R | None:
        """Run work on the index; a damaged one is set aside and rebuilt, once."""
        async with self._turn:
            for is_last in (False, True):
                if self._gave_up:
                    return None
                try:
                    return await work(await self._opened())
                except IndexUnavailable as error:
                    self._gave_up = True
                    log.warning("memory goes on without a vector index", exc_info=error)
                except (IndexDamaged, OSError) as error:
                    log.warning("the memory's index is damaged and is built again", exc_info=error)
                    if not await self._set_aside() or is_last:
                        self._gave_up = True
        return None

    async def _opened(self) -> VectorIndex:
        if self._index is None:
            self._index, self._model = VectorIndex(self._directory), ""
            counts = await self._index.open([BUILTIN_COLLECTION])
            if counts[BUILTIN_COLLECTION] < await self._lessons.count(VectorCollection.BUILTIN):
                await self._lessons.unmark(VectorCollection.BUILTIN)
        return self._index

    async def _set_aside(self) -> bool:
        index, self._index = self._index, None
        await self._lessons.unmark(VectorCollection.BUILTIN)
        await self._lessons.unmark(VectorCollection.MODEL)
        if index is None:
            return True
        try:
            await index.set_aside()
            await index.close()
        except (GuardianError, OSError) as error:
            log.warning("the damaged index could not be set aside", exc_info=error)
            return False
        return True

    # -- filling ---------------------------------------------------------------------------------------------------

    async def _fill_builtin(self, index: VectorIndex) -> None:
        while missing := await self._lessons.unindexed(VectorCollection.BUILTIN, VECTORS_AT_ONCE):
            vectors = await asyncio.to_thread(embed_lessons, missing)
            rows = [(one.id, vector, one.stack or "") for one, vector in zip(missing, vectors, strict=True)]
            await index.put(BUILTIN_COLLECTION, rows)
            await self._lessons.mark(VectorCollection.BUILTIN, missing)

    async def _fill_model(self, index: VectorIndex, model: str) -> str:
        name = f"lessons_model_{hashlib.sha256(model.encode()).hexdigest()[:16]}"
        if self._model != model:
            await index.keep_only([BUILTIN_COLLECTION, name])
            counts = await index.open([name])
            if counts[name] < await self._lessons.count(VectorCollection.MODEL):
                await self._lessons.unmark(VectorCollection.MODEL)
            self._model = model
        while missing := await self._lessons.unindexed(VectorCollection.MODEL, VECTORS_AT_ONCE, model=model):
            stored = await self._lessons.embeddings([one.id for one in missing], model)
            await index.put(name, [(one.id, decode_vector(stored[one.id]), one.stack or "") for one in missing])
            await self._lessons.mark(VectorCollection.MODEL, missing)
        return name


def embedded_text(lesson: Lesson) -> str:
    """Text of a lesson to embed."""
    return " ".join((lesson.kind, lesson.cause, lesson.target, lesson.text))


def embed_lessons(lessons: Sequence[Lesson]) -> list[list[float]]:
    """Built-in embeddings of lessons; some milliseconds each, so call it in a thread."""
    return [builtin.embed_text(embedded_text(lesson)) for lesson in lessons]


def encode_vector(vector: Sequence[float]) -> bytes:
    """Encode a vector for storage."""
    return array("f", vector).tobytes()


def decode_vector(packed: bytes) -> list[float]:
    """Decode a vector from storage."""
    numbers = array("f")
    numbers.frombytes(packed)
    return list(numbers)

"""The incident memory: lessons in the records, found again by likeness; what helped before, and what did not."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from array import array
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from core.errors import GuardianError
from core.incidents import Incident
from knowledge import embedding as builtin
from knowledge.lesson_records import Index, Lesson, LessonRecords
from knowledge.vectors import BATCH, IndexDamaged, IndexUnavailable, VectorIndex

BUILTIN_COLLECTION = f"lessons_{builtin.IDENTITY}"
CANDIDATES = 20
FUSION = 60
"""Reciprocal rank fusion's usual constant: how little the first place outweighs the second."""
SCANNED = 1000
"""Latest lessons that are compared one by one while there is no index."""
INDEXED_AT_ONCE = 200
"""Lessons that a recall puts into the index before it answers; the rest follows with the next ones."""
EMBED_LIMIT_S = 20.0
LEAST_LIKENESS = 0.12
"""Below this cosine of the built-in embedding two texts share nothing but a letter triple."""
log = logging.getLogger(__name__)
Redact = Callable[[str], str]


@dataclass(frozen=True, kw_only=True)
class Embedder:
    """A model's embedding, while it is up."""

    identity: Callable[[], Awaitable[str | None]]
    """`name@digest` of the model that would answer now; None: it is down."""
    embed: Callable[[Sequence[str]], Awaitable[list[list[float]]]]


@dataclass(frozen=True, kw_only=True)
class Recalled:
    """A lesson that came back."""

    lesson: Lesson
    score: float
    """0–1, for the order only."""
    likeness: float
    """Cosine of the texts, 0–1; 0 where it came by cause or service alone."""


class Memory:
    """Learn and recall. The records are the truth; the vector index is opened on first use and rebuilt when damaged.

    Two collections that are never mixed: the built-in embedding's, always complete, and the model's, while it is up.
    Without any index lessons are compared one by one.
    """

    def __init__(
        self,
        lessons: LessonRecords,
        directory: Path,
        *,
        redact: Redact = lambda text: text,
        embedder: Embedder | None = None,
    ) -> None:
        self._lessons = lessons
        self._redact = redact
        self._embedder = embedder
        self._index: VectorIndex | None = None
        self._directory = directory
        self._model_collection: tuple[str, str] | None = None  # identity with dimensions, name
        self._gave_up = False
        self._turn = asyncio.Lock()

    def use(self, embedder: Embedder | None = None, redact: Redact | None = None) -> None:
        """Give what is built after the records: the model's embedding and the redactor."""
        self._embedder = embedder or self._embedder
        self._redact = redact or self._redact

    async def close(self) -> None:
        """Let go of the index."""
        async with self._turn:
            if self._index is not None:
                index, self._index = self._index, None
                try:
                    await index.close()
                except GuardianError as error:
                    log.warning("the memory's index did not close", exc_info=error)

    # -- learn and recall ------------------------------------------------------------------------------------------

    async def learn(self, lesson: Lesson) -> Lesson:
        """Keep a lesson, without secrets; it is in the records when this returns, and in the index soon."""
        actions = tuple(self._redact(line) for line in lesson.actions)
        kept = await self._lessons.save(replace(lesson, text=self._redact(lesson.text), actions=actions))
        if self._index is not None:
            async with self._turn:
                await self._guarded(self._catch_up, BUILTIN_COLLECTION)
        return kept

    async def recall(
        self,
        text: str,
        k: int = 3,
        *,
        stack: str | None = None,
        cause: str | None = None,
        service: str | None = None,
        but_incident: int | None = None,
    ) -> list[Recalled]:
        """The lessons most like a text, best first; the same cause or service moves up. Empty: nothing is like it."""
        if not await self._lessons.count():
            return []
        text = self._redact(text)
        wanted = await asyncio.to_thread(builtin.embed, text)
        rankings: list[list[tuple[int, float]]] = []
        async with self._turn:
            near = await self._guarded(self._near, wanted, text, stack)
        if near is None:
            rankings.append(await self._scan(wanted, stack))
        else:
            rankings.extend(near)
        akin = await self._lessons.akin(cause=cause, service=service, stack=stack, limit=CANDIDATES)
        rankings.append([(lesson.id, 0.0) for lesson in akin])
        return await self._fused(rankings, k, cause=cause, service=service, but_incident=but_incident)

    async def similar(self, incident: Incident, k: int = 3) -> list[Recalled]:
        """The lessons of other incidents most like this one."""
        return await self.recall(
            describe(incident),
            k,
            cause=incident.diagnosis.cause if incident.diagnosis else None,
            service=incident.service,
            but_incident=incident.id,
        )

    async def preload(self) -> None:
        """Open the index and put in what is missing, so that the first question need not wait."""
        if await self._lessons.count():
            async with self._turn:
                await self._guarded(self._catch_up, BUILTIN_COLLECTION)

    # -- the index -------------------------------------------------------------------------------------------------

    async def _guarded(
        self, work: Callable[..., Awaitable[list[list[tuple[int, float]]]]], *args: object
    ) -> list[list[tuple[int, float]]] | None:
        """Do it on the index; a damaged one is set aside and built again, once. None: there is no index."""
        for is_last in (False, True):
            if self._gave_up:
                return None
            try:
                await self._opened()
                return await work(*args)
            except IndexUnavailable as error:
                self._gave_up = True
                log.warning("memory goes on without a vector index", exc_info=error)
            except (IndexDamaged, OSError) as error:
                log.warning("the memory's index is damaged and is built again", exc_info=error)
                if is_last or not await self._begin_anew():
                    self._gave_up = True
        return None

    async def _opened(self) -> VectorIndex:
        if self._index is None:
            index = VectorIndex(self._directory)
            self._index = index
            counts = await index.open([BUILTIN_COLLECTION])
            if counts[BUILTIN_COLLECTION] < await self._lessons.count(Index.BUILTIN):
                await self._lessons.unmark(Index.BUILTIN)
            self._model_collection = None
        return self._index

    async def _begin_anew(self) -> bool:
        index, self._index, self._model_collection = self._index, None, None
        await self._lessons.unmark(Index.BUILTIN)
        await self._lessons.unmark(Index.MODEL)
        if index is None:
            return True
        try:
            await index.set_aside()
            await index.close()
        except (GuardianError, OSError) as error:
            log.warning("the damaged index could not be set aside", exc_info=error)
            return False
        return True

    async def _catch_up(self, collection: str) -> list[list[tuple[int, float]]]:
        """Put lessons into the built-in collection that are not in it yet."""
        index = await self._opened()
        for _ in range(0, INDEXED_AT_ONCE, BATCH):
            missing = await self._lessons.unindexed(Index.BUILTIN, BATCH)
            if not missing:
                break
            vectors = await asyncio.to_thread(_embed_all, missing)
            rows = [(one.id, vector, one.stack or "") for one, vector in zip(missing, vectors, strict=True)]
            await index.put(collection, rows)
            await self._lessons.mark(Index.BUILTIN, missing)
        return []

    async def _near(self, wanted: list[float], text: str, stack: str | None) -> list[list[tuple[int, float]]]:
        index = await self._opened()
        await self._catch_up(BUILTIN_COLLECTION)
        found = await index.nearest(BUILTIN_COLLECTION, wanted, CANDIDATES, stack=stack)
        rankings = [[(number, near) for number, near in found if near >= LEAST_LIKENESS]]
        by_model = await self._near_by_model(index, text, stack)
        if by_model:
            rankings.append(by_model)
        return rankings

    # -- the model's collection ------------------------------------------------------------------------------------

    async def _near_by_model(self, index: VectorIndex, text: str, stack: str | None) -> list[tuple[int, float]]:
        """By the model's embedding; empty while it is down or slow: the built-in one has answered already."""
        if self._embedder is None:
            return []
        try:
            async with asyncio.timeout(EMBED_LIMIT_S):
                identity = await self._embedder.identity()
                if identity is None:
                    return []
                vector = (await self._embedder.embed([text]))[0]
                model = f"{identity}#{len(vector)}"
                name = await self._model_opened(index, model)
                await self._catch_up_by_model(index, name, model)
        except (GuardianError, TimeoutError, IndexError) as error:
            if isinstance(error, IndexDamaged):
                raise
            log.info("the model gave no embedding; memory uses the built-in one", exc_info=error)
            return []
        near = await index.nearest(name, vector, CANDIDATES, stack=stack)
        return [(number, likeness) for number, likeness in near if likeness > 0]

    async def _model_opened(self, index: VectorIndex, model: str) -> str:
        name = f"lessons_model_{hashlib.sha256(model.encode()).hexdigest()[:16]}"
        if self._model_collection != (model, name):
            await index.keep_only([BUILTIN_COLLECTION, name])
            counts = await index.open([name])
            if counts[name] < await self._lessons.count(Index.MODEL):
                await self._lessons.unmark(Index.MODEL)
            self._model_collection = (model, name)
        return name

    async def _catch_up_by_model(self, index: VectorIndex, name: str, model: str) -> None:
        embedder = self._embedder
        if embedder is None:
            return
        for _ in range(0, INDEXED_AT_ONCE, BATCH):
            missing = await self._lessons.unindexed(Index.MODEL, BATCH, model=model)
            if not missing:
                return
            known = dict(await self._lessons.embeddings([one.id for one in missing], model))
            new = [one for one in missing if one.id not in known]
            if new:
                vectors = await embedder.embed([_words(one) for one in new])
                packed = {one.id: array("f", vector).tobytes() for one, vector in zip(new, vectors, strict=True)}
                await self._lessons.keep_embeddings(packed, model)
                known |= packed
            await index.put(name, [(one.id, _floats(known[one.id]), one.stack or "") for one in missing])
            await self._lessons.mark(Index.MODEL, missing)

    # -- ranking ---------------------------------------------------------------------------------------------------

    async def _scan(self, wanted: list[float], stack: str | None) -> list[tuple[int, float]]:
        """Compare the latest lessons one by one, in a thread."""
        latest = await self._lessons.newest(SCANNED, stack=stack)

        def compare() -> list[tuple[int, float]]:
            scored = [(one.id, builtin.likeness(wanted, builtin.embed(_words(one)))) for one in latest]
            return sorted((one for one in scored if one[1] >= LEAST_LIKENESS), key=lambda one: -one[1])[:CANDIDATES]

        return await asyncio.to_thread(compare)

    async def _fused(
        self,
        rankings: Sequence[Sequence[tuple[int, float]]],
        k: int,
        *,
        cause: str | None,
        service: str | None,
        but_incident: int | None,
    ) -> list[Recalled]:
        points: dict[int, float] = {}
        likeness: dict[int, float] = {}
        for ranking in rankings:
            for place, (number, near) in enumerate(ranking):
                points[number] = points.get(number, 0.0) + 1.0 / (FUSION + place + 1)
                likeness[number] = max(likeness.get(number, 0.0), near)
        lessons = await self._lessons.some(points)
        found = []
        for number, lesson in lessons.items():
            if but_incident is not None and lesson.incident_id == but_incident:
                continue
            same = (lesson.cause == cause and bool(cause)) + (lesson.service == service and bool(service))
            score = points[number] + same / (FUSION + 1)
            found.append((score, Recalled(lesson=lesson, score=0.0, likeness=min(max(likeness[number], 0.0), 1.0))))
        found.sort(key=lambda one: (-one[0], -one[1].likeness, -one[1].lesson.id))
        best = (len(rankings) + 2) / (FUSION + 1)
        return [replace(recalled, score=round(score / best, 4)) for score, recalled in found[:k]]


def describe(incident: Incident) -> str:
    """An incident in words that can be compared: what, where, why, and what was measured."""
    parts = [incident.kind, incident.target]
    if incident.diagnosis is not None:
        parts += [incident.diagnosis.cause, incident.diagnosis.culprit, incident.diagnosis.explanation]
    for item in incident.evidence():
        parts.append(f"{item.name} {item.value}" if isinstance(item.value, str | int | float) else item.name)
    return " ".join(part for part in parts if part)


def _embed_all(lessons: Sequence[Lesson]) -> list[list[float]]:
    return [builtin.embed(_words(lesson)) for lesson in lessons]


def _words(lesson: Lesson) -> str:
    return " ".join((lesson.kind, lesson.cause, lesson.target, lesson.text))


def _floats(packed: bytes) -> list[float]:
    numbers = array("f")
    numbers.frombytes(packed)
    return list(numbers)

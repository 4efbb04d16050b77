"""The incident memory: lessons in the records, found again by likeness; what helped before, and what did not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from core.errors import GuardianError
from core.incidents.incident import Incident
from core.incidents.lessons import Lesson
from knowledge.memory import builtin_embedding as builtin
from knowledge.memory.lesson_index import LessonHits, LessonIndex, embed_lessons, embedded_text, encode_vector
from knowledge.memory.vector_index import VECTORS_AT_ONCE
from knowledge.records.lesson_records import LessonRecords

CANDIDATES = 20
FUSION_CONSTANT = 60
"""The usual constant of reciprocal rank fusion: the larger, the less the first place outweighs the second."""
LESSONS_SCANNED = 1000
"""Latest lessons that are compared one by one where there is no index."""
EMBEDDED_AT_ONCE = 2 * VECTORS_AT_ONCE
"""Lessons that a recall has the model embed before it answers; `catch_up` does the rest."""
EMBED_LIMIT_S = 10.0
LEAST_LIKENESS = 0.12
"""Below this cosine of the built-in embedding two texts share nothing but a letter triple."""
RedactText = Callable[[str], str]
log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Embedder:
    """A model's embedding, while it is up."""

    identity: Callable[[], Awaitable[str | None]]
    """`name@digest` of the model that would answer now; None: it is down."""
    embed: Callable[[Sequence[str]], Awaitable[list[list[float]]]]
    """Raises a GuardianError when it cannot."""


@dataclass(frozen=True, kw_only=True)
class RecalledLesson:
    """A lesson found by likeness; `lesson.held` says whether its actions helped."""

    lesson: Lesson
    score: float
    """0–1, for the order only."""
    likeness: float
    """Cosine of the texts, 0–1; 0 where it came by cause or service alone."""


@dataclass(frozen=True, kw_only=True)
class _RecallFilter:
    """Cause and service that rank higher, and the incident to leave out."""

    cause: str | None
    service: str | None
    but_incident: int | None


class IncidentMemory:
    """Learns lessons and recalls them. The records are the truth; the vector index is a way to search them.

    Rankings of the built-in embedding, of the model's (while it is up) and of the records (same cause, same service)
    are fused; vectors of different embeddings are never compared. Without an index lessons are compared one by one.
    """

    def __init__(
        self,
        lessons: LessonRecords,
        directory: Path,
        *,
        redact: RedactText = lambda text: text,
        embedder: Embedder | None = None,
    ) -> None:
        self._lessons = lessons
        self._index = LessonIndex(lessons, directory)
        self._redact = redact
        self._embedder = embedder

    def use(self, *, embedder: Embedder | None = None, redact: RedactText | None = None) -> None:
        """Set what is built after the records: the model's embedding and the redactor."""
        self._embedder = embedder or self._embedder
        self._redact = redact or self._redact

    async def close(self) -> None:
        """Close the index."""
        await self._index.close()

    async def learn(self, lesson: Lesson) -> Lesson:
        """Store a lesson, secrets removed: in the records, and in the index if that is open."""
        actions = tuple(self._redact(line) for line in lesson.actions)
        kept = await self._lessons.save(replace(lesson, text=self._redact(lesson.text), actions=actions))
        if self._index.is_open:
            await self._index.fill()
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
    ) -> list[RecalledLesson]:
        """Find the lessons most like a text, best first; the same cause or service ranks higher. Empty: no match."""
        if not await self._lessons.count():
            return []
        text = self._redact(text)
        wanted = await asyncio.to_thread(builtin.embed_text, text)
        near = await self._index.near(wanted, CANDIDATES, stack=stack)
        if near is None:
            near = await self._scan(wanted, stack)
        akin = await self._lessons.akin(cause=cause, service=service, stack=stack, limit=CANDIDATES)
        rankings = [
            [hit for hit in near if hit[1] >= LEAST_LIKENESS],
            await self._near_by_model(text, stack),
            [(lesson.id, 0.0) for lesson in akin],
        ]
        return await self._fused(rankings, k, _RecallFilter(cause=cause, service=service, but_incident=but_incident))

    async def similar(self, incident: Incident, k: int = 3) -> list[RecalledLesson]:
        """Find the lessons of other incidents most like this one."""
        return await self.recall(
            describe_for_recall(incident),
            k,
            cause=incident.diagnosis.cause if incident.diagnosis else None,
            service=incident.service,
            but_incident=incident.id,
        )

    async def catch_up(self) -> None:
        """Open the index and add missing lessons, the model's embeddings too: once after the start, then repeatedly."""
        if not await self._lessons.count():
            return
        await self._index.fill()
        while model := await self._model():
            vector = await self._embed_missing(model)
            if vector is None:
                return

    # -- the model -------------------------------------------------------------------------------------------------

    async def _model(self) -> str | None:
        if self._embedder is None:
            return None
        try:
            async with asyncio.timeout(EMBED_LIMIT_S):
                return await self._embedder.identity()
        except (GuardianError, TimeoutError):
            return None

    async def _near_by_model(self, text: str, stack: str | None) -> LessonHits:
        """Search by the model's embedding; empty while the model is down or slow, as the built-in one has answered."""
        identity = await self._model()
        vectors = await self._embed([text]) if identity else []
        if not vectors:
            return []
        model = f"{identity}#{len(vectors[0])}"
        for _ in range(0, EMBEDDED_AT_ONCE, VECTORS_AT_ONCE):
            if await self._embed_missing(str(identity)) is None:
                break
        near = await self._index.near_by_model(model, vectors[0], CANDIDATES, stack=stack)
        return [hit for hit in near or [] if hit[1] > 0]

    async def _embed_missing(self, identity: str) -> str | None:
        """Have the model embed a batch of lessons; returns its name with dimensions. None: all are, or it is down."""
        missing = await self._lessons.unembedded(identity, VECTORS_AT_ONCE)
        vectors = await self._embed([embedded_text(lesson) for lesson in missing]) if missing else []
        if not vectors:
            return None
        model = f"{identity}#{len(vectors[0])}"
        packed = {lesson.id: encode_vector(vector) for lesson, vector in zip(missing, vectors, strict=True)}
        await self._lessons.keep_embeddings(packed, model)
        return model

    async def _embed(self, texts: Sequence[str]) -> list[list[float]]:
        if self._embedder is None:
            return []
        try:
            async with asyncio.timeout(EMBED_LIMIT_S):
                vectors = await self._embedder.embed(texts)
        except (GuardianError, TimeoutError) as error:
            log.info("the model gave no embedding; memory uses the built-in one", exc_info=error)
            return []
        return vectors if len(vectors) == len(texts) and all(vectors) else []

    # -- ranking ---------------------------------------------------------------------------------------------------

    async def _scan(self, wanted: list[float], stack: str | None) -> LessonHits:
        """Compare the latest lessons one by one, in a thread."""
        latest = await self._lessons.newest(LESSONS_SCANNED, stack=stack)

        def compare() -> LessonHits:
            scored = zip(latest, embed_lessons(latest), strict=True)
            found = [(lesson.id, builtin.cosine_likeness(wanted, vector)) for lesson, vector in scored]
            return sorted(found, key=lambda hit: -hit[1])[:CANDIDATES]

        return await asyncio.to_thread(compare)

    async def _fused(self, rankings: Sequence[LessonHits], k: int, wanted: _RecallFilter) -> list[RecalledLesson]:
        points: dict[int, float] = {}
        likeness: dict[int, float] = {}
        for ranking in rankings:
            for place, (number, near) in enumerate(ranking):
                points[number] = points.get(number, 0.0) + 1.0 / (FUSION_CONSTANT + place + 1)
                likeness[number] = max(likeness.get(number, 0.0), near)
        best = (len(rankings) + 2) / (FUSION_CONSTANT + 1)
        found = [
            RecalledLesson(
                lesson=lesson,
                score=round((points[number] + _same(lesson, wanted) / (FUSION_CONSTANT + 1)) / best, 4),
                likeness=min(max(likeness[number], 0.0), 1.0),
            )
            for number, lesson in (await self._lessons.some(points)).items()
            if wanted.but_incident is None or lesson.incident_id != wanted.but_incident
        ]
        return sorted(found, key=lambda one: (-one.score, -one.likeness, -one.lesson.id))[:k]


def describe_for_recall(incident: Incident) -> str:
    """Describe an incident for comparison: kind, target, cause and evidence."""
    parts = [incident.kind, incident.target]
    if incident.diagnosis is not None:
        parts += [incident.diagnosis.cause, incident.diagnosis.culprit, incident.diagnosis.explanation]
    for item in incident.evidence():
        parts.append(f"{item.name} {item.value}" if isinstance(item.value, str | int | float) else item.name)
    return " ".join(part for part in parts if part)


def _same(lesson: Lesson, wanted: _RecallFilter) -> int:
    return sum(
        (
            bool(wanted.cause) and lesson.cause == wanted.cause,
            bool(wanted.service) and lesson.service == wanted.service,
        )
    )

"""The incident memory: what comes back, and what it survives."""

import asyncio
import hashlib
import sys
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from core.incidents.lessons import Lesson
from knowledge.database import Database, sqlite_url
from knowledge.memory import builtin_embedding
from knowledge.memory.incident_memory import Embedder, IncidentMemory
from knowledge.records.lesson_records import LessonRecords
from tests.knowledge.tools import NOON, an_incident, until


def a_lesson(number: int, text: str, **more: object) -> Lesson:
    values: dict[str, object] = {"stack": "shop", "service": "api", "kind": "container_died", "cause": "", **more}
    return Lesson(incident_id=number, at=NOON + timedelta(minutes=number), text=text, **values)  # type: ignore[arg-type]


OOM = a_lesson(
    101,
    "The kernel killed the process for memory at 512 MB of 512 MB",
    cause="memory_limit",
    runbook="container_oom",
    actions=("docker.update_memory local/shop-api-1",),
    held=True,
)
DISK = a_lesson(102, "No space left on device, the volume is full", service="db", cause="disk_full", held=False)
ENV = a_lesson(103, "KeyError: DATABASE_URL is not set", service="worker", cause="missing_env")


@pytest.fixture
async def memory(sqlite: Database, tmp_path: Path) -> AsyncIterator[IncidentMemory]:
    memory = IncidentMemory(LessonRecords(sqlite), tmp_path / "memory")
    yield memory
    await memory.close()


async def recalled(memory: IncidentMemory, text: str, k: int = 1, **more: object) -> list[int | None]:
    return [one.lesson.incident_id for one in await memory.recall(text, k, **more)]  # type: ignore[arg-type]


def test_the_embedding_folds_both_languages() -> None:
    query = builtin_embedding.embed_text("el contenedor cayó por memoria, límite alcanzado")
    near = builtin_embedding.cosine_likeness(
        query, builtin_embedding.embed_text("container down: memory limit reached")
    )
    far = builtin_embedding.cosine_likeness(query, builtin_embedding.embed_text("certificate expired yesterday"))
    assert near > 0.4 > 0.1 > far
    assert builtin_embedding.embed_text("x") == builtin_embedding.embed_text("x")
    assert len(builtin_embedding.embed_text("")) == builtin_embedding.DIMENSIONS


async def test_similar_incidents_are_found_in_both_languages_with_what_helped(memory: IncidentMemory) -> None:
    assert await memory.recall("anything") == []
    for lesson in (OOM, DISK, ENV):
        await memory.learn(lesson)
    (first,) = await memory.recall("¿por qué murió por memoria el api?", 1)
    assert first.lesson.incident_id == 101
    assert (first.lesson.held, first.lesson.actions, first.lesson.runbook) == (True, OOM.actions, "container_oom")
    assert 0 < first.score <= 1
    assert await recalled(memory, "disco lleno") == [102]
    assert await recalled(memory, "missing environment variable DATABASE_URL") == [103]
    assert await recalled(memory, "memory", 3, stack="blog") == []


async def test_the_same_cause_and_service_move_up(memory: IncidentMemory) -> None:
    text = "exit code 1 after start"
    await memory.learn(a_lesson(1, text, service="web", cause="crash"))
    await memory.learn(a_lesson(2, text, service="api", cause="memory_limit"))
    await memory.learn(a_lesson(3, text, service="web", cause="other"))
    assert await recalled(memory, text, 1, cause="memory_limit", service="api") == [2]
    await memory.learn(a_lesson(9, text, cause="memory_limit"))
    similar = await memory.similar(an_incident(id=9), 5)
    assert similar[0].lesson.incident_id == 2
    assert 9 not in [one.lesson.incident_id for one in similar]


async def test_a_later_lesson_of_an_incident_replaces_the_earlier(memory: IncidentMemory) -> None:
    await memory.learn(OOM)
    await memory.recall("memory")
    await memory.learn(a_lesson(101, "certificate expired", cause="tls"))
    assert await recalled(memory, "certificado expired") == [101]
    assert [one.lesson.cause for one in await memory.recall("kernel killed process", 3)] in ([], ["tls"])


async def test_secrets_are_taken_out_before_anything_is_kept(sqlite: Database, tmp_path: Path) -> None:
    memory = IncidentMemory(LessonRecords(sqlite), tmp_path / "m", redact=lambda text: text.replace("hunter2", "•••"))
    kept = await memory.learn(a_lesson(1, "password hunter2", actions=("docker.exec --pass hunter2",)))
    assert "hunter2" not in kept.text + "".join(kept.actions)
    await memory.close()


class StandInModel:
    """An embedding model: direction by the first word, and it can be down or changed."""

    def __init__(self) -> None:
        self.name: str | None = "model@1"
        self.dimensions = 8
        self.asked: list[str] = []

    async def identity(self) -> str | None:
        return self.name

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        self.asked.extend(texts)
        return [self._one(text) for text in texts]

    def _one(self, text: str) -> list[float]:
        key = "zebra" if "zebra" in text or "stripes" in text else text
        digest = hashlib.sha256(key.encode()).digest()
        return [byte - 127.5 for byte in digest[: self.dimensions]]

    def as_embedder(self) -> Embedder:
        return Embedder(identity=self.identity, embed=self.embed)


async def test_the_model_adds_what_words_do_not_share(sqlite: Database, tmp_path: Path) -> None:
    model = StandInModel()
    memory = IncidentMemory(LessonRecords(sqlite), tmp_path / "m", embedder=model.as_embedder())
    await memory.learn(a_lesson(1, "zebra"))
    await memory.learn(a_lesson(2, "unrelated talk"))
    assert await recalled(memory, "stripes") == [1]
    asked = len(model.asked)
    assert await recalled(memory, "stripes") == [1]
    assert model.asked[asked:] == ["stripes"]  # stored embeddings are not computed again

    model.name = None  # down
    assert await recalled(memory, "zebra") == [1]
    model.name, model.dimensions = "model@2", 12  # another model: everything is embedded anew, nothing is mixed
    assert await recalled(memory, "stripes") == [1]
    assert len(model.asked) > asked + 3
    await memory.catch_up()
    before = len(model.asked)
    await memory.catch_up()
    assert len(model.asked) == before
    await memory.close()


async def test_a_vanished_index_is_built_again(sqlite: Database, tmp_path: Path) -> None:
    first = IncidentMemory(LessonRecords(sqlite), tmp_path / "one")
    await first.learn(OOM)
    assert await recalled(first, "memory") == [101]
    await first.close()
    second = IncidentMemory(LessonRecords(sqlite), tmp_path / "another")
    assert await recalled(second, "memory") == [101]
    await second.close()


async def test_without_an_index_it_searches_by_words(sqlite: Database, tmp_path: Path) -> None:
    blocked = tmp_path / "memory"
    blocked.write_text("a file where the directory should be")
    memory = IncidentMemory(LessonRecords(sqlite), blocked)
    for lesson in (OOM, DISK, ENV):
        await memory.learn(lesson)
    assert await recalled(memory, "disco lleno") == [102]
    assert await recalled(memory, "memory") == [101]
    await memory.close()


@pytest.mark.parametrize("damage", ["vectors", "catalogue", "cut while opening"])
async def test_killed_while_it_writes_then_damaged(tmp_path: Path, damage: str) -> None:
    """Its process is killed in the middle of writing and its files are spoilt: all lessons are still found."""
    command = [sys.executable, "-m", "tests.knowledge.memory_writer", str(tmp_path)]
    writer = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert writer.stdout is not None
    said = 0
    async with asyncio.timeout(40):
        while said < 25:
            said = int((await writer.stdout.readline()).split()[-1])
    writer.kill()
    await writer.communicate()
    index = next((tmp_path / "memory").glob("index-*"))
    if damage == "catalogue":
        (index / "chroma.sqlite3").write_bytes(b"not a database" * 500)
    elif damage == "cut while opening":
        (index / ".opening").touch()
    else:
        for path in index.rglob("*"):
            if path.is_file():
                path.write_bytes(path.read_bytes()[:7])

    async with Database(sqlite_url(tmp_path / "guardian.db")) as database:
        lessons = LessonRecords(database)
        memory = IncidentMemory(lessons, tmp_path / "memory")
        assert await lessons.count() >= said
        for number in (1, said // 2, said):
            assert await recalled(memory, f"subject{number} failure") == [number]
        assert [path.name for path in (tmp_path / "memory").glob("damaged-*")] == ["damaged-1"]
        await until(lambda: (tmp_path / "memory" / "index-2" / "chroma.sqlite3").exists())
        await memory.close()

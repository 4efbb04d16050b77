"""The vector index on disk: Chroma, owned by one thread, rebuildable at any time, thrown away when it is damaged."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import structlog

from core.errors import GuardianError

VECTORS_AT_ONCE = 10
"""Chroma holds the interpreter while it writes: ten vectors stall the loop about 16 ms, a hundred 45 ms."""
OPENING_MARK = ".opening"
DAMAGED_KEPT = 1
CALL_LIMIT_S = 60.0
log = structlog.get_logger(__name__)
R = TypeVar("R")


class IndexDamaged(GuardianError):
    """The index cannot be read or written; it is set aside and built again from the records."""


class IndexUnavailable(GuardianError):
    """There is no vector index (Chroma cannot be loaded); the memory searches without it."""


class VectorIndex:
    """Collections of vectors under a directory. Every call runs in the index's own thread."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="vectors")
        self._client: Any = None
        self._collections: dict[str, Any] = {}

    async def open(self, names: Sequence[str]) -> dict[str, int]:
        """Open and check the collections, making those that are not there; returns how many vectors each holds.

        Raises IndexDamaged when one cannot be read, IndexUnavailable when Chroma cannot be loaded.
        """
        return await self._call(partial(self._open, names))

    async def put(self, name: str, vectors: Sequence[tuple[int, Sequence[float], str]]) -> None:
        """Write vectors: id, numbers, stack. At most ten."""
        if len(vectors) > VECTORS_AT_ONCE:
            raise ValueError(f"{len(vectors)} vectors at once; write at most {VECTORS_AT_ONCE}")
        await self._call(partial(self._put, name, vectors))

    async def nearest(
        self, name: str, vector: Sequence[float], k: int, *, stack: str | None = None
    ) -> list[tuple[int, float]]:
        """Find the ids nearest to a vector with their likeness (cosine), nearest first."""
        return await self._call(partial(self._nearest, name, vector, k, stack))

    async def keep_only(self, names: Sequence[str]) -> None:
        """Remove every other collection: those of embeddings that are no longer used."""
        await self._call(partial(self._keep_only, names))

    async def set_aside(self) -> None:
        """Rename the damaged directory away; the next `open` begins with an empty one."""
        await self._call(self._set_aside)

    async def close(self) -> None:
        """Close the files and the thread."""
        await self._call(self._close)
        self._thread.shutdown(wait=False)

    async def _call(self, work: Callable[[], R]) -> R:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CALL_LIMIT_S):
                return await loop.run_in_executor(self._thread, _guarded, work)
        except TimeoutError as error:
            raise IndexDamaged(f"the index did not answer within {CALL_LIMIT_S:g} s") from error

    # -- in the thread ---------------------------------------------------------------------------------------------

    def _current(self) -> Path:
        """The newest generation's directory; each has its own path, because Chroma keeps what it opened by path."""
        generations = [path for path in self._directory.glob("index-*") if path.name[6:].isdigit()]
        return max(generations, key=lambda path: int(path.name[6:]), default=self._directory / "index-1")

    def _open(self, names: Sequence[str]) -> dict[str, int]:
        path = self._current()
        mark = path / OPENING_MARK
        if self._client is None:
            if mark.exists():
                raise IndexDamaged("the process died while it opened the index")
            path.mkdir(parents=True, exist_ok=True)
            mark.touch()
            self._client = _client(path)
        counts = {}
        for name in names:
            collection = self._client.get_or_create_collection(
                name, embedding_function=None, configuration={"hnsw": {"space": "cosine"}}
            )
            counts[name] = int(collection.count())
            if counts[name]:
                seen = collection.get(limit=1, include=["embeddings"])["embeddings"]
                collection.query(query_embeddings=[[float(value) for value in seen[0]]], n_results=1)
            self._collections[name] = collection
        mark.unlink(missing_ok=True)
        return counts

    def _put(self, name: str, vectors: Sequence[tuple[int, Sequence[float], str]]) -> None:
        self._collections[name].upsert(
            ids=[str(number) for number, _, _ in vectors],
            embeddings=[list(vector) for _, vector, _ in vectors],
            metadatas=[{"stack": stack} for _, _, stack in vectors],
        )

    def _nearest(self, name: str, vector: Sequence[float], k: int, stack: str | None) -> list[tuple[int, float]]:
        collection = self._collections[name]
        held = int(collection.count())
        if not held:
            return []
        where = None if stack is None else {"stack": stack}
        found = collection.query(
            query_embeddings=[list(vector)], n_results=min(k, held), where=where, include=["distances"]
        )
        return [
            (int(number), 1.0 - float(distance))
            for number, distance in zip(found["ids"][0], found["distances"][0], strict=True)
        ]

    def _keep_only(self, names: Sequence[str]) -> None:
        for name in [collection.name for collection in self._client.list_collections()]:
            if name not in names:
                self._collections.pop(name, None)
                self._client.delete_collection(name)

    def _set_aside(self) -> None:
        path = self._current()
        self._close()
        generation = int(path.name[6:])
        if path.exists():
            path.rename(self._directory / f"damaged-{generation}")
        (self._directory / f"index-{generation + 1}").mkdir(parents=True)
        damaged = sorted(self._directory.glob("damaged-*"), key=lambda old: old.stat().st_mtime)
        for old in damaged[:-DAMAGED_KEPT]:
            shutil.rmtree(old, ignore_errors=True)

    def _close(self) -> None:
        client, self._client, self._collections = self._client, None, {}
        if client is not None:
            client.close()


def _client(path: Path) -> Any:
    try:
        import chromadb
        from chromadb.config import Settings
    except ImportError as error:
        raise IndexUnavailable(f"Chroma cannot be loaded: {error}") from error
    return chromadb.PersistentClient(path=str(path), settings=Settings(anonymized_telemetry=False))


def _guarded(work: Callable[[], R]) -> R:
    """Run work on Chroma; any failure raises IndexDamaged, also those of its Rust part that panic past Exception."""
    try:
        return work()
    except GuardianError:
        raise
    except BaseException as error:  # a panic of Chroma's Rust part is no Exception
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        raise IndexDamaged(f"{type(error).__name__}: {error}") from error

"""The graph's checkpoints: LangGraph's own store, on a file beside the records or in the same PostgreSQL database."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from knowledge.database import Database
from knowledge.locks import lock_number

if TYPE_CHECKING:
    import aiosqlite
    import psycopg
    from langgraph.checkpoint.base import BaseCheckpointSaver

GRAPH_FILE = "graph.db"
STRICT_VARIABLE = "LANGGRAPH_STRICT_MSGPACK"
SETUP_LOCK = lock_number("checkpoints setup")
SETUP_LIMIT_S = 60
SETUP_PAUSE_S = 0.1
CHECKPOINT_CONNECTIONS = 4
INCREMENTAL_VACUUM = 2
"""SQLite's auto_vacuum mode in which free pages are returned when asked."""
THREADS_QUERY = "SELECT DISTINCT thread_id FROM checkpoints"


class Checkpoints:
    """The graph's threads, one per incident. Opened on first use, which imports LangGraph (about a second).

    Belongs to the loop that opened it. On SQLite the file shrinks with each thread that is dropped; PostgreSQL's own
    vacuum does the same there.
    """

    def __init__(self, database: Database, data_dir: Path) -> None:
        self._database = database
        self._path = data_dir / GRAPH_FILE
        self._stack = AsyncExitStack()
        self._saver: BaseCheckpointSaver[Any] | None = None
        self._opening = asyncio.Lock()

    async def saver(self) -> BaseCheckpointSaver[Any]:
        """LangGraph's store, opened on first use, with its tables."""
        async with self._opening:
            if self._saver is None:
                os.environ[STRICT_VARIABLE] = "true"  # read when LangGraph is loaded: only plain types may come back
                is_file = self._database.is_sqlite
                await asyncio.to_thread(_load, is_file)
                opened = _on_sqlite(self._path) if is_file else _on_postgres(self._database.plain_url)
                self._saver = await self._stack.enter_async_context(opened)
            return self._saver

    async def close(self) -> None:
        """Close the store, if it was opened."""
        await self._stack.aclose()
        self._saver = None

    async def threads(self) -> list[str]:
        """Names of all threads."""
        if self._database.is_sqlite and not self._path.exists():
            return []
        saver: Any = await self.saver()
        if self._database.is_sqlite:
            async with saver.lock:
                return [row[0] for row in await saver.conn.execute_fetchall(THREADS_QUERY)]
        async with saver.conn.connection() as connection:
            rows = await (await connection.execute(THREADS_QUERY)).fetchall()
            return [row["thread_id"] for row in rows]

    async def forget(self, thread: str) -> None:
        """Drop a thread and give its space back; an unknown one is fine."""
        saver: Any = await self.saver()
        await saver.adelete_thread(thread)
        if self._database.is_sqlite:
            async with saver.lock:
                await _shrink(saver.conn)

    async def make_shrinkable(self) -> None:
        """Rewrite a file that was created without auto_vacuum, once; quick when few threads are left in it."""
        if not self._database.is_sqlite or not self._path.exists():
            return
        saver: Any = await self.saver()
        async with saver.lock:
            (mode,) = await saver.conn.execute_fetchall("PRAGMA auto_vacuum")
            if mode[0] != INCREMENTAL_VACUUM:
                await saver.conn.execute(f"PRAGMA auto_vacuum={INCREMENTAL_VACUUM}")
                await saver.conn.execute("VACUUM")
                await _shrink(saver.conn)


async def _shrink(connection: aiosqlite.Connection) -> None:
    """Return free pages to the file system. Only a script steps to the end of `incremental_vacuum`: a step a page."""
    await connection.executescript("PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE);")


@asynccontextmanager
async def _on_sqlite(path: Path) -> AsyncIterator[BaseCheckpointSaver[Any]]:
    import aiosqlite
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

    path.parent.mkdir(parents=True, exist_ok=True)
    async with aiosqlite.connect(path, timeout=10) as connection:
        await connection.execute(
            f"PRAGMA auto_vacuum={INCREMENTAL_VACUUM}"
        )  # heeded by a new file only, before all else
        # As for the records: the death of the process loses nothing, a power cut at most the last moments.
        await connection.execute("PRAGMA journal_mode=WAL")
        await connection.execute("PRAGMA synchronous=NORMAL")
        saver = AsyncSqliteSaver(connection, serde=_strict())
        await saver.setup()
        yield saver


@asynccontextmanager
async def _on_postgres(plain_url: str) -> AsyncIterator[BaseCheckpointSaver[Any]]:
    from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
    from psycopg.rows import dict_row
    from psycopg_pool import AsyncConnectionPool

    options: dict[str, Any] = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}
    await _set_up(plain_url)
    pool: AsyncConnectionPool[Any] = AsyncConnectionPool(
        plain_url,
        kwargs={**options, "connect_timeout": 10},
        min_size=1,
        max_size=CHECKPOINT_CONNECTIONS,
        open=False,
        timeout=30,
    )
    async with pool:
        yield AsyncPostgresSaver(pool, serde=_strict())


async def _set_up(plain_url: str) -> None:
    """Create the tables, one worker at a time.

    That creates indexes CONCURRENTLY, which waits for every open transaction, a statement that waits for a lock
    included: so the lock is the session's, each statement commits, and the others poll instead of waiting inside the
    server. https://github.com/langchain-ai/langgraph/issues/7630
    """
    import psycopg
    from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
    from psycopg.rows import dict_row

    connection = await psycopg.AsyncConnection.connect(
        plain_url, autocommit=True, prepare_threshold=0, row_factory=dict_row, connect_timeout=10
    )
    async with connection:
        async with asyncio.timeout(SETUP_LIMIT_S):
            while not await _is_ours(connection):  # noqa: ASYNC110 - another process has it: nothing here to wait for
                await asyncio.sleep(SETUP_PAUSE_S)
            await AsyncPostgresSaver(connection).setup()


async def _is_ours(connection: psycopg.AsyncConnection[Any]) -> bool:
    asked = await connection.execute("SELECT pg_try_advisory_lock(%s) AS is_ours", (SETUP_LOCK,))
    row = await asked.fetchone()
    return bool(row and row["is_ours"])


def _load(is_sqlite: bool) -> None:
    """Import LangGraph's store; slow, so call it in a thread."""
    if is_sqlite:
        import langgraph.checkpoint.sqlite.aio
    else:
        import langgraph.checkpoint.postgres.aio  # noqa: F401


def _strict() -> Any:
    from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

    return JsonPlusSerializer(allowed_msgpack_modules=None)

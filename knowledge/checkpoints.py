"""The graph's checkpoints: LangGraph's own store, on a file beside the records or in the same PostgreSQL database."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from knowledge.database import Database
from knowledge.locks import lock_number

if TYPE_CHECKING:
    import psycopg
    from langgraph.checkpoint.base import BaseCheckpointSaver

GRAPH_FILE = "graph.db"
STRICT = "LANGGRAPH_STRICT_MSGPACK"
SETUP_LOCK = lock_number("checkpoints setup")
SETUP_LIMIT_S = 60
SETUP_PAUSE_S = 0.1
POOL = 4


@asynccontextmanager
async def open_checkpointer(database: Database, data_dir: Path) -> AsyncIterator[BaseCheckpointSaver[Any]]:
    """The checkpointer, its tables made; belongs to the loop that opened it. Imports LangGraph (about a second)."""
    os.environ[STRICT] = "true"  # read when LangGraph is loaded: only plain types may come back
    await asyncio.to_thread(_load, database.is_sqlite)
    opened = _on_sqlite(data_dir / GRAPH_FILE) if database.is_sqlite else _on_postgres(database.plain_url)
    async with opened as saver:
        yield saver


async def prune(saver: BaseCheckpointSaver[Any], thread_id: str) -> None:
    """Forget the checkpoints of a thread: its incident is closed."""
    await saver.adelete_thread(thread_id)


@asynccontextmanager
async def _on_sqlite(path: Path) -> AsyncIterator[BaseCheckpointSaver[Any]]:
    import aiosqlite
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

    path.parent.mkdir(parents=True, exist_ok=True)
    async with aiosqlite.connect(path, timeout=10) as connection:
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
        plain_url, kwargs={**options, "connect_timeout": 10}, min_size=1, max_size=POOL, open=False, timeout=30
    )
    async with pool:
        yield AsyncPostgresSaver(pool, serde=_strict())


async def _set_up(plain_url: str) -> None:
    """One worker at a time makes the tables.

    It creates indexes CONCURRENTLY, which waits for every open transaction, a statement that waits for a lock included:
    so the lock is the session's, each statement commits, and the others ask again instead of waiting inside the server.
    https://github.com/langchain-ai/langgraph/issues/7630
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
    """Import in a thread what the loop would stand still for."""
    if is_sqlite:
        import langgraph.checkpoint.sqlite.aio
    else:
        import langgraph.checkpoint.postgres.aio  # noqa: F401


def _strict() -> Any:
    from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

    return JsonPlusSerializer(allowed_msgpack_modules=None)

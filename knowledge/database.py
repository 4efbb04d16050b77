"""The database: SQLite in one file by default, PostgreSQL by one URL; short transactions that never block the loop."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import event, make_url
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoFreeConnection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from core.errors import SettingsError, SystemUnavailable
from core.tasks import undone_on_failure
from knowledge.schema import migrate_if_needed

CONNECTION_WAIT_S = 30.0
"""Longest wait of a transaction for its turn."""
SQLITE_READERS = 3
"""Reading connections on SQLite; each is a thread."""
POSTGRES_CONNECTIONS = 8
SQLITE_PRAGMAS = (
    "journal_mode=WAL",
    # Death of the process loses nothing: what is committed is with the kernel. A power cut may lose the last moments,
    # but never damages the file; the containers that were acted on lose power with it.
    "synchronous=NORMAL",
    "busy_timeout=10000",
    "foreign_keys=ON",
    "temp_store=MEMORY",
    "cache_size=-4000",
)


def sqlite_url(path: Path) -> str:
    """The URL of a SQLite file."""
    return f"sqlite+aiosqlite:///{path}"


class Database:
    """Opens the database, brings its tables up to date, and lends connections.

    `async with Database(url) as database`, then `database.read()` or `database.write()`.
    """

    def __init__(self, url: str) -> None:
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        if not self.is_sqlite and self.url.drivername != "postgresql+psycopg":
            raise SettingsError(
                f"the setting database_url begins with {self.url.drivername!r}; use postgresql+psycopg://… "
                "or leave it out for SQLite"
            )
        if self.is_sqlite:
            self._writer = self._open_sqlite(1)
            event.listen(self._writer.sync_engine, "begin", _begin_at_once)
            self._reader = self._open_sqlite(SQLITE_READERS)
        else:
            self._writer = self._open_postgres()
            self._reader = self._writer.execution_options(isolation_level="AUTOCOMMIT")

    async def __aenter__(self) -> Self:
        async with undone_on_failure(self.close):
            await migrate_if_needed(self._writer, self.url)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection."""
        await self._reader.dispose()
        await self._writer.dispose()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection for reading; each statement sees what is committed by then."""
        with _translated_errors():
            async with self._reader.connect() as connection:
                yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """One transaction, committed at the end of the block; on SQLite writers take turns. Keep it short."""
        with _translated_errors():
            async with self._writer.begin() as connection:
                yield connection

    @property
    def plain_url(self) -> str:
        """The address as a PostgreSQL URL, password included, for drivers other than SQLAlchemy."""
        return self.url.set(drivername="postgresql").render_as_string(hide_password=False)

    def _open_sqlite(self, connections: int) -> AsyncEngine:
        engine = create_async_engine(
            self.url, pool_size=connections, max_overflow=0, pool_timeout=CONNECTION_WAIT_S, pool_use_lifo=True
        )
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        return engine

    def _open_postgres(self) -> AsyncEngine:
        limits = "-c statement_timeout=30000 -c lock_timeout=10000 -c timezone=UTC"
        return create_async_engine(
            self.url,
            pool_size=POSTGRES_CONNECTIONS,
            max_overflow=POSTGRES_CONNECTIONS,
            pool_timeout=CONNECTION_WAIT_S,
            pool_use_lifo=True,
            pool_pre_ping=True,
            connect_args={"connect_timeout": 10, "options": limits},
        )


class _translated_errors:
    """Translates the driver's connection errors into SystemUnavailable."""

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, OperationalError | InterfaceError | NoFreeConnection):
            problem = str(error).strip().split("\n", 1)[0]
            raise SystemUnavailable("the database", problem) from error


def _prepare_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # the driver begins no transaction of its own
    cursor = connection.cursor()
    for pragma in SQLITE_PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_at_once(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")

"""Brings the tables up to date before anything else runs; Alembic is imported only when there is something to do."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, create_engine, event, inspect, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from core.errors import SettingsError, SystemUnavailable

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006")
"""Every revision in `migrations/versions`, oldest first; the last one is what this version needs."""
NEEDED_REVISION = REVISIONS[-1]
MIGRATIONS_DIR = Path(__file__).resolve().parent / "migrations"
MIGRATION_LOCK = 0x1F6A_5C4E  # any fixed number: one migrating process at a time on PostgreSQL
TIME_LIMIT_S = 120.0


async def migrate_if_needed(engine: AsyncEngine, url: URL) -> None:
    """Migrate to HEAD; raises SettingsError when the database was written by a newer version."""
    try:
        async with engine.connect() as connection:
            current = await _revision(connection)
    except (SQLAlchemyError, OSError) as error:
        raise SystemUnavailable("the database", f"{_first_line(error)}; check the setting database_url") from error
    if current == NEEDED_REVISION:
        return
    if current is not None and current not in REVISIONS:
        raise SettingsError(
            f"the database {url.render_as_string()!r} is at revision {current!r}, this version knows up to "
            f"{NEEDED_REVISION!r}; "
            "run the newer version, or restore a backup made before it"
        )
    async with asyncio.timeout(TIME_LIMIT_S):
        await asyncio.to_thread(upgrade_database, url)


async def _revision(connection: AsyncConnection) -> str | None:
    has_table = await connection.run_sync(lambda sync: inspect(sync).has_table("alembic_version"))
    if not has_table:
        return None
    return (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalar_one_or_none()


def upgrade_database(url: URL | str, to: str = "head") -> None:
    """Migrate in one transaction: killed in between, nothing has changed. Blocks."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS_DIR).replace("%", "%%"))
    with _alone(make_url(url)) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, to)


@contextmanager
def _alone(url: URL) -> Iterator[Connection]:
    if url.get_backend_name() != "sqlite":
        engine = create_engine(url, connect_args={"connect_timeout": 10})
        with engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
            yield connection
        engine.dispose()
        return
    engine = create_engine(url.set(drivername="sqlite"), connect_args={"timeout": 30})
    event.listen(engine, "connect", _no_implicit_transactions)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def _no_implicit_transactions(connection: object, _: object) -> None:
    connection.isolation_level = None  # type: ignore[attr-defined]  # the sqlite3 module's own switch


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n", 1)[0]

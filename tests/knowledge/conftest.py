"""A database of each kind, opened the way the program opens it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from knowledge.database import Database, sqlite_url
from tests.knowledge.failing_database import FailingDatabase
from tests.knowledge.tools import SetClock


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the address of an empty database, one kind after the other."""
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "guardian.db")
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[FailingDatabase]:
    """Give an open database that fails on demand, one kind after the other."""
    async with FailingDatabase(database_url) as opened:
        yield opened


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[Database]:
    """Give an open SQLite database, for what does not differ between the kinds."""
    async with Database(sqlite_url(tmp_path / "guardian.db")) as opened:
        yield opened


@pytest.fixture
def clock() -> SetClock:
    """Give a clock that stands still until it is moved."""
    return SetClock()

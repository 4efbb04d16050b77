"""A database of each kind, opened the way the program opens it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.runs import Runs
from knowledge.database import Database, sqlite_url
from tests.knowledge.failing_database import FailingDatabase
from tests.knowledge.runs import Bench
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


@pytest.fixture(params=["local", "procrastinate"])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    """Give a database of the kind that a delivery of runs needs, one delivery after the other."""
    is_local = request.param == "local"
    url = sqlite_url(tmp_path / "runs.db") if is_local else str(request.getfixturevalue("postgres_url"))
    async with FailingDatabase(url) as database:
        bench = Bench(request.param, url, database)
        yield bench
        for runs in bench.made:
            await runs.stop()


@pytest.fixture
def runs(bench: Bench) -> Runs:
    """Give a delivery of runs, not yet started."""
    return bench.new()

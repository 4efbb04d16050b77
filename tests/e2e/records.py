"""Reads the program's records from outside, as a second look at what it committed."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path


class Records:
    """A SQLite file of a data directory, read only."""

    def __init__(self, data_dir: Path, name: str = "guardian.db") -> None:
        self._path = data_dir / name

    def scalar(self, query: str, *values: object) -> int:
        """The first number of a query."""
        with closing(sqlite3.connect(f"file:{self._path}?mode=ro", uri=True, timeout=5)) as connection:
            row = connection.execute(query, values).fetchone()
        return int(row[0]) if row and row[0] is not None else 0

    def inbox_size(self) -> int:
        """How many updates were ever committed."""
        return self.scalar("SELECT count(*) FROM inbox")

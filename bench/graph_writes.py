"""Counts what the incident graph writes: rows and bytes into the checkpoints' file, through triggers in the file."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

SIZES = {"checkpoints": "length(NEW.checkpoint) + length(NEW.metadata)", "writes": "length(NEW.value)"}


@dataclass(frozen=True, kw_only=True)
class GraphWrites:
    """Writes since the counting began."""

    rows: int
    bytes: int


def count_from_now(graph_file: Path) -> None:
    """Begin to count; the tables must be there."""
    with closing(sqlite3.connect(graph_file, timeout=10)) as connection, connection:
        connection.execute("CREATE TABLE counted (rows INTEGER, bytes INTEGER)")
        connection.execute("INSERT INTO counted VALUES (0, 0)")
        for table, size in SIZES.items():
            connection.execute(
                f"CREATE TRIGGER count_{table} AFTER INSERT ON {table} BEGIN "
                f"UPDATE counted SET rows = rows + 1, bytes = bytes + coalesce({size}, 0); END"
            )


def read_counts(graph_file: Path) -> GraphWrites:
    """Read the count."""
    with closing(sqlite3.connect(graph_file, timeout=10)) as connection:
        rows, size = connection.execute("SELECT rows, bytes FROM counted").fetchone()
    return GraphWrites(rows=rows, bytes=size)

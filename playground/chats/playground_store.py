"""Store of the playground: one SQLite file of JSON documents and uploaded files."""

import json
import sqlite3
from pathlib import Path
from typing import Any

_SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (kind TEXT, key TEXT, value TEXT NOT NULL, PRIMARY KEY (kind, key));
CREATE TABLE IF NOT EXISTS files (file_id TEXT PRIMARY KEY, content BLOB NOT NULL);
"""


class PlaygroundStore:
    """Documents by kind and key; nothing is durable before `commit`, everything after it survives kill -9."""

    def __init__(self, path: Path | None) -> None:
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(path or ":memory:", timeout=5.0)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=NORMAL")
        self._database.executescript(_SCHEMA)

    def put(self, kind: str, key: object, value: Any) -> None:
        text = json.dumps(value, ensure_ascii=False)
        self._database.execute("INSERT OR REPLACE INTO documents VALUES (?, ?, ?)", (kind, str(key), text))

    def delete(self, kind: str, key: object) -> None:
        self._database.execute("DELETE FROM documents WHERE kind = ? AND key = ?", (kind, str(key)))

    def all(self, kind: str) -> dict[str, Any]:
        rows = self._database.execute("SELECT key, value FROM documents WHERE kind = ?", (kind,))
        return {key: json.loads(value) for key, value in rows}

    def get(self, kind: str, key: object, default: Any = None) -> Any:
        row = self._database.execute(
            "SELECT value FROM documents WHERE kind = ? AND key = ?", (kind, str(key))
        ).fetchone()
        return default if row is None else json.loads(row[0])

    def count_up(self, counter: str, start: int = 1) -> int:
        """Return the counter's next value; a later process does not repeat it."""
        value = int(self.get("counter", counter, start - 1)) + 1
        self.put("counter", counter, value)
        return value

    def put_file(self, file_id: str, content: bytes) -> None:
        self._database.execute("INSERT OR REPLACE INTO files VALUES (?, ?)", (file_id, content))

    def file(self, file_id: str) -> bytes | None:
        row = self._database.execute("SELECT content FROM files WHERE file_id = ?", (file_id,)).fetchone()
        return None if row is None else bytes(row[0])

    def commit(self) -> None:
        self._database.commit()

    def close(self) -> None:
        self._database.commit()
        self._database.close()

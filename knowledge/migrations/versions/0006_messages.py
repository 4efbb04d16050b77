"""Records name a sentence `message`: their stored JSON follows the fields."""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

RENAMED = {"says": "message", "outcome_says": "outcome", "plan_says": "plan_steps", "commit_says": "commit_message"}
STORED = {
    "calls": ("id", ("body", "result")),
    "approvals": ("id", ("body",)),
    "incidents": ("id", ("body",)),
    "deploys": ("key", ("body",)),
    "versions": ("id", ("body",)),
    "lessons": ("id", ("body",)),
    "runs": ("key", ("payload", "result")),
}
"""Tables with the column that names a row, and the columns of JSON."""
BATCH = 500


def upgrade() -> None:
    """Rename the keys wherever they stand, a batch of rows at a time."""
    for table, (key, columns) in STORED.items():
        _rename_in(table, key, columns)


def _rename_in(table: str, key: str, columns: tuple[str, ...]) -> None:
    connection = op.get_bind()
    rows = sa.table(table, sa.column(key), *(sa.column(column, sa.Text()) for column in columns))
    shown = [sa.cast(rows.c[column], sa.Text()).label(column) for column in columns]
    last = None
    while True:
        batch = sa.select(rows.c[key].label("row_key"), *shown).order_by(rows.c[key]).limit(BATCH)
        found = connection.execute(batch if last is None else batch.where(rows.c[key] > last)).all()
        for row in found:
            changed = {column: new for column in columns if (new := _renamed(getattr(row, column))) is not None}
            if changed:
                _write(connection, table, key, row.row_key, changed)
        if len(found) < BATCH:
            return
        last = found[-1].row_key


def _write(connection: sa.Connection, table: str, key: str, row_key: object, changed: dict[str, str]) -> None:
    is_json = connection.dialect.name == "postgresql" and table == "runs"
    assignments = ", ".join(
        f"{column} = CAST(:{column} AS JSON)" if is_json else f"{column} = :{column}" for column in changed
    )
    statement = sa.text(f"UPDATE {table} SET {assignments} WHERE {key} = :row_key")
    connection.execute(statement, {**changed, "row_key": row_key})


def _renamed(raw: str | None) -> str | None:
    """Return the JSON with the new names; None when nothing changes."""
    if raw is None or not any(f'"{name}"' in raw for name in RENAMED):
        return None
    before = json.loads(raw)
    after = _walk(before)
    return None if after == before else json.dumps(after, ensure_ascii=False)


def _walk(value: Any) -> Any:
    if isinstance(value, dict):
        return {RENAMED.get(name, name): _walk(inner) for name, inner in value.items()}
    return [_walk(inner) for inner in value] if isinstance(value, list) else value

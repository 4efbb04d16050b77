"""Indexes for what grows: a stack's incidents, and lessons that an index of the memory lacks."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the indexes."""
    op.create_index("ix_incidents_stack", "incidents", ["stack", "id"])
    op.create_index("ix_lessons_embedding_model", "lessons", ["embedding_model", "id"])
    for name, columns, flag in (
        ("ix_lessons_not_in_builtin", ["id"], "in_builtin"),
        ("ix_lessons_not_in_model", ["embedding_model", "id"], "in_model"),
    ):
        is_missing = sa.column(flag, sa.Boolean()).is_(False)
        op.create_index(name, "lessons", columns, sqlite_where=is_missing, postgresql_where=is_missing)

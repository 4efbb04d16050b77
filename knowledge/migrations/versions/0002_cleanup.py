"""Indexes for the memory and the daily clean-up; when a measured container was last seen."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the indexes and the column."""
    op.create_index("ix_lessons_cause", "lessons", ["cause"])
    op.create_index("ix_lessons_service", "lessons", ["service"])
    op.create_index("ix_runs_updated_at", "runs", ["updated_at"])
    op.create_index("ix_outbox_ended_at", "outbox", ["ended_at"])
    op.add_column("measured", sa.Column("seen_at", sa.DateTime(timezone=True)))
    op.create_index("ix_measured_seen_at", "measured", ["seen_at"])

"""Indexes: what the memory asks for by cause and service, and what the daily clean-up looks for."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the indexes."""
    op.create_index("ix_lessons_cause", "lessons", ["cause"])
    op.create_index("ix_lessons_service", "lessons", ["service"])
    op.create_index("ix_runs_updated_at", "runs", ["updated_at"])
    op.create_index("ix_outbox_ended_at", "outbox", ["ended_at"])

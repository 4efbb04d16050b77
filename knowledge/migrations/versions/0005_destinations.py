"""Messages go to destinations of any channel, not to chats; what was sent is found by its message id."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

IDS = sa.BigInteger()
PLACE = "'telegram:' || chat_id || CASE WHEN thread_id IS NULL THEN '' ELSE ':' || thread_id END"
NAMED_BY_CHAT = ("card", "page")
"""Keys of the form `card:7:<chat>`: they name the destination now, or every open incident would get a second card."""


def upgrade() -> None:
    """Give every message its destination; the table of cards goes, a card is found by its key."""
    op.add_column("outbox", sa.Column("destination", sa.String(length=200), nullable=True))
    op.execute(sa.text(f"UPDATE outbox SET destination = {PLACE}"))
    _rename_keys()
    with op.batch_alter_table("outbox", table_kwargs={"sqlite_autoincrement": True}) as outbox:
        outbox.drop_index("ix_outbox_state_chat")
        outbox.alter_column("destination", existing_type=sa.String(length=200), nullable=False)
        outbox.alter_column("message_id", existing_type=IDS, type_=sa.String(length=200))
        outbox.drop_column("chat_id")
        outbox.drop_column("thread_id")
        outbox.create_index("ix_outbox_state_destination", ["state", "destination", "id"])
        outbox.create_index("ix_outbox_message_id", ["message_id"])
    op.drop_table("cards")


def _rename_keys() -> None:
    connection = op.get_bind()
    outbox = sa.table("outbox", sa.column("id"), sa.column("coalesce"), sa.column("chat_id"))
    named = sa.or_(*(outbox.c.coalesce.startswith(f"{stem}:") for stem in NAMED_BY_CHAT))
    for row in connection.execute(sa.select(outbox).where(named)).all():
        stem, incident, chat, *rest = row.coalesce.split(":")
        if chat != str(row.chat_id):
            continue
        key = ":".join([stem, incident, f"telegram:{chat}", *rest])
        connection.execute(sa.update(outbox).where(outbox.c.id == row.id).values(coalesce=key))

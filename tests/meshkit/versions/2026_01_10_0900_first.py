import sqlalchemy as sa
from alembic import op

from meshkit.migrations import create_idempotency_keys_v1, create_inbox_v1, create_outbox_v1

revision = "first"
down_revision = None


def upgrade() -> None:
    create_idempotency_keys_v1(op, "sample")
    create_outbox_v1(op, "sample")
    create_inbox_v1(op, "sample")
    op.create_table(
        "notes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_notes"),
        sa.UniqueConstraint("text", name="uq_notes_text"),
        schema="sample",
    )


def downgrade() -> None:
    for table in ("notes", "inbox", "outbox", "idempotency_keys"):
        op.drop_table(table, schema="sample")

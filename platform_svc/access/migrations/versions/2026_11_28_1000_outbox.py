"""Makes the outbox, through which audit entries leave."""

from __future__ import annotations

from alembic import op

from meshkit.migrations import create_outbox_v1

revision = "2026_11_28_1000"
down_revision = "2026_11_28_0900"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_outbox_v1(op, "access")


def downgrade() -> None:
    op.drop_table("outbox", schema="access")

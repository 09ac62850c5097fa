"""Adds the priority band of a run; runs from before have the one that all had."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "2026_11_28_1000"
down_revision = "2026_01_10_0900"
SCHEMA = "tools"


def upgrade() -> None:
    # A constant default needs no rewrite of the table.
    band = sa.Column("band", sa.Integer(), server_default="0", nullable=False)
    op.add_column("runs", band, schema=SCHEMA)


def downgrade() -> None:
    op.drop_column("runs", "band", schema=SCHEMA)

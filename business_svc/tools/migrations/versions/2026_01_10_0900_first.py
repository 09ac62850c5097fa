"""The first tables of the tools service."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from meshkit.migrations import create_idempotency_keys_v1, create_outbox_v1

revision = "2026_01_10_0900"
down_revision = None
SCHEMA = "tools"
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    create_idempotency_keys_v1(op, SCHEMA)
    create_outbox_v1(op, SCHEMA)
    op.create_table(
        "runs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("idempotency_key", sa.Text(), nullable=True),
        sa.Column("tool", sa.Text(), nullable=False),
        sa.Column("tool_version", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("task", sa.Text(), nullable=False),
        sa.Column("inputs", JSONB(), nullable=False),
        sa.Column("image_input", sa.Text(), nullable=True),
        sa.Column("image_key", sa.Text(), nullable=True),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("unit_credits", sa.Integer(), nullable=False),
        sa.Column("phase", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=True),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column("progress", JSONB(), nullable=False),
        sa.Column("outputs", JSONB(), nullable=False),
        sa.Column("error_reason", sa.Text(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("held_credits", sa.Integer(), nullable=False),
        sa.Column("charged_credits", sa.Integer(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("start_deadline", TIME, nullable=False),
        sa.Column("started_at", TIME, nullable=True),
        sa.Column("finished_at", TIME, nullable=True),
        sa.Column("due_at", TIME, nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
        sa.CheckConstraint(
            "(phase = 'settled') = (finished_at IS NOT NULL)", name="ck_runs_settled_is_finished"
        ),
        sa.CheckConstraint(
            "(phase = 'settled') = (state NOT IN ('queued', 'running'))",
            name="ck_runs_settled_is_final",
        ),
        sa.CheckConstraint(
            "(phase = 'settled') = (due_at IS NULL)", name="ck_runs_settled_is_not_due"
        ),
        sa.CheckConstraint(
            "phase <> 'settled' OR held_credits = 0", name="ck_runs_settled_holds_nothing"
        ),
        sa.CheckConstraint(
            "charged_credits = 0 OR (state = 'succeeded' AND charged_credits > 0)",
            name="ck_runs_only_success_is_charged",
        ),
        schema=SCHEMA,
    )
    op.create_index(
        "ix_runs_listing", "runs", ["organization_id", "created_at", "id"], schema=SCHEMA
    )
    op.create_index(
        "ix_runs_due",
        "runs",
        ["due_at"],
        schema=SCHEMA,
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_table("runs", schema=SCHEMA)
    op.drop_table("outbox", schema=SCHEMA)
    op.drop_table("idempotency_keys", schema=SCHEMA)

"""Makes the table of mails."""

from __future__ import annotations

from alembic import op

revision = "2026_11_27_0900"
down_revision = None
branch_labels = None
depends_on = None

MAIL = """
CREATE TABLE notifications.mail (
    id uuid NOT NULL,
    idempotency_key text NOT NULL,
    fingerprint bytea NOT NULL,
    template text NOT NULL,
    recipient text NOT NULL,
    parameters jsonb,
    state text NOT NULL,
    attempts bigint NOT NULL,
    next_attempt_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    finished_at timestamptz,
    last_failure text,
    CONSTRAINT pk_mail PRIMARY KEY (id),
    CONSTRAINT uq_mail_idempotency_key UNIQUE (idempotency_key),
    CONSTRAINT ck_mail_state_known CHECK (state IN ('queued', 'sent', 'failed')),
    CONSTRAINT ck_mail_secrets_wiped CHECK ((state = 'queued') = (parameters IS NOT NULL)),
    CONSTRAINT ck_mail_finished CHECK ((state = 'queued') = (finished_at IS NULL))
)
"""

INDEXES = (
    "CREATE INDEX ix_mail_due ON notifications.mail (next_attempt_at) WHERE state = 'queued'",
    "CREATE INDEX ix_mail_finished_at ON notifications.mail (finished_at)",
)


def upgrade() -> None:
    for statement in (MAIL, *INDEXES):
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE notifications.mail")

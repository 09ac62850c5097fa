"""Adds one-time codes, the second step, owed mails, and what sessions and users show of them."""

from __future__ import annotations

from alembic import op

revision = "2026_11_28_0900"
down_revision = "2026_11_20_0900"
branch_labels = None
depends_on = None

COLUMNS = (
    """
    ALTER TABLE identity.account
        ADD COLUMN email_verified_at timestamptz,
        ADD COLUMN two_step_since timestamptz,
        ADD COLUMN deleted_at timestamptz
    """,
    """
    ALTER TABLE identity.session
        ADD COLUMN user_agent text NOT NULL DEFAULT '',
        ADD COLUMN network text NOT NULL DEFAULT ''
    """,
)

TABLES = (
    """
    CREATE TABLE identity.one_time_code (
        id uuid NOT NULL,
        user_id uuid NOT NULL,
        purpose text NOT NULL,
        digest bytea NOT NULL,
        created_at timestamptz NOT NULL,
        expires_at timestamptz NOT NULL,
        CONSTRAINT pk_one_time_code PRIMARY KEY (id),
        CONSTRAINT uq_one_time_code_digest UNIQUE (digest),
        CONSTRAINT fk_one_time_code_user_id FOREIGN KEY (user_id) REFERENCES identity.account (id)
    )
    """,
    """
    CREATE TABLE identity.totp (
        user_id uuid NOT NULL,
        sealed bytea NOT NULL,
        created_at timestamptz NOT NULL,
        confirmed_at timestamptz,
        last_step bigint,
        CONSTRAINT pk_totp PRIMARY KEY (user_id),
        CONSTRAINT fk_totp_user_id FOREIGN KEY (user_id) REFERENCES identity.account (id)
    )
    """,
    """
    CREATE TABLE identity.recovery_code (
        user_id uuid NOT NULL,
        digest bytea NOT NULL,
        CONSTRAINT pk_recovery_code PRIMARY KEY (user_id, digest),
        CONSTRAINT fk_recovery_code_user_id FOREIGN KEY (user_id) REFERENCES identity.account (id)
    )
    """,
    """
    CREATE TABLE identity.errand (
        id uuid NOT NULL,
        kind text NOT NULL,
        user_id uuid,
        address text,
        display_name text,
        attempts bigint NOT NULL,
        next_attempt_at timestamptz NOT NULL,
        created_at timestamptz NOT NULL,
        CONSTRAINT pk_errand PRIMARY KEY (id)
    )
    """,
)

INDEXES = (
    "CREATE INDEX ix_one_time_code_user_id ON identity.one_time_code (user_id)",
    "CREATE INDEX ix_one_time_code_expires_at ON identity.one_time_code (expires_at)",
    "CREATE INDEX ix_errand_next_attempt_at ON identity.errand (next_attempt_at)",
)


def upgrade() -> None:
    for statement in (*COLUMNS, *TABLES, *INDEXES):
        op.execute(statement)


def downgrade() -> None:
    op.execute(
        "DROP TABLE identity.errand, identity.recovery_code, identity.totp, identity.one_time_code"
    )
    op.execute("ALTER TABLE identity.session DROP COLUMN user_agent, DROP COLUMN network")
    op.execute(
        "ALTER TABLE identity.account DROP COLUMN email_verified_at, DROP COLUMN two_step_since, "
        "DROP COLUMN deleted_at"
    )

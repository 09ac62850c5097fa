"""Makes the tables of users, passwords, sessions and attempts."""

from __future__ import annotations

from alembic import op

from meshkit.migrations import create_idempotency_keys_v1, create_outbox_v1

revision = "2026_11_20_0900"
down_revision = None
branch_labels = None
depends_on = None

ACCOUNT = """
CREATE TABLE identity.account (
    id uuid NOT NULL,
    email text NOT NULL,
    email_key text NOT NULL,
    display_name text NOT NULL,
    personal_org_id uuid NOT NULL,
    created_at timestamptz NOT NULL,
    disabled_at timestamptz,
    CONSTRAINT pk_account PRIMARY KEY (id),
    CONSTRAINT uq_account_email_key UNIQUE (email_key),
    CONSTRAINT uq_account_personal_org_id UNIQUE (personal_org_id)
)
"""

CREDENTIAL = """
CREATE TABLE identity.password (
    user_id uuid NOT NULL,
    hash text NOT NULL,
    changed_at timestamptz NOT NULL,
    CONSTRAINT pk_password PRIMARY KEY (user_id),
    CONSTRAINT fk_password_user_id FOREIGN KEY (user_id) REFERENCES identity.account (id)
)
"""

SESSION = """
CREATE TABLE identity.session (
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    org_id uuid NOT NULL,
    created_at timestamptz NOT NULL,
    last_used_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz,
    revoked_because text,
    counter bigint NOT NULL,
    token_digest bytea NOT NULL,
    previous_digest bytea,
    nonce bytea,
    rotated_at timestamptz,
    tag_key bytea NOT NULL,
    CONSTRAINT pk_session PRIMARY KEY (id),
    CONSTRAINT fk_session_user_id FOREIGN KEY (user_id) REFERENCES identity.account (id)
)
"""

ATTEMPT = """
CREATE TABLE identity.attempt (
    subject text NOT NULL,
    attempts bigint NOT NULL DEFAULT 0,
    last_at timestamptz,
    blocked_until timestamptz,
    CONSTRAINT pk_attempt PRIMARY KEY (subject)
)
"""

INDEXES = (
    "CREATE INDEX ix_session_user_id ON identity.session (user_id)",
    "CREATE INDEX ix_session_expires_at ON identity.session (expires_at)",
    "CREATE INDEX ix_attempt_last_at ON identity.attempt (last_at)",
)


def upgrade() -> None:
    for statement in (ACCOUNT, CREDENTIAL, SESSION, ATTEMPT, *INDEXES):
        op.execute(statement)
    create_idempotency_keys_v1(op, "identity")
    create_outbox_v1(op, "identity")


def downgrade() -> None:
    op.execute("DROP TABLE identity.outbox, identity.idempotency_keys")
    op.execute("DROP TABLE identity.attempt, identity.session, identity.password")
    op.execute("DROP TABLE identity.account")

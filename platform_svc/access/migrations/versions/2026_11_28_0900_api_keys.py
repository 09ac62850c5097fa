"""Makes the table of API keys and that of answered calls."""

from __future__ import annotations

from alembic import op

from meshkit.migrations import create_idempotency_keys_v1

revision = "2026_11_28_0900"
down_revision = None
branch_labels = None
depends_on = None

API_KEY = """
CREATE TABLE access.api_key (
    id uuid NOT NULL,
    org_id uuid NOT NULL,
    name text NOT NULL,
    prefix text NOT NULL,
    key_hash bytea NOT NULL,
    scopes jsonb NOT NULL,
    created_by uuid NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    last_used_at timestamptz,
    revoked_at timestamptz,
    CONSTRAINT pk_api_key PRIMARY KEY (id),
    CONSTRAINT uq_api_key_key_hash UNIQUE (key_hash)
)
"""

INDEX = "CREATE INDEX ix_api_key_org_id ON access.api_key (org_id, created_at, id)"


def upgrade() -> None:
    for statement in (API_KEY, INDEX):
        op.execute(statement)
    create_idempotency_keys_v1(op, "access")


def downgrade() -> None:
    op.execute("DROP TABLE access.api_key, access.idempotency_keys")

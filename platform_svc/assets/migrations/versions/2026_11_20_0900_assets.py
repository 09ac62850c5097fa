"""Makes the table of assets and that of answered calls."""

from __future__ import annotations

from alembic import op

from meshkit.migrations import create_idempotency_keys_v1

revision = "2026_11_20_0900"
down_revision = None
branch_labels = None
depends_on = None

ASSET = """
CREATE TABLE assets.asset (
    id uuid NOT NULL,
    org_id uuid NOT NULL,
    filename text NOT NULL,
    content_type text NOT NULL,
    size_bytes bigint NOT NULL,
    sha256 text NOT NULL,
    state text NOT NULL,
    flaw text,
    width bigint,
    height bigint,
    run_id uuid,
    created_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    upload_ends_at timestamptz,
    bytes_removed_at timestamptz,
    CONSTRAINT pk_asset PRIMARY KEY (id),
    CONSTRAINT ck_asset_size_positive CHECK (size_bytes > 0),
    CONSTRAINT ck_asset_sha256_hexadecimal CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    CONSTRAINT ck_asset_state_known
        CHECK (state IN ('pending', 'ready', 'rejected', 'deleted')),
    CONSTRAINT ck_asset_ready_has_dimensions
        CHECK (state <> 'ready' OR (width > 0 AND height > 0)),
    CONSTRAINT ck_asset_rejected_has_flaw CHECK ((state = 'rejected') <= (flaw IS NOT NULL))
)
"""
INDEXES = (
    """
    CREATE INDEX ix_asset_listed ON assets.asset (org_id, created_at, id)
        WHERE state IN ('pending', 'ready')
    """,
    "CREATE INDEX ix_asset_pending ON assets.asset (upload_ends_at) WHERE state = 'pending'",
    """
    CREATE INDEX ix_asset_removable ON assets.asset (changed_at)
        WHERE state IN ('deleted', 'rejected') AND bytes_removed_at IS NULL
    """,
)


def upgrade() -> None:
    op.execute(ASSET)
    for index in INDEXES:
        op.execute(index)
    create_idempotency_keys_v1(op, "assets")


def downgrade() -> None:
    op.execute("DROP TABLE assets.idempotency_keys")
    op.execute("DROP TABLE assets.asset")

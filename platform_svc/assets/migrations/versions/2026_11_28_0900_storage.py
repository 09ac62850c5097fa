"""Adds uploads in parts, the trash, quotas, previews, share links and orphans."""

from __future__ import annotations

from alembic import op

revision = "2026_11_28_0900"
down_revision = "2026_11_20_0900"
branch_labels = None
depends_on = None

COLUMNS = """
ALTER TABLE assets.asset
    ADD COLUMN part_bytes bigint,
    ADD COLUMN upload_id text,
    ADD COLUMN duration_ms bigint,
    ADD COLUMN trashed_at timestamptz,
    ADD COLUMN purge_at timestamptz,
    ADD COLUMN previewed_at timestamptz
"""

# Not validated at once: that would read the whole table while nobody may write to it.
CONSTRAINTS = (
    "ALTER TABLE assets.asset DROP CONSTRAINT ck_asset_state_known",
    """
    ALTER TABLE assets.asset ADD CONSTRAINT ck_asset_state_known
        CHECK (state IN ('pending', 'ready', 'rejected', 'trashed', 'lost', 'deleted')) NOT VALID
    """,
    """
    ALTER TABLE assets.asset ADD CONSTRAINT ck_asset_trashed_has_times
        CHECK ((state = 'trashed') = (trashed_at IS NOT NULL AND purge_at IS NOT NULL)) NOT VALID
    """,
    "ALTER TABLE assets.asset VALIDATE CONSTRAINT ck_asset_state_known",
    "ALTER TABLE assets.asset VALIDATE CONSTRAINT ck_asset_trashed_has_times",
)

TABLES = (
    """
    CREATE TABLE assets.usage (
        org_id uuid NOT NULL,
        reserved_bytes bigint NOT NULL DEFAULT 0,
        ready_bytes bigint NOT NULL DEFAULT 0,
        trashed_bytes bigint NOT NULL DEFAULT 0,
        assets_count bigint NOT NULL DEFAULT 0,
        bytes_max bigint,
        assets_max bigint,
        CONSTRAINT pk_usage PRIMARY KEY (org_id),
        CONSTRAINT ck_usage_nothing_negative CHECK (
            reserved_bytes >= 0 AND ready_bytes >= 0 AND trashed_bytes >= 0 AND assets_count >= 0),
        CONSTRAINT ck_usage_bounds_not_negative CHECK (bytes_max >= 0 AND assets_max >= 0)
    )
    """,
    """
    CREATE TABLE assets.preview (
        asset_id uuid NOT NULL,
        kind text NOT NULL,
        width bigint NOT NULL,
        height bigint NOT NULL,
        size_bytes bigint NOT NULL,
        CONSTRAINT pk_preview PRIMARY KEY (asset_id, kind),
        CONSTRAINT fk_preview_asset_id FOREIGN KEY (asset_id)
            REFERENCES assets.asset (id) ON DELETE CASCADE
    )
    """,
    """
    CREATE TABLE assets.share_link (
        id uuid NOT NULL,
        org_id uuid NOT NULL,
        asset_id uuid NOT NULL,
        created_by uuid NOT NULL,
        created_at timestamptz NOT NULL,
        expires_at timestamptz NOT NULL,
        downloads_max bigint,
        downloads_count bigint NOT NULL,
        revoked_at timestamptz,
        CONSTRAINT pk_share_link PRIMARY KEY (id),
        CONSTRAINT fk_share_link_asset_id FOREIGN KEY (asset_id)
            REFERENCES assets.asset (id) ON DELETE CASCADE,
        CONSTRAINT ck_share_link_downloads_bounded CHECK (
            downloads_count >= 0 AND downloads_count <= coalesce(downloads_max, downloads_count))
    )
    """,
    """
    CREATE TABLE assets.orphan (
        key text NOT NULL,
        kind text NOT NULL,
        asset_id uuid,
        size_bytes bigint NOT NULL,
        found_at timestamptz NOT NULL,
        seen_at timestamptz NOT NULL,
        CONSTRAINT pk_orphan PRIMARY KEY (key),
        CONSTRAINT ck_orphan_kind_known CHECK (kind IN ('object', 'asset', 'preview'))
    )
    """,
)

INDEXES = (
    """
    CREATE INDEX ix_asset_trash ON assets.asset (org_id, trashed_at, id)
        WHERE state = 'trashed'
    """,
    """
    CREATE INDEX ix_asset_stored ON assets.asset (org_id, id)
        WHERE state IN ('ready', 'trashed', 'lost')
    """,
    "CREATE INDEX ix_asset_purge ON assets.asset (purge_at) WHERE state = 'trashed'",
    """
    CREATE INDEX ix_asset_without_previews ON assets.asset (id)
        WHERE state = 'ready' AND previewed_at IS NULL
    """,
    "CREATE INDEX ix_share_link_asset_id ON assets.share_link (asset_id, created_at)",
    "CREATE INDEX ix_share_link_expires_at ON assets.share_link (expires_at)",
)

COUNTERS = """
INSERT INTO assets.usage (org_id, reserved_bytes, ready_bytes, assets_count)
SELECT org_id,
       coalesce(sum(size_bytes) FILTER (WHERE state = 'pending'), 0),
       coalesce(sum(size_bytes) FILTER (WHERE state = 'ready'), 0),
       count(*) FILTER (WHERE state IN ('pending', 'ready'))
FROM assets.asset GROUP BY org_id
"""


def upgrade() -> None:
    op.execute(COLUMNS)
    for statement in (*CONSTRAINTS, *TABLES, *INDEXES, COUNTERS):
        op.execute(statement)


def downgrade() -> None:
    for table in ("orphan", "share_link", "preview", "usage"):
        op.execute(f"DROP TABLE assets.{table}")
    op.execute("DROP INDEX assets.ix_asset_stored")
    op.execute(
        """
        UPDATE assets.asset SET state = 'deleted', trashed_at = NULL, purge_at = NULL
        WHERE state IN ('trashed', 'lost')
        """
    )
    op.execute(
        """
        ALTER TABLE assets.asset
            DROP CONSTRAINT ck_asset_trashed_has_times,
            DROP CONSTRAINT ck_asset_state_known,
            ADD CONSTRAINT ck_asset_state_known
                CHECK (state IN ('pending', 'ready', 'rejected', 'deleted')),
            DROP COLUMN part_bytes,
            DROP COLUMN upload_id,
            DROP COLUMN duration_ms,
            DROP COLUMN trashed_at,
            DROP COLUMN purge_at,
            DROP COLUMN previewed_at
        """
    )

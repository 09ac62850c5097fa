"""Fair shares, residency and the state of regions.

The defaults let the release before this one go on submitting while the new one starts.
"""

from alembic import op

revision = "2026_11_28_0900"
down_revision = "2026_11_01_1000"

UP = (
    """
    ALTER TABLE jobs.job ADD COLUMN cost_seconds double precision NOT NULL DEFAULT 1,
        ADD COLUMN regions text NOT NULL DEFAULT ''
    """,
    """
    ALTER TABLE jobs.ready ADD COLUMN weight double precision NOT NULL DEFAULT 1,
        ADD COLUMN cost_seconds double precision NOT NULL DEFAULT 1,
        ADD COLUMN regions text NOT NULL DEFAULT ''
    """,
    "ALTER TABLE jobs.lease ADD COLUMN cost_seconds double precision NOT NULL DEFAULT 0",
    "ALTER TABLE jobs.ready DROP CONSTRAINT pk_ready",
    "CREATE INDEX ix_ready_due ON jobs.ready (queue, vt, job_id)",
    "CREATE INDEX ix_ready_lane ON jobs.ready (queue, band, tenant_id, regions, vt, job_id)",
    """
    CREATE TABLE jobs.share_clock (
        band smallint NOT NULL,
        tenant_id text NOT NULL,
        vt double precision NOT NULL,
        CONSTRAINT pk_share_clock PRIMARY KEY (band, tenant_id)
    ) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.01,
        autovacuum_vacuum_cost_delay = 0)
    """,
    """
    CREATE TABLE jobs.region (
        name text NOT NULL CONSTRAINT pk_region PRIMARY KEY,
        state text NOT NULL CONSTRAINT ck_region_state_known
            CHECK (state IN ('active', 'cordoned', 'draining')),
        note text NOT NULL,
        changed_by text NOT NULL,
        changed_at timestamptz NOT NULL
    )
    """,
)
DOWN = (
    "DROP TABLE jobs.region",
    "DROP TABLE jobs.share_clock",
    "DROP INDEX jobs.ix_ready_lane",
    "DROP INDEX jobs.ix_ready_due",
    "ALTER TABLE jobs.ready ADD CONSTRAINT pk_ready PRIMARY KEY (queue, band, vt, job_id)",
    "ALTER TABLE jobs.lease DROP COLUMN cost_seconds",
    "ALTER TABLE jobs.ready DROP COLUMN weight, DROP COLUMN cost_seconds, DROP COLUMN regions",
    "ALTER TABLE jobs.job DROP COLUMN cost_seconds, DROP COLUMN regions",
)


def upgrade() -> None:
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWN:
        op.execute(statement)

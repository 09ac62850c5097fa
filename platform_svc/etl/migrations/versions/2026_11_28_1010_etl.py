"""Makes the tables of runs and publications, and those of the lake's catalogue."""

from __future__ import annotations

from alembic import op

revision = "2026_11_28_1010"
down_revision = None
branch_labels = None
depends_on = None

RUN = """
CREATE TABLE etl.run (
    id uuid NOT NULL,
    state text NOT NULL,
    asked_by text NOT NULL,
    asked_at timestamptz NOT NULL,
    started_at timestamptz,
    finished_at timestamptz,
    failure text NOT NULL,
    counts jsonb NOT NULL,
    offenders jsonb NOT NULL,
    CONSTRAINT pk_run PRIMARY KEY (id),
    CONSTRAINT ck_run_state_known
        CHECK (state IN ('waiting', 'running', 'succeeded', 'failed')),
    CONSTRAINT ck_run_started CHECK ((state = 'waiting') = (started_at IS NULL)),
    CONSTRAINT ck_run_finished
        CHECK ((state IN ('waiting', 'running')) = (finished_at IS NULL)),
    CONSTRAINT ck_run_failed_for_a_reason CHECK ((state = 'failed') = (failure <> ''))
)
"""

PUBLICATION = """
CREATE TABLE etl.publication (
    name text NOT NULL,
    run_id uuid NOT NULL,
    made_at timestamptz NOT NULL,
    content jsonb NOT NULL,
    CONSTRAINT pk_publication PRIMARY KEY (name)
)
"""

# The columns are PyIceberg's, of the catalogue's schema v1.
ICEBERG_TABLES = """
CREATE TABLE etl.iceberg_tables (
    catalog_name varchar(255) NOT NULL,
    table_namespace varchar(255) NOT NULL,
    table_name varchar(255) NOT NULL,
    metadata_location varchar(1000),
    previous_metadata_location varchar(1000),
    iceberg_type varchar(5),
    CONSTRAINT pk_iceberg_tables PRIMARY KEY (catalog_name, table_namespace, table_name)
)
"""

ICEBERG_NAMESPACES = """
CREATE TABLE etl.iceberg_namespace_properties (
    catalog_name varchar(255) NOT NULL,
    namespace varchar(255) NOT NULL,
    property_key varchar(255) NOT NULL,
    property_value varchar(1000) NOT NULL,
    CONSTRAINT pk_iceberg_namespace_properties
        PRIMARY KEY (catalog_name, namespace, property_key)
)
"""

INDEXES = (
    "CREATE UNIQUE INDEX uq_run_waiting ON etl.run (state) WHERE state = 'waiting'",
    "CREATE INDEX ix_run_listing ON etl.run (asked_at, id)",
)


def upgrade() -> None:
    for statement in (RUN, PUBLICATION, ICEBERG_TABLES, ICEBERG_NAMESPACES, *INDEXES):
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE etl.run, etl.publication")
    op.execute("DROP TABLE etl.iceberg_tables, etl.iceberg_namespace_properties")

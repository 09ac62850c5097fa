"""Replicas: what regions report, what is planned for them, and each change of a plan."""

from alembic import op

revision = "2026_11_28_1000"
down_revision = "2026_11_28_0900"

UP = (
    """
    CREATE TABLE jobs.replicas (
        region text NOT NULL,
        model text NOT NULL,
        running integer NOT NULL,
        minimum integer NOT NULL,
        maximum integer NOT NULL,
        run_seconds double precision NOT NULL,
        target integer NOT NULL,
        surplus_since timestamptz,
        reason text NOT NULL,
        reported_at timestamptz NOT NULL,
        CONSTRAINT pk_replicas PRIMARY KEY (region, model),
        CONSTRAINT ck_replicas_target_not_negative CHECK (target >= 0)
    ) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.01,
        autovacuum_vacuum_cost_delay = 0)
    """,
    """
    CREATE TABLE jobs.scaling_decision (
        id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_scaling_decision PRIMARY KEY,
        region text NOT NULL,
        model text NOT NULL,
        before integer NOT NULL,
        after integer NOT NULL,
        reason text NOT NULL,
        decided_at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX ix_scaling_decision_decided_at ON jobs.scaling_decision (decided_at)",
)


def upgrade() -> None:
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE jobs.scaling_decision")
    op.execute("DROP TABLE jobs.replicas")

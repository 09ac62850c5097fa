"""The tables of the jobs service."""

from alembic import op

from meshkit.migrations import create_outbox_v1

revision = "2026_11_01_1000"
down_revision = None

SCHEMA = "jobs"
TABLES = ("job_event", "outcome", "lease", "scheduled", "ready", "outbox", "job")
APPEND_ONLY = ("job", "outcome", "job_event")
# Dead rows of a hot queue table slow every claim, so it is vacuumed early and at full speed.
HOT = "autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0"

STATEMENTS = (
    """
    CREATE TABLE jobs.job (
        id uuid NOT NULL CONSTRAINT pk_job PRIMARY KEY,
        tenant_id text NOT NULL,
        idempotency_key text NOT NULL,
        fingerprint bytea NOT NULL,
        model text NOT NULL,
        task text NOT NULL,
        inputs json NOT NULL,
        count integer NOT NULL CONSTRAINT ck_job_count_positive CHECK (count > 0),
        band smallint NOT NULL,
        weight double precision NOT NULL,
        vt bigint NOT NULL,
        start_deadline timestamptz,
        attempts_max integer NOT NULL
            CONSTRAINT ck_job_attempts_max_positive CHECK (attempts_max > 0),
        traceparent text NOT NULL,
        created_at timestamptz NOT NULL,
        CONSTRAINT uq_job_tenant_id_idempotency_key UNIQUE (tenant_id, idempotency_key)
    )
    """,
    f"""
    CREATE TABLE jobs.ready (
        queue text NOT NULL,
        band smallint NOT NULL,
        vt bigint NOT NULL,
        job_id uuid NOT NULL CONSTRAINT uq_ready_job_id UNIQUE,
        tenant_id text NOT NULL,
        fence integer NOT NULL,
        attempts integer NOT NULL,
        last_region text NOT NULL,
        start_deadline timestamptz,
        CONSTRAINT pk_ready PRIMARY KEY (queue, band, vt, job_id)
    ) WITH ({HOT})
    """,
    """
    CREATE INDEX ix_ready_start_deadline ON jobs.ready (start_deadline)
    WHERE start_deadline IS NOT NULL
    """,
    f"""
    CREATE TABLE jobs.scheduled (
        job_id uuid NOT NULL CONSTRAINT pk_scheduled PRIMARY KEY,
        run_at timestamptz NOT NULL,
        fence integer NOT NULL,
        attempts integer NOT NULL,
        last_region text NOT NULL,
        start_deadline timestamptz
    ) WITH ({HOT})
    """,
    "CREATE INDEX ix_scheduled_run_at ON jobs.scheduled (run_at)",
    f"""
    CREATE TABLE jobs.lease (
        job_id uuid NOT NULL CONSTRAINT pk_lease PRIMARY KEY,
        fence integer NOT NULL CONSTRAINT ck_lease_fence_positive CHECK (fence > 0),
        attempts integer NOT NULL,
        region text NOT NULL,
        agent_id text NOT NULL,
        start_deadline timestamptz,
        leased_at timestamptz NOT NULL,
        lease_until timestamptz NOT NULL,
        cancel_requested boolean NOT NULL,
        started_at timestamptz,
        step integer NOT NULL,
        steps integer NOT NULL
    ) WITH (fillfactor = 50, {HOT})
    """,
    """
    CREATE TABLE jobs.outcome (
        job_id uuid NOT NULL CONSTRAINT pk_outcome PRIMARY KEY
            CONSTRAINT fk_outcome_job_id REFERENCES jobs.job (id),
        fence integer NOT NULL CONSTRAINT ck_outcome_fence_not_negative CHECK (fence >= 0),
        state text NOT NULL CONSTRAINT ck_outcome_state_terminal
            CHECK (state IN ('succeeded', 'failed', 'canceled', 'expired')),
        region text NOT NULL,
        outputs json,
        reason text NOT NULL,
        message text NOT NULL,
        step integer NOT NULL,
        steps integer NOT NULL,
        run_ms integer NOT NULL,
        upload_ms integer NOT NULL,
        started_at timestamptz,
        finished_at timestamptz NOT NULL,
        CONSTRAINT ck_outcome_outputs_of_success
            CHECK ((state = 'succeeded') = (outputs IS NOT NULL))
    )
    """,
    """
    CREATE TABLE jobs.job_event (
        id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_job_event PRIMARY KEY,
        job_id uuid NOT NULL,
        fence integer NOT NULL,
        event text NOT NULL,
        detail text NOT NULL,
        at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX ix_job_event_job_id ON jobs.job_event (job_id)",
    """
    CREATE FUNCTION jobs.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION '% only grows', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
    END
    $$
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON {SCHEMA}.{table} "
            f"FOR EACH ROW EXECUTE FUNCTION {SCHEMA}.refuse_change()"
        )
    create_outbox_v1(op, SCHEMA)


def downgrade() -> None:
    for table in TABLES:
        op.drop_table(table, schema=SCHEMA)
    op.execute(f"DROP FUNCTION {SCHEMA}.refuse_change()")

"""Makes the logs, which can be appended to and nothing else."""

from __future__ import annotations

from alembic import op

revision = "2026_11_28_1000"
down_revision = None
branch_labels = None
depends_on = None

CHAIN = """
CREATE TABLE audit.chain (
    org_id uuid NOT NULL,
    length bigint NOT NULL,
    hash bytea NOT NULL,
    kept bigint NOT NULL,
    CONSTRAINT pk_chain PRIMARY KEY (org_id)
)
"""

ENTRY = """
CREATE TABLE audit.entry (
    org_id uuid NOT NULL,
    position bigint NOT NULL,
    id uuid NOT NULL,
    action text NOT NULL,
    actor_kind text NOT NULL,
    actor_id text NOT NULL,
    api_key_id text NOT NULL,
    target_ids jsonb NOT NULL,
    details jsonb NOT NULL,
    request_id text NOT NULL,
    network text NOT NULL,
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    previous_hash bytea NOT NULL,
    hash bytea NOT NULL,
    CONSTRAINT pk_entry PRIMARY KEY (org_id, position),
    CONSTRAINT uq_entry_id UNIQUE (id),
    CONSTRAINT ck_entry_actor_known CHECK (actor_kind IN ('user', 'service', 'system')),
    CONSTRAINT ck_entry_hash_length CHECK (octet_length(hash) = 32)
)
"""

INDEXES = (
    "CREATE INDEX ix_chain_grown ON audit.chain (org_id) WHERE length > kept",
    "CREATE INDEX ix_entry_action ON audit.entry (org_id, action, position)",
    "CREATE INDEX ix_entry_actor ON audit.entry (org_id, actor_id, position)",
    "CREATE INDEX ix_entry_targets ON audit.entry USING gin (target_ids)",
)

# The hash chain shows what somebody with more rights than the service does; this keeps the
# service itself, and a careless hand, from doing it.
REFUSE = """
CREATE FUNCTION audit.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit entries are only ever added' USING ERRCODE = 'restrict_violation';
END
$$
"""

ONLY_EVER_ADDED = """
CREATE TRIGGER only_ever_added BEFORE UPDATE OR DELETE ON audit.entry
FOR EACH ROW EXECUTE FUNCTION audit.refuse_change()
"""

NEVER_EMPTIED = """
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON audit.entry
FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change()
"""


def upgrade() -> None:
    for statement in (CHAIN, ENTRY, *INDEXES, REFUSE, ONLY_EVER_ADDED, NEVER_EMPTIED):
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE audit.entry")
    op.execute("DROP TABLE audit.chain")
    op.execute("DROP FUNCTION audit.refuse_change()")

"""Makes the tables of the ledger: accounts, grants, holds, allocations and postings."""

from __future__ import annotations

from alembic import op

revision = "2026_11_20_0900"
down_revision = None
branch_labels = None
depends_on = None

ACCOUNT = r"""
CREATE TABLE credits.account (
    org_id uuid NOT NULL,
    unit text NOT NULL,
    posted bigint NOT NULL DEFAULT 0,
    held bigint NOT NULL DEFAULT 0,
    seq bigint NOT NULL DEFAULT 0,
    head_hash bytea NOT NULL DEFAULT '\x',
    created_at timestamptz NOT NULL,
    CONSTRAINT pk_account PRIMARY KEY (org_id, unit),
    CONSTRAINT ck_account_held_not_negative CHECK (held >= 0),
    CONSTRAINT ck_account_available_not_negative CHECK (posted - held >= 0),
    CONSTRAINT ck_account_posted_bounded CHECK (posted <= 2000000000)
) WITH (fillfactor = 50)
"""

GRANT = """
CREATE TABLE credits.credit_grant (
    id uuid NOT NULL,
    org_id uuid NOT NULL,
    unit text NOT NULL,
    kind text NOT NULL,
    priority bigint NOT NULL,
    effective_at timestamptz NOT NULL,
    expires_at timestamptz,
    amount bigint NOT NULL,
    remaining bigint NOT NULL,
    held bigint NOT NULL DEFAULT 0,
    idempotency_key text NOT NULL,
    note text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL,
    CONSTRAINT pk_credit_grant PRIMARY KEY (id),
    CONSTRAINT uq_credit_grant_idempotency_key UNIQUE (idempotency_key),
    CONSTRAINT fk_credit_grant_org_id_unit FOREIGN KEY (org_id, unit)
        REFERENCES credits.account (org_id, unit),
    CONSTRAINT ck_credit_grant_amount_positive CHECK (amount > 0),
    CONSTRAINT ck_credit_grant_held_within_remaining CHECK (held >= 0 AND held <= remaining),
    CONSTRAINT ck_credit_grant_remaining_within_amount CHECK (remaining <= amount)
) WITH (fillfactor = 50)
"""

HOLD = """
CREATE TABLE credits.hold (
    id text NOT NULL,
    org_id uuid NOT NULL,
    unit text NOT NULL,
    amount bigint NOT NULL,
    captured bigint NOT NULL DEFAULT 0,
    state text NOT NULL DEFAULT 'pending',
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    closed_at timestamptz,
    CONSTRAINT pk_hold PRIMARY KEY (id),
    CONSTRAINT fk_hold_org_id_unit FOREIGN KEY (org_id, unit)
        REFERENCES credits.account (org_id, unit),
    CONSTRAINT ck_hold_amount_positive CHECK (amount > 0),
    CONSTRAINT ck_hold_captured_within_amount CHECK (captured >= 0 AND captured <= amount),
    CONSTRAINT ck_hold_state_known
        CHECK (state IN ('pending', 'captured', 'released', 'expired')),
    CONSTRAINT ck_hold_closed_when_ended CHECK ((state = 'pending') = (closed_at IS NULL)),
    CONSTRAINT ck_hold_captured_when_charged CHECK ((state = 'captured') = (captured > 0))
)
"""

ALLOCATION = """
CREATE TABLE credits.hold_allocation (
    hold_id text NOT NULL,
    grant_id uuid NOT NULL,
    amount bigint NOT NULL,
    captured bigint NOT NULL DEFAULT 0,
    CONSTRAINT pk_hold_allocation PRIMARY KEY (hold_id, grant_id),
    CONSTRAINT fk_hold_allocation_hold_id FOREIGN KEY (hold_id) REFERENCES credits.hold (id),
    CONSTRAINT fk_hold_allocation_grant_id FOREIGN KEY (grant_id)
        REFERENCES credits.credit_grant (id),
    CONSTRAINT ck_hold_allocation_amount_positive CHECK (amount > 0),
    CONSTRAINT ck_hold_allocation_captured_within_amount
        CHECK (captured >= 0 AND captured <= amount)
)
"""

LEDGER_TX = """
CREATE TABLE credits.ledger_tx (
    id uuid NOT NULL,
    org_id uuid NOT NULL,
    unit text NOT NULL,
    seq bigint NOT NULL,
    kind text NOT NULL,
    reference text NOT NULL,
    note text NOT NULL,
    idempotency_key text NOT NULL,
    prev_hash bytea NOT NULL,
    hash bytea NOT NULL,
    at timestamptz NOT NULL,
    CONSTRAINT pk_ledger_tx PRIMARY KEY (id),
    CONSTRAINT uq_ledger_tx_org_id_unit_seq UNIQUE (org_id, unit, seq),
    CONSTRAINT uq_ledger_tx_idempotency_key UNIQUE (idempotency_key),
    CONSTRAINT fk_ledger_tx_org_id_unit FOREIGN KEY (org_id, unit)
        REFERENCES credits.account (org_id, unit)
)
"""

LEDGER_ENTRY = """
CREATE TABLE credits.ledger_entry (
    tx_id uuid NOT NULL,
    n bigint NOT NULL,
    account text NOT NULL,
    unit text NOT NULL,
    amount bigint NOT NULL,
    CONSTRAINT pk_ledger_entry PRIMARY KEY (tx_id, n),
    CONSTRAINT fk_ledger_entry_tx_id FOREIGN KEY (tx_id) REFERENCES credits.ledger_tx (id),
    CONSTRAINT ck_ledger_entry_amount_not_zero CHECK (amount <> 0)
)
"""

INDEXES = (
    (
        "CREATE INDEX ix_credit_grant_burn_order ON credits.credit_grant"
        " (org_id, unit, priority, expires_at, id) WHERE remaining > 0"
    ),
    "CREATE INDEX ix_credit_grant_due ON credits.credit_grant (expires_at) WHERE remaining > held",
    (
        "CREATE INDEX ix_hold_pending ON credits.hold (org_id, unit, expires_at)"
        " WHERE state = 'pending'"
    ),
    "CREATE INDEX ix_hold_due ON credits.hold (expires_at) WHERE state = 'pending'",
    "CREATE INDEX ix_hold_allocation_grant_id ON credits.hold_allocation (grant_id)",
    "CREATE INDEX ix_ledger_entry_account ON credits.ledger_entry (account)",
)

# Checked at commit, so that a transaction may be written entry by entry.
BALANCED = """
CREATE FUNCTION credits.check_balanced() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_tx uuid;
    v_entries bigint;
    v_sum numeric;
BEGIN
    IF TG_TABLE_NAME = 'ledger_tx' THEN v_tx := NEW.id; ELSE v_tx := NEW.tx_id; END IF;
    SELECT count(*), coalesce(sum(amount), 0) INTO v_entries, v_sum
    FROM credits.ledger_entry WHERE tx_id = v_tx;
    IF v_entries < 2 OR v_sum <> 0 THEN
        RAISE EXCEPTION 'ledger transaction % has % entries that sum to %', v_tx, v_entries, v_sum
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$
"""

APPEND_ONLY = """
CREATE FUNCTION credits.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the ledger is append-only' USING ERRCODE = 'restrict_violation';
END $$
"""

TRIGGERS = (
    (
        "CREATE CONSTRAINT TRIGGER ledger_tx_balanced AFTER INSERT ON credits.ledger_tx"
        " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION credits.check_balanced()"
    ),
    (
        "CREATE CONSTRAINT TRIGGER ledger_entry_balanced AFTER INSERT ON credits.ledger_entry"
        " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION credits.check_balanced()"
    ),
    (
        "CREATE TRIGGER ledger_tx_append_only BEFORE UPDATE OR DELETE OR TRUNCATE"
        " ON credits.ledger_tx FOR EACH STATEMENT EXECUTE FUNCTION credits.refuse_change()"
    ),
    (
        "CREATE TRIGGER ledger_entry_append_only BEFORE UPDATE OR DELETE OR TRUNCATE"
        " ON credits.ledger_entry FOR EACH STATEMENT EXECUTE FUNCTION credits.refuse_change()"
    ),
)


def upgrade() -> None:
    for statement in (ACCOUNT, GRANT, HOLD, ALLOCATION, LEDGER_TX, LEDGER_ENTRY, *INDEXES):
        op.execute(statement)
    for statement in (BALANCED, APPEND_ONLY, *TRIGGERS):
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE credits.ledger_entry, credits.ledger_tx, credits.hold_allocation")
    op.execute("DROP TABLE credits.hold, credits.credit_grant, credits.account")
    op.execute("DROP FUNCTION credits.check_balanced(), credits.refuse_change()")

"""Makes the tables of plans' subscriptions, invoices, credit orders and provider events."""

from __future__ import annotations

from alembic import op

from meshkit.migrations import create_outbox_v1

revision = "2026_11_28_1000"
down_revision = None
branch_labels = None
depends_on = None
SCHEMA = "billing"

CUSTOMER = """
CREATE TABLE billing.customer (
    org_id UUID NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_customer PRIMARY KEY (org_id)
)
"""

SUBSCRIPTION = """
CREATE TABLE billing.subscription (
    id UUID NOT NULL,
    org_id UUID NOT NULL,
    provider TEXT NOT NULL,
    provider_ref TEXT NOT NULL,
    checkout_url TEXT NOT NULL,
    state TEXT NOT NULL,
    plan TEXT NOT NULL,
    version BIGINT NOT NULL,
    interval TEXT NOT NULL,
    term_start TIMESTAMP WITH TIME ZONE,
    term_end TIMESTAMP WITH TIME ZONE,
    started_at TIMESTAMP WITH TIME ZONE,
    months_paid BIGINT NOT NULL,
    credit_months BIGINT NOT NULL,
    upcoming JSONB,
    cancel_at_end BOOLEAN NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    ended_at TIMESTAMP WITH TIME ZONE,
    look_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_subscription PRIMARY KEY (id),
    CONSTRAINT ck_subscription_state_known
        CHECK (state IN ('incomplete', 'active', 'past_due', 'ended')),
    CONSTRAINT ck_subscription_ended_has_time CHECK ((state = 'ended') = (ended_at IS NOT NULL)),
    CONSTRAINT ck_subscription_live_is_looked_at CHECK ((state = 'ended') = (look_at IS NULL)),
    CONSTRAINT ck_subscription_term_has_both_ends CHECK ((term_start IS NULL) = (term_end IS NULL)),
    CONSTRAINT ck_subscription_term_runs_forward CHECK (term_start < term_end),
    CONSTRAINT ck_subscription_paid
        CHECK (state NOT IN ('active', 'past_due') OR term_end IS NOT NULL),
    CONSTRAINT fk_subscription_org_id FOREIGN KEY(org_id) REFERENCES billing.customer (org_id)
)
"""

INVOICE = """
CREATE TABLE billing.invoice (
    id UUID NOT NULL,
    number TEXT NOT NULL,
    org_id UUID NOT NULL,
    subscription_id UUID NOT NULL,
    reason TEXT NOT NULL,
    plan TEXT NOT NULL,
    version BIGINT NOT NULL,
    interval TEXT NOT NULL,
    currency TEXT NOT NULL,
    lines JSONB NOT NULL,
    total_cents BIGINT NOT NULL,
    provider TEXT NOT NULL,
    provider_ref TEXT NOT NULL,
    provider_url TEXT NOT NULL,
    state TEXT NOT NULL,
    term_start TIMESTAMP WITH TIME ZONE,
    issued_at TIMESTAMP WITH TIME ZONE NOT NULL,
    due_at TIMESTAMP WITH TIME ZONE,
    paid_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_invoice PRIMARY KEY (id),
    CONSTRAINT uq_invoice_number UNIQUE (number),
    CONSTRAINT ck_invoice_state_known CHECK (state IN ('open', 'paid', 'void')),
    CONSTRAINT ck_invoice_paid_has_time CHECK ((state = 'paid') = (paid_at IS NOT NULL)),
    CONSTRAINT fk_invoice_org_id FOREIGN KEY(org_id) REFERENCES billing.customer (org_id),
    CONSTRAINT fk_invoice_subscription_id
        FOREIGN KEY(subscription_id) REFERENCES billing.subscription (id)
)
"""

INVOICE_COUNTER = """
CREATE TABLE billing.invoice_counter (
    year BIGINT NOT NULL,
    last BIGINT NOT NULL,
    CONSTRAINT pk_invoice_counter PRIMARY KEY (year)
)
"""

CREDIT_ORDER = """
CREATE TABLE billing.credit_order (
    id UUID NOT NULL,
    org_id UUID NOT NULL,
    subscription_id UUID NOT NULL,
    key TEXT NOT NULL,
    amount BIGINT NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    note TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    due_at TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_credit_order PRIMARY KEY (id),
    CONSTRAINT uq_credit_order_key UNIQUE (key),
    CONSTRAINT ck_credit_order_amount_positive CHECK (amount > 0),
    CONSTRAINT ck_credit_order_state_known
        CHECK (state IN ('due', 'given', 'refused')),
    CONSTRAINT ck_credit_order_due_has_time CHECK ((state = 'due') = (due_at IS NOT NULL)),
    CONSTRAINT fk_credit_order_subscription_id
        FOREIGN KEY(subscription_id) REFERENCES billing.subscription (id)
)
"""

PROVIDER_EVENT = """
CREATE TABLE billing.provider_event (
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    object_ref TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    due_at TIMESTAMP WITH TIME ZONE,
    received_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_provider_event PRIMARY KEY (id),
    CONSTRAINT ck_provider_event_due_has_time CHECK ((state = 'due') = (due_at IS NOT NULL))
)
"""

INDEXES = (
    (
        "CREATE INDEX ix_subscription_look ON billing.subscription (look_at)"
        " WHERE look_at IS NOT NULL"
    ),
    (
        "CREATE UNIQUE INDEX uq_subscription_live ON billing.subscription (org_id)"
        " WHERE state <> 'ended'"
    ),
    (
        "CREATE UNIQUE INDEX uq_subscription_provider_ref"
        " ON billing.subscription (provider, provider_ref) WHERE provider_ref <> ''"
    ),
    "CREATE INDEX ix_invoice_listing ON billing.invoice (org_id, issued_at, id)",
    (
        "CREATE UNIQUE INDEX uq_invoice_open ON billing.invoice (subscription_id, reason)"
        " WHERE state = 'open' AND provider = 'manual'"
    ),
    (
        "CREATE UNIQUE INDEX uq_invoice_provider_ref ON billing.invoice (provider, provider_ref)"
        " WHERE provider_ref <> ''"
    ),
    (
        "CREATE UNIQUE INDEX uq_invoice_renewal ON billing.invoice (subscription_id, term_start)"
        " WHERE reason = 'renewal' AND provider = 'manual' AND state <> 'void'"
    ),
    "CREATE INDEX ix_credit_order_due ON billing.credit_order (due_at) WHERE state = 'due'",
    "CREATE INDEX ix_credit_order_subscription_id ON billing.credit_order (subscription_id)",
    "CREATE INDEX ix_provider_event_due ON billing.provider_event (due_at) WHERE state = 'due'",
)


def upgrade() -> None:
    create_outbox_v1(op, SCHEMA)
    for statement in (
        CUSTOMER,
        SUBSCRIPTION,
        INVOICE,
        INVOICE_COUNTER,
        CREDIT_ORDER,
        PROVIDER_EVENT,
        *INDEXES,
    ):
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE billing.provider_event, billing.credit_order, billing.invoice_counter")
    op.execute("DROP TABLE billing.invoice, billing.subscription, billing.customer")
    op.drop_table("outbox", schema=SCHEMA)

"""Makes the notifications of users, and webhooks with their deliveries."""

from __future__ import annotations

from alembic import op

from meshkit.migrations import create_idempotency_keys_v1, create_inbox_v1, create_outbox_v1

revision = "2026_11_28_1000"
down_revision = "2026_11_27_0900"
branch_labels = None
depends_on = None

TABLES = (
    """
CREATE TABLE notifications.notification (
    position bigint GENERATED ALWAYS AS IDENTITY,
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    org_id uuid NOT NULL,
    type text NOT NULL,
    subject_id text NOT NULL,
    title text NOT NULL,
    occurred_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    read_at timestamptz,
    CONSTRAINT pk_notification PRIMARY KEY (position),
    CONSTRAINT uq_notification_id UNIQUE (id)
)
""",
    """
CREATE TABLE notifications.webhook_endpoint (
    id uuid NOT NULL,
    org_id uuid NOT NULL,
    url text NOT NULL,
    description text NOT NULL,
    event_types jsonb NOT NULL,
    created_by uuid NOT NULL,
    created_at timestamptz NOT NULL,
    disabled text,
    failing_since timestamptz,
    CONSTRAINT pk_webhook_endpoint PRIMARY KEY (id),
    CONSTRAINT ck_webhook_endpoint_reason_known
        CHECK (disabled IN ('by_user', 'gone', 'failing'))
)
""",
    """
CREATE TABLE notifications.webhook_secret (
    id uuid NOT NULL,
    endpoint_id uuid NOT NULL,
    sealed bytea NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    CONSTRAINT pk_webhook_secret PRIMARY KEY (id),
    CONSTRAINT fk_webhook_secret_endpoint_id FOREIGN KEY (endpoint_id)
        REFERENCES notifications.webhook_endpoint (id) ON DELETE CASCADE
)
""",
    """
CREATE TABLE notifications.webhook_message (
    id uuid NOT NULL,
    org_id uuid NOT NULL,
    type text NOT NULL,
    payload text NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT pk_webhook_message PRIMARY KEY (id)
)
""",
    """
CREATE TABLE notifications.webhook_delivery (
    id uuid NOT NULL,
    endpoint_id uuid NOT NULL,
    message_id uuid NOT NULL,
    state text NOT NULL,
    attempts bigint NOT NULL,
    next_attempt_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    finished_at timestamptz,
    is_replay boolean NOT NULL,
    CONSTRAINT pk_webhook_delivery PRIMARY KEY (id),
    CONSTRAINT fk_webhook_delivery_endpoint_id FOREIGN KEY (endpoint_id)
        REFERENCES notifications.webhook_endpoint (id) ON DELETE CASCADE,
    CONSTRAINT fk_webhook_delivery_message_id FOREIGN KEY (message_id)
        REFERENCES notifications.webhook_message (id) ON DELETE CASCADE,
    CONSTRAINT ck_webhook_delivery_state_known
        CHECK (state IN ('pending', 'succeeded', 'failed', 'canceled')),
    CONSTRAINT ck_webhook_delivery_finished
        CHECK ((state = 'pending') = (finished_at IS NULL))
)
""",
    """
CREATE TABLE notifications.webhook_attempt (
    delivery_id uuid NOT NULL,
    number bigint NOT NULL,
    started_at timestamptz NOT NULL,
    duration_ms bigint NOT NULL,
    status bigint NOT NULL,
    failure text NOT NULL,
    response text NOT NULL,
    CONSTRAINT pk_webhook_attempt PRIMARY KEY (delivery_id, number),
    CONSTRAINT fk_webhook_attempt_delivery_id FOREIGN KEY (delivery_id)
        REFERENCES notifications.webhook_delivery (id) ON DELETE CASCADE
)
""",
)

INDEXES = """
CREATE INDEX ix_notification_user_id ON notifications.notification (user_id, position);
CREATE INDEX ix_notification_unread ON notifications.notification (user_id, position)
    WHERE read_at IS NULL;
CREATE INDEX ix_notification_created_at ON notifications.notification (created_at);
CREATE INDEX ix_webhook_endpoint_org_id
    ON notifications.webhook_endpoint (org_id, created_at, id);
CREATE INDEX ix_webhook_secret_endpoint_id
    ON notifications.webhook_secret (endpoint_id, created_at);
CREATE UNIQUE INDEX uq_webhook_secret_newest
    ON notifications.webhook_secret (endpoint_id) WHERE expires_at IS NULL;
CREATE INDEX ix_webhook_message_created_at ON notifications.webhook_message (created_at);
CREATE INDEX ix_webhook_delivery_endpoint_id
    ON notifications.webhook_delivery (endpoint_id, created_at, id);
CREATE INDEX ix_webhook_delivery_message_id ON notifications.webhook_delivery (message_id);
CREATE INDEX ix_webhook_delivery_due
    ON notifications.webhook_delivery (endpoint_id, next_attempt_at) WHERE state = 'pending';
CREATE UNIQUE INDEX uq_webhook_delivery_first
    ON notifications.webhook_delivery (endpoint_id, message_id) WHERE NOT is_replay
"""

MADE = (
    "webhook_attempt",
    "webhook_delivery",
    "webhook_message",
    "webhook_secret",
    "webhook_endpoint",
    "notification",
    "idempotency_keys",
    "inbox",
    "outbox",
)


def upgrade() -> None:
    for statement in (*TABLES, *INDEXES.split(";")):
        op.execute(statement)
    create_idempotency_keys_v1(op, "notifications")
    create_inbox_v1(op, "notifications")
    create_outbox_v1(op, "notifications")


def downgrade() -> None:
    for table in MADE:
        op.drop_table(table, schema="notifications")

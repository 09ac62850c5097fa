"""Makes the tables of taken messages, failed events and the outbox."""

from __future__ import annotations

from alembic import op

from meshkit.migrations import create_outbox_v1

revision = "2026_11_28_1000"
down_revision = None
branch_labels = None
depends_on = None

MESSAGE = """
CREATE TABLE events.message (
    org_id uuid NOT NULL,
    message_id text NOT NULL,
    seen_at timestamptz NOT NULL,
    CONSTRAINT pk_message PRIMARY KEY (org_id, message_id)
)
"""

FAILED_EVENT = """
CREATE TABLE events.failed_event (
    id uuid NOT NULL,
    org_id uuid NOT NULL,
    user_id uuid NOT NULL,
    message_id text NOT NULL,
    name text NOT NULL,
    reason text NOT NULL,
    message text NOT NULL,
    properties jsonb NOT NULL,
    received_at timestamptz NOT NULL,
    CONSTRAINT pk_failed_event PRIMARY KEY (id)
)
"""

INDEXES = (
    "CREATE INDEX ix_message_seen_at ON events.message (seen_at)",
    "CREATE INDEX ix_failed_event_listing ON events.failed_event (org_id, received_at, id)",
    "CREATE INDEX ix_failed_event_received_at ON events.failed_event (received_at)",
)


def upgrade() -> None:
    for statement in (MESSAGE, FAILED_EVENT, *INDEXES):
        op.execute(statement)
    create_outbox_v1(op, "events")


def downgrade() -> None:
    op.execute("DROP TABLE events.message, events.failed_event, events.outbox")

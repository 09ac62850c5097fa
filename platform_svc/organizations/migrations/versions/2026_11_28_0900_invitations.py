"""Makes the table of invitations and that of answered calls."""

from __future__ import annotations

from alembic import op

from meshkit.migrations import create_idempotency_keys_v1

revision = "2026_11_28_0900"
down_revision = "2026_11_20_0900"
branch_labels = None
depends_on = None

INVITATION = """
CREATE TABLE organizations.invitation (
    id uuid NOT NULL,
    org_id uuid NOT NULL,
    email text NOT NULL,
    role text NOT NULL,
    state text NOT NULL,
    generation bigint NOT NULL,
    token_hash bytea NOT NULL,
    invited_by uuid NOT NULL,
    accepted_by uuid,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    mail_asked_at timestamptz NOT NULL,
    mail_due_at timestamptz,
    mail_attempts bigint NOT NULL,
    CONSTRAINT pk_invitation PRIMARY KEY (id),
    CONSTRAINT uq_invitation_token_hash UNIQUE (token_hash),
    CONSTRAINT fk_invitation_org_id FOREIGN KEY (org_id)
        REFERENCES organizations.organization (id),
    CONSTRAINT fk_invitation_role FOREIGN KEY (role) REFERENCES organizations.role (name),
    CONSTRAINT ck_invitation_state_known
        CHECK (state IN ('pending', 'accepted', 'declined', 'revoked', 'expired')),
    CONSTRAINT ck_invitation_accepted_by_somebody
        CHECK ((state = 'accepted') = (accepted_by IS NOT NULL))
)
"""

INDEXES = (
    "CREATE INDEX ix_invitation_org_id ON organizations.invitation (org_id, created_at, id)",
    """
    CREATE UNIQUE INDEX uq_invitation_open_email ON organizations.invitation (org_id, email)
    WHERE state = 'pending'
    """,
    """
    CREATE INDEX ix_invitation_mail_due_at ON organizations.invitation (mail_due_at)
    WHERE mail_due_at IS NOT NULL
    """,
    "CREATE INDEX ix_membership_members ON organizations.membership (org_id, joined_at, user_id)",
)


def upgrade() -> None:
    for statement in (INVITATION, *INDEXES):
        op.execute(statement)
    create_idempotency_keys_v1(op, "organizations")


def downgrade() -> None:
    op.execute("DROP INDEX organizations.ix_membership_members")
    op.execute("DROP TABLE organizations.invitation, organizations.idempotency_keys")

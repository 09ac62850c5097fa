"""Makes the tables of organizations, roles and memberships, with the four roles."""

from __future__ import annotations

from alembic import op

from meshkit.migrations import create_outbox_v1

revision = "2026_11_20_0900"
down_revision = None
branch_labels = None
depends_on = None

ORGANIZATION = """
CREATE TABLE organizations.organization (
    id uuid NOT NULL,
    name text NOT NULL,
    kind text NOT NULL,
    personal_user_id uuid,
    created_at timestamptz NOT NULL,
    CONSTRAINT pk_organization PRIMARY KEY (id),
    CONSTRAINT uq_organization_personal_user_id UNIQUE (personal_user_id),
    CONSTRAINT ck_organization_kind_known CHECK (kind IN ('personal', 'team')),
    CONSTRAINT ck_organization_personal_has_user
        CHECK ((kind = 'personal') = (personal_user_id IS NOT NULL))
)
"""

ROLE = """
CREATE TABLE organizations.role (
    name text NOT NULL,
    rank bigint NOT NULL,
    CONSTRAINT pk_role PRIMARY KEY (name),
    CONSTRAINT uq_role_rank UNIQUE (rank)
)
"""

ROLES = """
INSERT INTO organizations.role (name, rank)
VALUES ('owner', 10), ('admin', 20), ('member', 30), ('viewer', 40)
"""

MEMBERSHIP = """
CREATE TABLE organizations.membership (
    org_id uuid NOT NULL,
    user_id uuid NOT NULL,
    role text NOT NULL,
    joined_at timestamptz NOT NULL,
    CONSTRAINT pk_membership PRIMARY KEY (org_id, user_id),
    CONSTRAINT fk_membership_org_id FOREIGN KEY (org_id)
        REFERENCES organizations.organization (id),
    CONSTRAINT fk_membership_role FOREIGN KEY (role) REFERENCES organizations.role (name)
)
"""

INDEX = """
CREATE INDEX ix_membership_user_id ON organizations.membership (user_id, joined_at, org_id)
"""


def upgrade() -> None:
    for statement in (ORGANIZATION, ROLE, ROLES, MEMBERSHIP, INDEX):
        op.execute(statement)
    create_outbox_v1(op, "organizations")


def downgrade() -> None:
    op.execute("DROP TABLE organizations.outbox, organizations.membership, organizations.role")
    op.execute("DROP TABLE organizations.organization")

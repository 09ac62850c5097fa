"""Tables of the organizations schema; only `store.py` and the migrations know them."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from meshkit.idempotency import IdempotencyKeyMixin
from meshkit.outbox import OutboxMixin
from meshkit.postgres import metadata_for, type_annotation_map

SCHEMA = "organizations"


class Base(DeclarativeBase):
    """Declarative base of the organizations schema."""

    metadata = metadata_for(SCHEMA)
    type_annotation_map = type_annotation_map


class OrganizationRow(Base):
    """Something that owns credits and data; `personal_user_id` is set for personal ones."""

    __tablename__ = "organization"
    __table_args__ = (
        UniqueConstraint("personal_user_id"),
        CheckConstraint("kind IN ('personal', 'team')", name="kind_known"),
        CheckConstraint(
            "(kind = 'personal') = (personal_user_id IS NOT NULL)", name="personal_has_user"
        ),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    kind: Mapped[str]
    personal_user_id: Mapped[uuid.UUID | None]
    created_at: Mapped[datetime]


class RoleRow(Base):
    """A role that members may have; a lower rank may do more."""

    __tablename__ = "role"
    __table_args__ = (UniqueConstraint("rank"),)

    name: Mapped[str] = mapped_column(primary_key=True)
    rank: Mapped[int]


class MembershipRow(Base):
    """One user's part in one organization."""

    __tablename__ = "membership"
    __table_args__ = (
        Index("ix_membership_user_id", "user_id", "joined_at", "org_id"),
        Index("ix_membership_members", "org_id", "joined_at", "user_id"),
    )

    org_id: Mapped[uuid.UUID] = mapped_column(ForeignKey(OrganizationRow.id), primary_key=True)
    user_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    role: Mapped[str] = mapped_column(ForeignKey(RoleRow.name))
    joined_at: Mapped[datetime]


class InvitationRow(Base):
    """An offer of membership to an address; of its token only the hash is here."""

    __tablename__ = "invitation"
    __table_args__ = (
        UniqueConstraint("token_hash"),
        CheckConstraint(
            "state IN ('pending', 'accepted', 'declined', 'revoked', 'expired')",
            name="state_known",
        ),
        CheckConstraint(
            "(state = 'accepted') = (accepted_by IS NOT NULL)", name="accepted_by_somebody"
        ),
        Index("ix_invitation_org_id", "org_id", "created_at", "id"),
        Index(
            "uq_invitation_open_email",
            "org_id",
            "email",
            unique=True,
            postgresql_where=text("state = 'pending'"),
        ),
        Index(
            "ix_invitation_mail_due_at",
            "mail_due_at",
            postgresql_where=text("mail_due_at IS NOT NULL"),
        ),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    org_id: Mapped[uuid.UUID] = mapped_column(ForeignKey(OrganizationRow.id))
    email: Mapped[str]
    role: Mapped[str] = mapped_column(ForeignKey(RoleRow.name))
    state: Mapped[str]
    generation: Mapped[int]
    token_hash: Mapped[bytes]
    invited_by: Mapped[uuid.UUID]
    accepted_by: Mapped[uuid.UUID | None]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    mail_asked_at: Mapped[datetime]
    mail_due_at: Mapped[datetime | None]
    mail_attempts: Mapped[int]


class IdempotencyKeyRow(IdempotencyKeyMixin, Base):
    """Answered calls by idempotency key."""


class OutboxEvent(OutboxMixin, Base):
    """Events that the bus has not acknowledged."""

"""Tables of the identity schema; only `store.py` and the migrations know them."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from meshkit.idempotency import IdempotencyKeyMixin
from meshkit.outbox import OutboxMixin
from meshkit.postgres import metadata_for, type_annotation_map

SCHEMA = "identity"


class Base(DeclarativeBase):
    """Declarative base of the identity schema."""

    metadata = metadata_for(SCHEMA)
    type_annotation_map = type_annotation_map


class UserRow(Base):
    """One person; `email_key` is the address as it is compared."""

    __tablename__ = "account"
    __table_args__ = (UniqueConstraint("email_key"), UniqueConstraint("personal_org_id"))

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    email: Mapped[str]
    email_key: Mapped[str]
    display_name: Mapped[str]
    personal_org_id: Mapped[uuid.UUID]
    created_at: Mapped[datetime]
    disabled_at: Mapped[datetime | None]


class PasswordRow(Base):
    """A user's password, hashed; users who sign in by other means have none."""

    __tablename__ = "password"

    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey(UserRow.id), primary_key=True)
    hash: Mapped[str]
    changed_at: Mapped[datetime]


class SessionRow(Base):
    """A signed-in device; of its refresh tokens only digests are kept."""

    __tablename__ = "session"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey(UserRow.id), index=True)
    org_id: Mapped[uuid.UUID]
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    revoked_at: Mapped[datetime | None]
    revoked_because: Mapped[str | None]
    counter: Mapped[int]
    token_digest: Mapped[bytes]
    previous_digest: Mapped[bytes | None]
    nonce: Mapped[bytes | None]
    rotated_at: Mapped[datetime | None]
    tag_key: Mapped[bytes]


class AttemptRow(Base):
    """How often somebody or some network has tried lately."""

    __tablename__ = "attempt"

    subject: Mapped[str] = mapped_column(primary_key=True)
    attempts: Mapped[int] = mapped_column(server_default="0")
    last_at: Mapped[datetime | None] = mapped_column(index=True)
    blocked_until: Mapped[datetime | None]


class IdempotencyKey(IdempotencyKeyMixin, Base):
    """Answered sign-ups; they hold no password, no digest of one and no token."""


class OutboxEvent(OutboxMixin, Base):
    """Events that the bus has not acknowledged."""

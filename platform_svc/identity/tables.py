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
    email_verified_at: Mapped[datetime | None]
    two_step_since: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]


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
    user_agent: Mapped[str] = mapped_column(server_default="")
    network: Mapped[str] = mapped_column(server_default="")


class CodeRow(Base):
    """A one-time code that was handed out and not used; only its digest is kept."""

    __tablename__ = "one_time_code"
    __table_args__ = (UniqueConstraint("digest"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey(UserRow.id), index=True)
    purpose: Mapped[str]
    digest: Mapped[bytes]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class TotpRow(Base):
    """A user's authenticator, encrypted; until it is confirmed the recovery codes are in it."""

    __tablename__ = "totp"

    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey(UserRow.id), primary_key=True)
    sealed: Mapped[bytes]
    created_at: Mapped[datetime]
    confirmed_at: Mapped[datetime | None]
    last_step: Mapped[int | None]


class RecoveryCodeRow(Base):
    """A recovery code that was not used; only its digest is kept."""

    __tablename__ = "recovery_code"

    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey(UserRow.id), primary_key=True)
    digest: Mapped[bytes] = mapped_column(primary_key=True)


class ErrandRow(Base):
    """A mail that is owed to somebody; it holds no secret."""

    __tablename__ = "errand"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    kind: Mapped[str]
    user_id: Mapped[uuid.UUID | None]
    address: Mapped[str | None]
    display_name: Mapped[str | None]
    attempts: Mapped[int]
    next_attempt_at: Mapped[datetime] = mapped_column(index=True)
    created_at: Mapped[datetime]


class AttemptRow(Base):
    """How often somebody or some network has tried lately."""

    __tablename__ = "attempt"

    subject: Mapped[str] = mapped_column(primary_key=True)
    attempts: Mapped[int] = mapped_column(server_default="0")
    last_at: Mapped[datetime | None] = mapped_column(index=True)
    blocked_until: Mapped[datetime | None]


class IdempotencyKey(IdempotencyKeyMixin, Base):
    """Answered calls; they hold no password, no digest of one and no token."""


class OutboxEvent(OutboxMixin, Base):
    """Events that the bus has not acknowledged."""

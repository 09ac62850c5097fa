"""Tables of the access schema; only `store.py` and the migrations know them."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import Index, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from meshkit.idempotency import IdempotencyKeyMixin
from meshkit.outbox import OutboxMixin
from meshkit.postgres import metadata_for, type_annotation_map

SCHEMA = "access"


class Base(DeclarativeBase):
    """Declarative base of the access schema."""

    metadata = metadata_for(SCHEMA)
    type_annotation_map = type_annotation_map


class ApiKeyRow(Base):
    """A key; of its text only a keyed hash and the first characters are here."""

    __tablename__ = "api_key"
    __table_args__ = (
        UniqueConstraint("key_hash"),
        Index("ix_api_key_org_id", "org_id", "created_at", "id"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    org_id: Mapped[uuid.UUID]
    name: Mapped[str]
    prefix: Mapped[str]
    key_hash: Mapped[bytes]
    scopes: Mapped[list[str]]
    created_by: Mapped[uuid.UUID]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class IdempotencyKeyRow(IdempotencyKeyMixin, Base):
    """Answered calls by idempotency key."""


class OutboxEvent(OutboxMixin, Base):
    """Events that the bus has not acknowledged."""

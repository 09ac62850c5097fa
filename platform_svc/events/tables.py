"""Tables of the events schema; only `store.py`, the invariants and the migrations know them."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from meshkit.outbox import OutboxMixin
from meshkit.postgres import metadata_for, type_annotation_map

SCHEMA = "events"


class Base(DeclarativeBase):
    """Declarative base of the events schema."""

    metadata = metadata_for(SCHEMA)
    type_annotation_map = type_annotation_map


class OutboxEvent(OutboxMixin, Base):
    """Batches that are not yet published."""


class MessageRow(Base):
    """A message id that was taken; its like is a duplicate while the row is there."""

    __tablename__ = "message"

    org_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    message_id: Mapped[str] = mapped_column(primary_key=True)
    seen_at: Mapped[datetime] = mapped_column(index=True)


class FailedEventRow(Base):
    """An event that was not taken, with the reason."""

    __tablename__ = "failed_event"
    __table_args__ = (
        Index("ix_failed_event_listing", "org_id", "received_at", "id"),
        Index("ix_failed_event_received_at", "received_at"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    org_id: Mapped[uuid.UUID]
    user_id: Mapped[uuid.UUID]
    message_id: Mapped[str]
    name: Mapped[str]
    reason: Mapped[str]
    message: Mapped[str]
    properties: Mapped[dict[str, Any]]
    received_at: Mapped[datetime]

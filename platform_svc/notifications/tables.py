"""Tables of the notifications schema; only `store.py` and the migrations know them."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, UniqueConstraint, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from meshkit.idempotency import IdempotencyKeyMixin
from meshkit.inbox import InboxMixin
from meshkit.outbox import OutboxMixin
from meshkit.postgres import metadata_for, type_annotation_map

SCHEMA = "notifications"


class Base(DeclarativeBase):
    """Declarative base of the notifications schema."""

    metadata = metadata_for(SCHEMA)
    type_annotation_map = type_annotation_map


class MailRow(Base):
    """One mail; its parameters, which may be secret, are there only while it is queued."""

    __tablename__ = "mail"
    __table_args__ = (
        UniqueConstraint("idempotency_key"),
        CheckConstraint("state IN ('queued', 'sent', 'failed')", name="state_known"),
        CheckConstraint("(state = 'queued') = (parameters IS NOT NULL)", name="secrets_wiped"),
        CheckConstraint("(state = 'queued') = (finished_at IS NULL)", name="finished"),
        Index("ix_mail_due", "next_attempt_at", postgresql_where=text("state = 'queued'")),
        Index("ix_mail_finished_at", "finished_at"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    idempotency_key: Mapped[str]
    fingerprint: Mapped[bytes]
    template: Mapped[str]
    recipient: Mapped[str]
    # SQL's NULL, not JSON's, is what "wiped" means.
    parameters: Mapped[dict[str, Any] | None]
    state: Mapped[str]
    attempts: Mapped[int]
    next_attempt_at: Mapped[datetime]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    last_failure: Mapped[str | None]


class NotificationRow(Base):
    """One thing shown to one user; positions are given under a lock of the user."""

    __tablename__ = "notification"
    __table_args__ = (
        UniqueConstraint("id"),
        Index("ix_notification_user_id", "user_id", "position"),
        Index(
            "ix_notification_unread",
            "user_id",
            "position",
            postgresql_where=text("read_at IS NULL"),
        ),
        Index("ix_notification_created_at", "created_at"),
    )

    position: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    id: Mapped[uuid.UUID]
    user_id: Mapped[uuid.UUID]
    org_id: Mapped[uuid.UUID]
    type: Mapped[str]
    subject_id: Mapped[str]
    title: Mapped[str]
    occurred_at: Mapped[datetime]
    created_at: Mapped[datetime]
    read_at: Mapped[datetime | None]


class EndpointRow(Base):
    """An address that webhooks go to; it is enabled while there is no reason against it."""

    __tablename__ = "webhook_endpoint"
    __table_args__ = (
        CheckConstraint("disabled IN ('by_user', 'gone', 'failing')", name="reason_known"),
        Index("ix_webhook_endpoint_org_id", "org_id", "created_at", "id"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    org_id: Mapped[uuid.UUID]
    url: Mapped[str]
    description: Mapped[str]
    event_types: Mapped[list[str]]
    created_by: Mapped[uuid.UUID]
    created_at: Mapped[datetime]
    disabled: Mapped[str | None]
    failing_since: Mapped[datetime | None]


class SecretRow(Base):
    """A signing secret, encrypted; the newest of an endpoint has no end."""

    __tablename__ = "webhook_secret"
    __table_args__ = (
        Index("ix_webhook_secret_endpoint_id", "endpoint_id", "created_at"),
        Index(
            "uq_webhook_secret_newest",
            "endpoint_id",
            unique=True,
            postgresql_where=text("expires_at IS NULL"),
        ),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    endpoint_id: Mapped[uuid.UUID] = mapped_column(ForeignKey(EndpointRow.id, ondelete="CASCADE"))
    sealed: Mapped[bytes]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]


class MessageRow(Base):
    """What is told, once for all endpoints of the organization."""

    __tablename__ = "webhook_message"
    __table_args__ = (Index("ix_webhook_message_created_at", "created_at"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    org_id: Mapped[uuid.UUID]
    type: Mapped[str]
    payload: Mapped[str]
    created_at: Mapped[datetime]


class DeliveryRow(Base):
    """A message on its way to an endpoint."""

    __tablename__ = "webhook_delivery"
    __table_args__ = (
        CheckConstraint(
            "state IN ('pending', 'succeeded', 'failed', 'canceled')", name="state_known"
        ),
        CheckConstraint("(state = 'pending') = (finished_at IS NULL)", name="finished"),
        Index("ix_webhook_delivery_endpoint_id", "endpoint_id", "created_at", "id"),
        Index("ix_webhook_delivery_message_id", "message_id"),
        Index(
            "ix_webhook_delivery_due",
            "endpoint_id",
            "next_attempt_at",
            postgresql_where=text("state = 'pending'"),
        ),
        Index(
            "uq_webhook_delivery_first",
            "endpoint_id",
            "message_id",
            unique=True,
            postgresql_where=text("NOT is_replay"),
        ),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    endpoint_id: Mapped[uuid.UUID] = mapped_column(ForeignKey(EndpointRow.id, ondelete="CASCADE"))
    message_id: Mapped[uuid.UUID] = mapped_column(ForeignKey(MessageRow.id, ondelete="CASCADE"))
    state: Mapped[str]
    attempts: Mapped[int]
    next_attempt_at: Mapped[datetime]
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    is_replay: Mapped[bool]


class AttemptRow(Base):
    """One try of a delivery, and the beginning of what came back."""

    __tablename__ = "webhook_attempt"

    delivery_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey(DeliveryRow.id, ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(primary_key=True)
    started_at: Mapped[datetime]
    duration_ms: Mapped[int]
    status: Mapped[int]
    failure: Mapped[str]
    response: Mapped[str]


class IdempotencyKeyRow(IdempotencyKeyMixin, Base):
    """Answered calls by idempotency key; they hold no secret."""


class InboxEvent(InboxMixin, Base):
    """Events that were handled."""


class OutboxEvent(OutboxMixin, Base):
    """Events that the bus has not acknowledged."""

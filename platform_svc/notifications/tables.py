"""Tables of the notifications schema; only `store.py` and the migrations know them."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

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

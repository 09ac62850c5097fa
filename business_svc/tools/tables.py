"""Tables of the tools schema; only `store.py` and `invariants.py` import them."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, Integer
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from meshkit.idempotency import IdempotencyKeyMixin
from meshkit.outbox import OutboxMixin
from meshkit.postgres import metadata_for, type_annotation_map

SCHEMA = "tools"


class Base(DeclarativeBase):
    """Declarative base of the tools schema."""

    metadata = metadata_for(SCHEMA)
    type_annotation_map = type_annotation_map


class IdempotencyKey(IdempotencyKeyMixin, Base):
    """Keys of RunTool calls and the runs that they made."""


class OutboxEvent(OutboxMixin, Base):
    """Events of runs that are not yet published."""


class RunRow(Base):
    """One run: what was asked for, how it stands and when to look at it again."""

    __tablename__ = "runs"
    __table_args__ = (
        CheckConstraint("(phase = 'settled') = (finished_at IS NOT NULL)", "settled_is_finished"),
        CheckConstraint(
            "(phase = 'settled') = (state NOT IN ('queued', 'running'))", "settled_is_final"
        ),
        CheckConstraint("(phase = 'settled') = (due_at IS NULL)", "settled_is_not_due"),
        CheckConstraint("phase <> 'settled' OR held_credits = 0", "settled_holds_nothing"),
        CheckConstraint(
            "charged_credits = 0 OR (state = 'succeeded' AND charged_credits > 0)",
            "only_success_is_charged",
        ),
        Index("ix_runs_listing", "organization_id", "created_at", "id"),
        Index("ix_runs_due", "due_at", postgresql_where="due_at IS NOT NULL"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    organization_id: Mapped[uuid.UUID]
    user_id: Mapped[uuid.UUID]
    idempotency_key: Mapped[str | None]

    tool: Mapped[str]
    tool_version: Mapped[str]
    model: Mapped[str]
    task: Mapped[str]
    inputs: Mapped[dict[str, Any]]
    image_input: Mapped[str | None]
    image_key: Mapped[str | None]
    count: Mapped[int] = mapped_column(Integer)
    unit_credits: Mapped[int] = mapped_column(Integer)
    band: Mapped[int] = mapped_column(Integer, server_default="0")

    phase: Mapped[str]
    state: Mapped[str]
    verdict: Mapped[str | None]
    cancel_requested: Mapped[bool]
    job_id: Mapped[uuid.UUID | None]
    progress: Mapped[dict[str, Any]]
    outputs: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    error_reason: Mapped[str | None]
    error_message: Mapped[str | None]
    held_credits: Mapped[int] = mapped_column(Integer)
    charged_credits: Mapped[int] = mapped_column(Integer)

    created_at: Mapped[datetime]
    start_deadline: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    due_at: Mapped[datetime | None]
    tries: Mapped[int] = mapped_column(Integer)

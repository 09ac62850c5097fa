"""Tables of the assets schema; only `store.py` and the migrations know them."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, Index
from sqlalchemy import text as sql
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from meshkit.idempotency import IdempotencyKeyMixin
from meshkit.postgres import metadata_for, type_annotation_map

SCHEMA = "assets"


class Base(DeclarativeBase):
    """Declarative base of the assets schema."""

    metadata = metadata_for(SCHEMA)
    type_annotation_map = type_annotation_map


class AssetRow(Base):
    """One asset; deleted ones stay for a while, so that deleting again is harmless.

    `bytes_removed_at` says that a deleted or rejected asset has no object left and can get none.
    """

    __tablename__ = "asset"
    __table_args__ = (
        CheckConstraint("size_bytes > 0", name="size_positive"),
        CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'", name="sha256_hexadecimal"),
        CheckConstraint("state IN ('pending', 'ready', 'rejected', 'deleted')", name="state_known"),
        CheckConstraint(
            "state <> 'ready' OR (width > 0 AND height > 0)", name="ready_has_dimensions"
        ),
        CheckConstraint("(state = 'rejected') <= (flaw IS NOT NULL)", name="rejected_has_flaw"),
        Index(
            "ix_asset_listed",
            "org_id",
            "created_at",
            "id",
            postgresql_where=sql("state IN ('pending', 'ready')"),
        ),
        Index("ix_asset_pending", "upload_ends_at", postgresql_where=sql("state = 'pending'")),
        Index(
            "ix_asset_removable",
            "changed_at",
            postgresql_where=sql("state IN ('deleted', 'rejected') AND bytes_removed_at IS NULL"),
        ),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    org_id: Mapped[uuid.UUID]
    filename: Mapped[str]
    content_type: Mapped[str]
    size_bytes: Mapped[int]
    sha256: Mapped[str]
    state: Mapped[str]
    flaw: Mapped[str | None]
    width: Mapped[int | None]
    height: Mapped[int | None]
    run_id: Mapped[uuid.UUID | None]
    created_at: Mapped[datetime]
    changed_at: Mapped[datetime]
    upload_ends_at: Mapped[datetime | None]
    bytes_removed_at: Mapped[datetime | None]


class IdempotencyKeyRow(IdempotencyKeyMixin, Base):
    """Answered calls by idempotency key."""

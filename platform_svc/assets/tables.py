"""Tables of the assets schema; only `store.py` and the migrations know them."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index
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
        CheckConstraint(
            "state IN ('pending', 'ready', 'rejected', 'trashed', 'lost', 'deleted')",
            name="state_known",
        ),
        CheckConstraint(
            "state <> 'ready' OR (width > 0 AND height > 0)", name="ready_has_dimensions"
        ),
        CheckConstraint("(state = 'rejected') <= (flaw IS NOT NULL)", name="rejected_has_flaw"),
        CheckConstraint(
            "(state = 'trashed') = (trashed_at IS NOT NULL AND purge_at IS NOT NULL)",
            name="trashed_has_times",
        ),
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
        Index(
            "ix_asset_trash",
            "org_id",
            "trashed_at",
            "id",
            postgresql_where=sql("state = 'trashed'"),
        ),
        Index(
            "ix_asset_stored",
            "org_id",
            "id",
            postgresql_where=sql("state IN ('ready', 'trashed', 'lost')"),
        ),
        Index("ix_asset_purge", "purge_at", postgresql_where=sql("state = 'trashed'")),
        Index(
            "ix_asset_without_previews",
            "id",
            postgresql_where=sql("state = 'ready' AND previewed_at IS NULL"),
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
    part_bytes: Mapped[int | None]
    upload_id: Mapped[str | None]
    duration_ms: Mapped[int | None]
    trashed_at: Mapped[datetime | None]
    purge_at: Mapped[datetime | None]
    previewed_at: Mapped[datetime | None]


class UsageRow(Base):
    """What one organization stores: the sums over its assets, and its own bounds if it has any."""

    __tablename__ = "usage"
    __table_args__ = (
        CheckConstraint(
            "reserved_bytes >= 0 AND ready_bytes >= 0 AND trashed_bytes >= 0 AND assets_count >= 0",
            name="nothing_negative",
        ),
        CheckConstraint("bytes_max >= 0 AND assets_max >= 0", name="bounds_not_negative"),
    )

    org_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    reserved_bytes: Mapped[int] = mapped_column(server_default="0")
    ready_bytes: Mapped[int] = mapped_column(server_default="0")
    trashed_bytes: Mapped[int] = mapped_column(server_default="0")
    assets_count: Mapped[int] = mapped_column(server_default="0")
    bytes_max: Mapped[int | None]
    assets_max: Mapped[int | None]


class PreviewRow(Base):
    """One preview of an asset that the store has."""

    __tablename__ = "preview"

    asset_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey(AssetRow.id, ondelete="CASCADE"), primary_key=True
    )
    kind: Mapped[str] = mapped_column(primary_key=True)
    width: Mapped[int]
    height: Mapped[int]
    size_bytes: Mapped[int]


class ShareLinkRow(Base):
    """One share link. Its token is derived from the id and a pepper, and stored nowhere."""

    __tablename__ = "share_link"
    __table_args__ = (
        CheckConstraint(
            "downloads_count >= 0 AND downloads_count <= coalesce(downloads_max, downloads_count)",
            name="downloads_bounded",
        ),
        Index("ix_share_link_asset_id", "asset_id", "created_at"),
        Index("ix_share_link_expires_at", "expires_at"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    org_id: Mapped[uuid.UUID]
    asset_id: Mapped[uuid.UUID] = mapped_column(ForeignKey(AssetRow.id, ondelete="CASCADE"))
    created_by: Mapped[uuid.UUID]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    downloads_max: Mapped[int | None]
    downloads_count: Mapped[int]
    revoked_at: Mapped[datetime | None]


class OrphanRow(Base):
    """An object without a row, or the key of a row without an object, since when it was seen."""

    __tablename__ = "orphan"
    __table_args__ = (CheckConstraint("kind IN ('object', 'asset', 'preview')", name="kind_known"),)

    key: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    asset_id: Mapped[uuid.UUID | None]
    size_bytes: Mapped[int]
    found_at: Mapped[datetime]
    seen_at: Mapped[datetime]


class IdempotencyKeyRow(IdempotencyKeyMixin, Base):
    """Answered calls by idempotency key."""

"""Tables of the audit schema; only `store.py` and the migrations know them."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from meshkit.postgres import metadata_for, type_annotation_map

SCHEMA = "audit"


class Base(DeclarativeBase):
    """Declarative base of the audit schema."""

    metadata = metadata_for(SCHEMA)
    type_annotation_map = type_annotation_map


class ChainRow(Base):
    """Where an organization's log ends; its row lock orders what is appended.

    `kept` is the length up to which heads are known outside of the database.
    """

    __tablename__ = "chain"
    __table_args__ = (Index("ix_chain_grown", "org_id", postgresql_where=text("length > kept")),)

    org_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    length: Mapped[int]
    hash: Mapped[bytes]
    kept: Mapped[int]


class EntryRow(Base):
    """One change; a trigger refuses to update, delete or truncate."""

    __tablename__ = "entry"
    __table_args__ = (
        UniqueConstraint("id"),
        CheckConstraint("actor_kind IN ('user', 'service', 'system')", name="actor_known"),
        CheckConstraint("octet_length(hash) = 32", name="hash_length"),
        Index("ix_entry_action", "org_id", "action", "position"),
        Index("ix_entry_actor", "org_id", "actor_id", "position"),
        Index("ix_entry_targets", "target_ids", postgresql_using="gin"),
    )

    org_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[uuid.UUID]
    action: Mapped[str]
    actor_kind: Mapped[str]
    actor_id: Mapped[str]
    api_key_id: Mapped[str]
    target_ids: Mapped[list[str]]
    details: Mapped[dict[str, Any]]
    request_id: Mapped[str]
    network: Mapped[str]
    occurred_at: Mapped[datetime]
    recorded_at: Mapped[datetime]
    previous_hash: Mapped[bytes]
    hash: Mapped[bytes]

"""Tables of the etl schema; only `store.py` and the migrations know them."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, String, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from meshkit.postgres import metadata_for, type_annotation_map

SCHEMA = "etl"


class Base(DeclarativeBase):
    """Declarative base of the etl schema."""

    metadata = metadata_for(SCHEMA)
    type_annotation_map = type_annotation_map


class RunRow(Base):
    """One run of the loader; at most one waits."""

    __tablename__ = "run"
    __table_args__ = (
        CheckConstraint(
            "state IN ('waiting', 'running', 'succeeded', 'failed')", name="state_known"
        ),
        CheckConstraint("(state = 'waiting') = (started_at IS NULL)", name="started"),
        CheckConstraint(
            "(state IN ('waiting', 'running')) = (finished_at IS NULL)", name="finished"
        ),
        CheckConstraint("(state = 'failed') = (failure <> '')", name="failed_for_a_reason"),
        Index("uq_run_waiting", "state", unique=True, postgresql_where=text("state = 'waiting'")),
        Index("ix_run_listing", "asked_at", "id"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    state: Mapped[str]
    asked_by: Mapped[str]
    asked_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    failure: Mapped[str]
    counts: Mapped[dict[str, Any]]
    offenders: Mapped[dict[str, Any]]


class PublicationRow(Base):
    """What the newest run made for readers, by name."""

    __tablename__ = "publication"

    name: Mapped[str] = mapped_column(primary_key=True)
    run_id: Mapped[uuid.UUID]
    made_at: Mapped[datetime]
    content: Mapped[dict[str, Any]]


class IcebergTableRow(Base):
    """Where each table of the lake is; written by PyIceberg alone, whose columns these are."""

    __tablename__ = "iceberg_tables"

    catalog_name: Mapped[str] = mapped_column(String(255), primary_key=True)
    table_namespace: Mapped[str] = mapped_column(String(255), primary_key=True)
    table_name: Mapped[str] = mapped_column(String(255), primary_key=True)
    metadata_location: Mapped[str | None] = mapped_column(String(1000))
    previous_metadata_location: Mapped[str | None] = mapped_column(String(1000))
    iceberg_type: Mapped[str | None] = mapped_column(String(5))


class IcebergNamespaceRow(Base):
    """Which namespaces the lake has; written by PyIceberg alone."""

    __tablename__ = "iceberg_namespace_properties"

    catalog_name: Mapped[str] = mapped_column(String(255), primary_key=True)
    namespace: Mapped[str] = mapped_column(String(255), primary_key=True)
    property_key: Mapped[str] = mapped_column(String(255), primary_key=True)
    property_value: Mapped[str] = mapped_column(String(1000))

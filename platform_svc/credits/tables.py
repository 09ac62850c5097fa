"""Tables of the credits schema; only `store.py`, the invariants and the migrations know them.

Balances are caches of the double-entry ledger and are moved by the server-side functions alone.
"""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint
from sqlalchemy import text as sql
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from meshkit.postgres import metadata_for, type_annotation_map

SCHEMA = "credits"
# Rows that are updated in place leave room on their page, so that updates touch no index.
HOT_UPDATES = {"postgresql_with": {"fillfactor": "50"}}


class Base(DeclarativeBase):
    """Declarative base of the credits schema."""

    metadata = metadata_for(SCHEMA)
    type_annotation_map = type_annotation_map


class AccountRow(Base):
    """What an organization owns in one unit; its row lock orders everything that moves it."""

    __tablename__ = "account"
    __table_args__ = (
        CheckConstraint("held >= 0", name="held_not_negative"),
        CheckConstraint("posted - held >= 0", name="available_not_negative"),
        CheckConstraint("posted <= 2000000000", name="posted_bounded"),
        HOT_UPDATES,
    )

    org_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    unit: Mapped[str] = mapped_column(primary_key=True)
    posted: Mapped[int] = mapped_column(server_default="0")
    held: Mapped[int] = mapped_column(server_default="0")
    seq: Mapped[int] = mapped_column(server_default="0")
    head_hash: Mapped[bytes] = mapped_column(server_default=sql(r"'\x'::bytea"))
    created_at: Mapped[datetime]


class GrantRow(Base):
    """Credits given once; `remaining` is what was not captured yet, `held` the part in holds."""

    __tablename__ = "credit_grant"
    __table_args__ = (
        ForeignKeyConstraint(["org_id", "unit"], [AccountRow.org_id, AccountRow.unit]),
        UniqueConstraint("idempotency_key"),
        CheckConstraint("amount > 0", name="amount_positive"),
        CheckConstraint("held >= 0 AND held <= remaining", name="held_within_remaining"),
        CheckConstraint("remaining <= amount", name="remaining_within_amount"),
        Index(
            "ix_credit_grant_burn_order",
            "org_id",
            "unit",
            "priority",
            "expires_at",
            "id",
            postgresql_where=sql("remaining > 0"),
        ),
        Index("ix_credit_grant_due", "expires_at", postgresql_where=sql("remaining > held")),
        HOT_UPDATES,
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    org_id: Mapped[uuid.UUID]
    unit: Mapped[str]
    kind: Mapped[str]
    priority: Mapped[int]
    effective_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    amount: Mapped[int]
    remaining: Mapped[int]
    held: Mapped[int] = mapped_column(server_default="0")
    idempotency_key: Mapped[str]
    note: Mapped[str] = mapped_column(server_default="")
    created_at: Mapped[datetime]


class HoldRow(Base):
    """Credits set aside under the caller's id; ends once."""

    __tablename__ = "hold"
    __table_args__ = (
        ForeignKeyConstraint(["org_id", "unit"], [AccountRow.org_id, AccountRow.unit]),
        CheckConstraint("amount > 0", name="amount_positive"),
        CheckConstraint("captured >= 0 AND captured <= amount", name="captured_within_amount"),
        CheckConstraint(
            "state IN ('pending', 'captured', 'released', 'expired')", name="state_known"
        ),
        CheckConstraint("(state = 'pending') = (closed_at IS NULL)", name="closed_when_ended"),
        CheckConstraint("(state = 'captured') = (captured > 0)", name="captured_when_charged"),
        Index(
            "ix_hold_pending",
            "org_id",
            "unit",
            "expires_at",
            postgresql_where=sql("state = 'pending'"),
        ),
        Index("ix_hold_due", "expires_at", postgresql_where=sql("state = 'pending'")),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    org_id: Mapped[uuid.UUID]
    unit: Mapped[str]
    amount: Mapped[int]
    captured: Mapped[int] = mapped_column(server_default="0")
    state: Mapped[str] = mapped_column(server_default="pending")
    expires_at: Mapped[datetime]
    created_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]


class HoldAllocationRow(Base):
    """Which grants a hold draws on, and how much of each was charged in the end."""

    __tablename__ = "hold_allocation"
    __table_args__ = (
        CheckConstraint("amount > 0", name="amount_positive"),
        CheckConstraint("captured >= 0 AND captured <= amount", name="captured_within_amount"),
        Index("ix_hold_allocation_grant_id", "grant_id"),
    )

    hold_id: Mapped[str] = mapped_column(ForeignKey(HoldRow.id), primary_key=True)
    grant_id: Mapped[uuid.UUID] = mapped_column(ForeignKey(GrantRow.id), primary_key=True)
    amount: Mapped[int]
    captured: Mapped[int] = mapped_column(server_default="0")


class LedgerTxRow(Base):
    """One balanced posting; append-only, and chained by hash within its account."""

    __tablename__ = "ledger_tx"
    __table_args__ = (
        ForeignKeyConstraint(["org_id", "unit"], [AccountRow.org_id, AccountRow.unit]),
        UniqueConstraint("org_id", "unit", "seq"),
        UniqueConstraint("idempotency_key"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    org_id: Mapped[uuid.UUID]
    unit: Mapped[str]
    seq: Mapped[int]
    kind: Mapped[str]
    reference: Mapped[str]
    note: Mapped[str]
    idempotency_key: Mapped[str]
    prev_hash: Mapped[bytes]
    hash: Mapped[bytes]
    at: Mapped[datetime]


class LedgerEntryRow(Base):
    """One side of a posting; those of one transaction sum to zero."""

    __tablename__ = "ledger_entry"
    __table_args__ = (
        CheckConstraint("amount <> 0", name="amount_not_zero"),
        Index("ix_ledger_entry_account", "account"),
    )

    tx_id: Mapped[uuid.UUID] = mapped_column(ForeignKey(LedgerTxRow.id), primary_key=True)
    n: Mapped[int] = mapped_column(primary_key=True)
    account: Mapped[str]
    unit: Mapped[str]
    amount: Mapped[int]

"""Tables of the billing schema; only the stores, the invariants and the migrations know them."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from meshkit.outbox import OutboxMixin
from meshkit.postgres import metadata_for, type_annotation_map

SCHEMA = "billing"


class Base(DeclarativeBase):
    """Declarative base of the billing schema."""

    metadata = metadata_for(SCHEMA)
    type_annotation_map = type_annotation_map


class OutboxEvent(OutboxMixin, Base):
    """Events of subscriptions that are not yet published."""


class CustomerRow(Base):
    """An organization that billing knows; its row lock orders all that happens to it."""

    __tablename__ = "customer"

    org_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    created_at: Mapped[datetime]


class SubscriptionRow(Base):
    """One subscription: what is paid for, what comes next and when to look at it again."""

    __tablename__ = "subscription"
    __table_args__ = (
        CheckConstraint("state IN ('incomplete', 'active', 'past_due', 'ended')", "state_known"),
        CheckConstraint("(state = 'ended') = (ended_at IS NOT NULL)", "ended_has_time"),
        CheckConstraint("(state = 'ended') = (look_at IS NULL)", "live_is_looked_at"),
        CheckConstraint("(term_start IS NULL) = (term_end IS NULL)", "term_has_both_ends"),
        CheckConstraint("term_start < term_end", "term_runs_forward"),
        CheckConstraint("state NOT IN ('active', 'past_due') OR term_end IS NOT NULL", "paid"),
        Index(
            "uq_subscription_live", "org_id", unique=True, postgresql_where=sql("state <> 'ended'")
        ),
        Index(
            "uq_subscription_provider_ref",
            "provider",
            "provider_ref",
            unique=True,
            postgresql_where=sql("provider_ref <> ''"),
        ),
        Index("ix_subscription_look", "look_at", postgresql_where=sql("look_at IS NOT NULL")),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    org_id: Mapped[uuid.UUID] = mapped_column(ForeignKey(CustomerRow.org_id))
    provider: Mapped[str]
    provider_ref: Mapped[str]
    checkout_url: Mapped[str]
    state: Mapped[str]
    plan: Mapped[str]
    version: Mapped[int]
    interval: Mapped[str]
    term_start: Mapped[datetime | None]
    term_end: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    months_paid: Mapped[int]
    credit_months: Mapped[int]
    upcoming: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    cancel_at_end: Mapped[bool]
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    look_at: Mapped[datetime | None]


class InvoiceRow(Base):
    """One invoice; only its state and what the provider says of it change."""

    __tablename__ = "invoice"
    __table_args__ = (
        UniqueConstraint("number"),
        CheckConstraint("state IN ('open', 'paid', 'void')", "state_known"),
        CheckConstraint("(state = 'paid') = (paid_at IS NOT NULL)", "paid_has_time"),
        Index(
            "uq_invoice_open",
            "subscription_id",
            "reason",
            unique=True,
            postgresql_where=sql("state = 'open' AND provider = 'manual'"),
        ),
        Index(
            "uq_invoice_renewal",
            "subscription_id",
            "term_start",
            unique=True,
            postgresql_where=sql("reason = 'renewal' AND provider = 'manual' AND state <> 'void'"),
        ),
        Index(
            "uq_invoice_provider_ref",
            "provider",
            "provider_ref",
            unique=True,
            postgresql_where=sql("provider_ref <> ''"),
        ),
        Index("ix_invoice_listing", "org_id", "issued_at", "id"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    number: Mapped[str]
    org_id: Mapped[uuid.UUID] = mapped_column(ForeignKey(CustomerRow.org_id))
    subscription_id: Mapped[uuid.UUID] = mapped_column(ForeignKey(SubscriptionRow.id))
    reason: Mapped[str]
    plan: Mapped[str]
    version: Mapped[int]
    interval: Mapped[str]
    currency: Mapped[str]
    lines: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    total_cents: Mapped[int]
    provider: Mapped[str]
    provider_ref: Mapped[str]
    provider_url: Mapped[str]
    state: Mapped[str]
    term_start: Mapped[datetime | None]
    issued_at: Mapped[datetime]
    due_at: Mapped[datetime | None]
    paid_at: Mapped[datetime | None]


class InvoiceCounterRow(Base):
    """The last number given in a year; locked by whoever takes the next, so there are no gaps."""

    __tablename__ = "invoice_counter"

    year: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    last: Mapped[int]


class CreditOrderRow(Base):
    """Credits that credits has to book, and whether it has."""

    __tablename__ = "credit_order"
    __table_args__ = (
        UniqueConstraint("key"),
        CheckConstraint("amount > 0", "amount_positive"),
        CheckConstraint("state IN ('due', 'given', 'refused')", "state_known"),
        CheckConstraint("(state = 'due') = (due_at IS NOT NULL)", "due_has_time"),
        Index("ix_credit_order_due", "due_at", postgresql_where=sql("state = 'due'")),
        Index("ix_credit_order_subscription_id", "subscription_id"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    org_id: Mapped[uuid.UUID]
    subscription_id: Mapped[uuid.UUID] = mapped_column(ForeignKey(SubscriptionRow.id))
    key: Mapped[str]
    amount: Mapped[int]
    expires_at: Mapped[datetime]
    note: Mapped[str]
    state: Mapped[str]
    attempts: Mapped[int]
    due_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


class ProviderEventRow(Base):
    """A hint of a provider's that something changed; its id is taken once."""

    __tablename__ = "provider_event"
    __table_args__ = (
        CheckConstraint("(state = 'due') = (due_at IS NOT NULL)", "due_has_time"),
        Index("ix_provider_event_due", "due_at", postgresql_where=sql("state = 'due'")),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    object_ref: Mapped[str]
    state: Mapped[str]
    attempts: Mapped[int]
    due_at: Mapped[datetime | None]
    received_at: Mapped[datetime]

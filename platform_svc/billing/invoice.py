"""Invoices: what is to be paid and why, as frozen values."""

from __future__ import annotations

import enum
import uuid
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from platform_svc.billing.catalogue import Catalogue, Interval, Offer
from platform_svc.billing.subscription import Subscription, Term

UNITS = {Interval.MONTH: "one month", Interval.YEAR: "one year"}


class InvoiceState(enum.StrEnum):
    """An invoice is open until it is paid or void."""

    OPEN = "open"
    PAID = "paid"
    VOID = "void"


class Reason(enum.StrEnum):
    """What an invoice is for."""

    START = "start"
    RENEWAL = "renewal"
    UPGRADE = "upgrade"


@dataclass(frozen=True, slots=True)
class Line:
    """One thing to pay for; what is given back is negative."""

    description: str
    amount_cents: int


@dataclass(frozen=True, slots=True)
class Invoice:
    """What an organization is to pay once; `term_start` is the beginning of a renewal's term."""

    id: uuid.UUID
    number: str
    org_id: uuid.UUID
    subscription_id: uuid.UUID
    reason: Reason
    offer: Offer
    currency: str
    lines: tuple[Line, ...]
    provider: str
    issued_at: datetime
    state: InvoiceState = InvoiceState.OPEN
    term_start: datetime | None = None
    due_at: datetime | None = None
    paid_at: datetime | None = None
    provider_ref: str = ""
    provider_url: str = ""

    @property
    def total_cents(self) -> int:
        """The sum of the lines."""
        return sum(line.amount_cents for line in self.lines)


def term_lines(offer: Offer, catalogue: Catalogue) -> tuple[Line, ...]:
    """Return the lines of a whole term."""
    title = catalogue.plan(offer).title
    return (Line(f"{title}, {UNITS[offer.interval]}", catalogue.price_cents(offer)),)


def upgrade_lines(
    subscription: Subscription, offer: Offer, catalogue: Catalogue, now: datetime
) -> tuple[Line, ...]:
    """Return the lines of a larger plan for the rest of the term, less what was paid for it."""
    term = subscription.term
    assert term is not None, subscription
    old, new = catalogue.plan(term.offer).title, catalogue.plan(offer).title
    until = f"until {term.end:%Y-%m-%d}"
    return (
        Line(f"{new}, {until}", _share(catalogue.price_cents(offer), term, now)),
        Line(f"{old}, unused {until}", -_share(catalogue.price_cents(term.offer), term, now)),
    )


def _share(cents: int, term: Term, now: datetime) -> int:
    """Return the part of a price for what is left of a term, in whole cents, exactly."""
    left = Fraction(max((term.end - now).total_seconds(), 0))
    return round(cents * left / Fraction((term.end - term.start).total_seconds()))

"""Subscriptions: frozen values and the moves they can make, without I/O.

A subscription is a row of paid terms. Whoever collects the money, a term begins when it is paid,
and only a term gives credits:

    incomplete --paid--> active --end reached, unpaid--> past_due --grace over--> ended
                           ^                                |
                           +-------------paid---------------+
"""

from __future__ import annotations

import enum
import uuid
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from platform_svc.billing.catalogue import Catalogue, Offer, Plan
from platform_svc.billing.months import add_months


class State(enum.StrEnum):
    """How a subscription stands; an ended one stays ended."""

    INCOMPLETE = "incomplete"
    ACTIVE = "active"
    PAST_DUE = "past_due"
    ENDED = "ended"


LIVE = frozenset(State) - {State.ENDED}
GIVING = frozenset({State.ACTIVE, State.PAST_DUE})


@dataclass(frozen=True, slots=True)
class Term:
    """A time that is paid for, and with what."""

    offer: Offer
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Subscription:
    """One subscription of an organization.

    `offer` is what the term gives, or before the first term what was chosen; `months_paid` counts
    the months of all terms; `credit_months` those of this term whose credits were ordered.
    `upcoming` takes over with the next term.
    """

    id: uuid.UUID
    org_id: uuid.UUID
    provider: str
    offer: Offer
    created_at: datetime
    state: State = State.INCOMPLETE
    provider_ref: str = ""
    checkout_url: str = ""
    term: Term | None = None
    started_at: datetime | None = None
    months_paid: int = 0
    credit_months: int = 0
    upcoming: Offer | None = None
    cancel_at_end: bool = False
    ended_at: datetime | None = None

    @property
    def is_live(self) -> bool:
        """Whether it has not ended."""
        return self.state in LIVE


@dataclass(frozen=True, slots=True)
class CreditOrder:
    """Credits that credits must book once; `key` says which they are."""

    org_id: uuid.UUID
    subscription_id: uuid.UUID
    key: str
    amount_credits: int
    expires_at: datetime
    note: str


def plan_at(
    subscription: Subscription | None, catalogue: Catalogue, now: datetime, grace: timedelta
) -> Plan:
    """Return the plan that counts now: the term's until the grace is over, else the free one."""
    if subscription is None or subscription.state not in GIVING or subscription.term is None:
        return catalogue.free
    if now >= subscription.term.end + (timedelta(0) if subscription.cancel_at_end else grace):
        return catalogue.free
    return catalogue.plan(subscription.term.offer)


def begin_term(subscription: Subscription, term: Term) -> Subscription:
    """Record that a term was paid; changes that waited for it have happened."""
    assert subscription.is_live, subscription
    assert term.start < term.end, term
    assert subscription.term is None or subscription.term.start < term.start, term
    return replace(
        subscription,
        state=State.ACTIVE,
        offer=term.offer,
        term=term,
        started_at=subscription.started_at or term.start,
        months_paid=subscription.months_paid + term.offer.interval.months,
        credit_months=0,
        upcoming=None,
        checkout_url="",
    )


def next_term(subscription: Subscription, offer: Offer, now: datetime) -> Term:
    """Return the term that a payment buys now: the first one, or the one after this one."""
    started = subscription.started_at or now
    months = subscription.months_paid + offer.interval.months
    start = now if subscription.term is None else subscription.term.end
    return Term(offer, start, add_months(started, months))


def upgraded(subscription: Subscription, offer: Offer) -> Subscription:
    """Record that a larger plan was paid for the rest of the term."""
    assert subscription.state is State.ACTIVE, subscription
    assert subscription.term is not None, subscription
    assert offer.interval is subscription.term.offer.interval, offer
    term = replace(subscription.term, offer=offer)
    return replace(subscription, offer=offer, term=term, upcoming=None)


def ended(subscription: Subscription, now: datetime) -> Subscription:
    """Record the end; credits that were given stay until they expire."""
    assert subscription.is_live, subscription
    return replace(
        subscription,
        state=State.ENDED,
        ended_at=now,
        upcoming=None,
        cancel_at_end=False,
        checkout_url="",
    )


def credit_due_at(subscription: Subscription) -> datetime | None:
    """Return when the next credits of this term are due; None if it has no more."""
    term = subscription.term
    if term is None or subscription.state is not State.ACTIVE:
        return None
    due = _month(subscription, term, subscription.credit_months)
    return due if due < term.end else None


def order_due_credits(
    subscription: Subscription, catalogue: Catalogue, now: datetime
) -> tuple[Subscription, list[CreditOrder]]:
    """Order the credits of every month that has begun; a yearly term gives them month by month."""
    orders = []
    while (due := credit_due_at(subscription)) is not None and due <= now:
        term = subscription.term
        assert term is not None, subscription
        plan = catalogue.plan(term.offer)
        last = subscription.credit_months + plan.credits_last_months
        expires_at = _month(subscription, term, last)
        # Of a month that was slept through nothing would be left.
        if plan.monthly_credits > 0 and expires_at > now:
            key = f"plan:{subscription.id}:{due.isoformat()}"
            note = f"{plan.title}, {due:%B %Y}"
            orders.append(_order(subscription, key, plan.monthly_credits, expires_at, note))
        subscription = replace(subscription, credit_months=subscription.credit_months + 1)
    return subscription, orders


def top_up(
    subscription: Subscription, offer: Offer, catalogue: Catalogue, now: datetime
) -> list[CreditOrder]:
    """Order what a larger plan gives more for the rest of the credit month."""
    start, end = credit_month(subscription)
    plan, old = catalogue.plan(offer), catalogue.plan(subscription.offer)
    more = plan.monthly_credits - old.monthly_credits
    amount = int(more * remaining_share(start, end, now))
    if amount <= 0:
        return []
    key = f"upgrade:{subscription.id}:{start.isoformat()}:{offer.plan}:{offer.version}"
    expires_at = add_months(end, plan.credits_last_months - 1)
    return [_order(subscription, key, amount, expires_at, f"Upgrade to {plan.title}")]


def credit_month(subscription: Subscription) -> tuple[datetime, datetime]:
    """Return the month of the term whose credits were given last."""
    term = subscription.term
    assert term is not None, subscription
    index = max(subscription.credit_months - 1, 0)
    return _month(subscription, term, index), _month(subscription, term, index + 1)


def remaining_share(start: datetime, end: datetime, now: datetime) -> float:
    """Return how much of a time is left, from 0 to 1."""
    return min(max((end - now) / (end - start), 0.0), 1.0)


def _month(subscription: Subscription, term: Term, index: int) -> datetime:
    """Return when a month of the term begins, counted from the first day of all terms."""
    started_at = subscription.started_at or term.start
    before = subscription.months_paid - term.offer.interval.months
    if add_months(started_at, before) != term.start:
        # A provider has moved the day.
        return add_months(term.start, index)
    return add_months(started_at, before + index)


def _order(
    subscription: Subscription, key: str, amount: int, expires_at: datetime, note: str
) -> CreditOrder:
    return CreditOrder(subscription.org_id, subscription.id, key, amount, expires_at, note)

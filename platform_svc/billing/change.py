"""What has to happen so that an organization arrives at a plan: a pure decision."""

from __future__ import annotations

import enum

from platform_svc.billing.catalogue import Catalogue, Offer
from platform_svc.billing.errors import PaymentOverdue
from platform_svc.billing.subscription import State, Subscription


class Change(enum.Enum):
    """A step towards the wanted plan."""

    NOTHING = enum.auto()  # It is there, or already on the way.
    START = enum.auto()  # A first payment is needed.
    ABANDON = enum.auto()  # The first payment is no longer wanted.
    UPGRADE = enum.auto()  # The difference is paid now and counts at once.
    SCHEDULE = enum.auto()  # The plan changes with the next term.
    CANCEL = enum.auto()  # The subscription ends with its term.
    RESUME = enum.auto()  # It stays, and whatever was to change it is taken back.


def decide(current: Subscription | None, wanted: Offer | None, catalogue: Catalogue) -> Change:
    """Return the step from what is to what is wanted; `wanted` None is the free plan.

    Raises:
        PaymentOverdue: a larger plan is wanted while a renewal is unpaid.
    """
    if current is None:
        return Change.NOTHING if wanted is None else Change.START
    if current.state is State.INCOMPLETE:
        return _before_payment(current, wanted)
    if wanted is None:
        return Change.NOTHING if current.cancel_at_end else Change.CANCEL
    if _same(current.offer, wanted):
        return Change.RESUME
    if is_upgrade(current.offer, wanted, catalogue):
        if current.state is State.PAST_DUE:
            raise PaymentOverdue("a renewal is unpaid; pay it first")
        return Change.UPGRADE
    is_coming = current.upcoming is not None and _same(current.upcoming, wanted)
    return Change.NOTHING if is_coming else Change.SCHEDULE


def is_upgrade(present: Offer, wanted: Offer, catalogue: Catalogue) -> bool:
    """Return whether a change counts at once: to a larger plan, paid as often as before."""
    larger = catalogue.plan(wanted).rank > catalogue.plan(present).rank
    return larger and wanted.interval is present.interval


def _before_payment(current: Subscription, wanted: Offer | None) -> Change:
    if wanted is None:
        return Change.ABANDON
    return Change.NOTHING if _same(current.offer, wanted) else Change.START


def _same(one: Offer, other: Offer) -> bool:
    """Whoever has an older version of a plan has the plan."""
    return (one.plan, one.interval) == (other.plan, other.interval)

"""What a provider's view of a subscription means for ours: pure, and harmless to repeat."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from platform_svc.billing import subscription as subscriptions
from platform_svc.billing.catalogue import Catalogue
from platform_svc.billing.change import is_upgrade
from platform_svc.billing.invoice import InvoiceState
from platform_svc.billing.providers.port import RemoteState, Snapshot
from platform_svc.billing.subscription import CreditOrder, State, Subscription, Term


def absorb(
    subscription: Subscription, snapshot: Snapshot, catalogue: Catalogue, now: datetime
) -> tuple[Subscription, list[CreditOrder]]:
    """Return the subscription as the snapshot makes it, and the credits of an upgrade.

    A provider may move on to the next term before that is paid. Terms begin here only when the
    newest invoice is paid, and a smaller plan waits for the next one.
    """
    if not subscription.is_live:
        return subscription, []
    if snapshot.state is RemoteState.OVER:
        return subscriptions.ended(subscription, now), []
    known = replace(subscription, provider_ref=snapshot.ref, cancel_at_end=snapshot.cancel_at_end)
    is_paid = snapshot.invoice is not None and snapshot.invoice.state is InvoiceState.PAID
    orders: list[CreditOrder] = []
    if is_paid and snapshot.state is RemoteState.GOOD:
        known, orders = _paid(known, snapshot, catalogue, now)
    elif snapshot.state is RemoteState.OVERDUE and known.state is State.ACTIVE:
        known = replace(known, state=State.PAST_DUE)
    if known.term is not None:
        differs = snapshot.offer != known.term.offer
        known = replace(known, upcoming=snapshot.offer if differs else None)
    return known, orders


def _paid(
    subscription: Subscription, snapshot: Snapshot, catalogue: Catalogue, now: datetime
) -> tuple[Subscription, list[CreditOrder]]:
    term = subscription.term
    if term is None or snapshot.start > term.start:
        new = Term(snapshot.offer, snapshot.start, snapshot.end)
        return subscriptions.begin_term(subscription, new), []
    settled = replace(subscription, state=State.ACTIVE)
    if not is_upgrade(term.offer, snapshot.offer, catalogue):
        return settled, []
    orders = subscriptions.top_up(settled, snapshot.offer, catalogue, now)
    return subscriptions.upgraded(settled, snapshot.offer), orders

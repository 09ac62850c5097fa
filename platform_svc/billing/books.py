"""Brings a subscription up to date and writes what follows from it, in the caller's transaction.

Every change ends here: whatever is due at this moment happens (credits are ordered, a renewal's
invoice is issued, a paid term begins, an unpaid one ends), and the time of the next look is kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from reelmesh.platform.billing.v1 import billing_events_pb2 as events
from sqlalchemy.ext.asyncio import AsyncSession

from meshkit.clock import Ambient
from meshkit.ids import format_id
from meshkit.outbox import add_event
from meshkit.postgres import after_commit
from platform_svc.billing import subscription as subscriptions
from platform_svc.billing.catalogue import Catalogue, Offer
from platform_svc.billing.config import MANUAL, BillingSettings
from platform_svc.billing.event_store import EventStore, ProviderEvent
from platform_svc.billing.invoice import Invoice, InvoiceState, Line, Reason, term_lines
from platform_svc.billing.invoice_store import InvoiceStore
from platform_svc.billing.store import SubscriptionStore
from platform_svc.billing.subscription import CreditOrder, State, Subscription

SUBSCRIPTION_CHANGED: Final = "reelmesh.platform.billing.subscription_changed"
# A first payment that does not come for so long is not waited for any more.
INCOMPLETE_KEPT: Final = timedelta(days=30)
# A provider that says nothing of a renewal for so long is asked.
SILENCE_MAX: Final = timedelta(hours=1)
SUBSCRIPTION_KIND: Final = "subscription"


@dataclass(frozen=True)
class Books:
    """What every change of a subscription needs; `orders_made` is set when credits were ordered."""

    catalogue: Catalogue
    settings: BillingSettings
    ambient: Ambient
    orders_made: asyncio.Event

    async def record(
        self,
        session: AsyncSession,
        before: Subscription | None,
        subscription: Subscription,
        orders: Sequence[CreditOrder] = (),
    ) -> Subscription:
        """Write a subscription with all that is due; the organization's row is held."""
        now = self.ambient.now()
        store = SubscriptionStore(session)
        # The row must be there before invoices and orders refer to it.
        await store.save(subscription, look_at=self._look_at(subscription, now))
        ordered = [*orders]
        while True:
            subscription, due = subscriptions.order_due_credits(subscription, self.catalogue, now)
            ordered += due
            after = await self._step(session, subscription, now)
            if after is subscription:
                break
            subscription = after
        await store.save(subscription, look_at=self._look_at(subscription, now))
        await store.add_orders(ordered, self.ambient)
        if ordered:
            after_commit(session, self.orders_made.set)
        await self._announce(session, before, subscription)
        return subscription

    async def issue(
        self,
        session: AsyncSession,
        subscription: Subscription,
        reason: Reason,
        offer: Offer,
        lines: tuple[Line, ...],
        *,
        due_at: datetime,
    ) -> Invoice:
        """Issue an invoice that the installation collects itself."""
        now = self.ambient.now()
        store = InvoiceStore(session)
        term = subscription.term
        invoice = Invoice(
            id=self.ambient.new_id(),
            number=await store.next_number(now.year),
            org_id=subscription.org_id,
            subscription_id=subscription.id,
            reason=reason,
            offer=offer,
            currency=self.catalogue.plan(offer).currency,
            lines=lines,
            provider=MANUAL,
            issued_at=now,
            term_start=term.end if reason is Reason.RENEWAL and term is not None else None,
            due_at=due_at,
        )
        await store.save(invoice)
        return invoice

    async def _step(
        self, session: AsyncSession, subscription: Subscription, now: datetime
    ) -> Subscription:
        """Do the next thing that is due; give the same value if there is nothing."""
        if subscription.state is State.INCOMPLETE:
            if now >= subscription.created_at + INCOMPLETE_KEPT:
                return await self._end(session, subscription, now)
            return subscription
        if subscription.state is State.ENDED:
            return subscription
        if subscription.provider == MANUAL:
            return await self._step_manual(session, subscription, now)
        return await self._step_remote(session, subscription, now)

    async def _step_manual(
        self, session: AsyncSession, subscription: Subscription, now: datetime
    ) -> Subscription:
        term = subscription.term
        assert term is not None, subscription
        renewal = await InvoiceStore(session).renewal(subscription.id, term.end)
        if now >= term.end:
            if renewal is not None and renewal.state is InvoiceState.PAID:
                await InvoiceStore(session).void_open(subscription.id, Reason.UPGRADE)
                paid = subscriptions.next_term(subscription, renewal.offer, now)
                return subscriptions.begin_term(subscription, paid)
            if subscription.cancel_at_end or now >= term.end + self.settings.grace:
                return await self._end(session, subscription, now)
        if renewal is None and now >= term.end - self.settings.lead:
            if subscription.cancel_at_end:
                return subscription
            offer = subscription.upcoming or subscription.offer
            lines = term_lines(offer, self.catalogue)
            await self.issue(
                session, subscription, Reason.RENEWAL, offer, lines, due_at=max(term.end, now)
            )
        if now >= term.end and subscription.state is State.ACTIVE:
            await InvoiceStore(session).void_open(subscription.id, Reason.UPGRADE)
            return replace(subscription, state=State.PAST_DUE)
        return subscription

    async def _step_remote(
        self, session: AsyncSession, subscription: Subscription, now: datetime
    ) -> Subscription:
        term = subscription.term
        assert term is not None, subscription
        if now >= term.end + self.settings.grace:
            return await self._end(session, subscription, now)
        if now >= term.end + SILENCE_MAX:
            hint = f"silence:{subscription.id}:{term.end.isoformat()}"
            event = ProviderEvent(hint, SUBSCRIPTION_KIND, subscription.provider_ref)
            await EventStore(session).add(event, now=now)
        return subscription

    async def _end(
        self, session: AsyncSession, subscription: Subscription, now: datetime
    ) -> Subscription:
        await InvoiceStore(session).void_open(subscription.id)
        return subscriptions.ended(subscription, now)

    def _look_at(self, subscription: Subscription, now: datetime) -> datetime | None:
        """Return when something will be due next; None when there is nothing to come."""
        if not subscription.is_live:
            return None
        later = [moment for moment in self._moments(subscription) if moment > now]
        # A subscription that has outlived all of these is looked at again soon.
        return min(later, default=now + SILENCE_MAX)

    def _moments(self, subscription: Subscription) -> Iterator[datetime]:
        term = subscription.term
        if term is None:
            yield subscription.created_at + INCOMPLETE_KEPT
            return
        credit_due_at = subscriptions.credit_due_at(subscription)
        if credit_due_at is not None:
            yield credit_due_at
        yield term.end - self.settings.lead
        yield term.end
        yield term.end + SILENCE_MAX
        yield term.end + self.settings.grace

    async def _announce(
        self, session: AsyncSession, before: Subscription | None, after: Subscription
    ) -> None:
        if before is not None and (before.state, before.offer) == (after.state, after.offer):
            return
        now = self.ambient.now()
        plan = subscriptions.plan_at(after, self.catalogue, now, self.settings.grace)
        message = events.SubscriptionChanged(
            org_id=format_id("org", after.org_id),
            subscription_id=format_id("sub", after.id),
            plan=plan.name,
            version=plan.version,
            state=after.state.value,
        )
        event_id = self.ambient.new_id()
        await add_event(session, SUBSCRIPTION_CHANGED, message, event_id=event_id, now=now)

"""The installation collects by itself: an invoice is issued, and an operator says it was paid."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from platform_svc.billing import subscription as subscriptions
from platform_svc.billing.books import Books
from platform_svc.billing.catalogue import Offer
from platform_svc.billing.change import Change
from platform_svc.billing.config import MANUAL
from platform_svc.billing.errors import NextTermPaid
from platform_svc.billing.invoice import InvoiceState, Reason, term_lines, upgrade_lines
from platform_svc.billing.invoice_store import InvoiceStore
from platform_svc.billing.providers.port import Checkout, Snapshot
from platform_svc.billing.subscription import Subscription

FIRST_PAYMENT_WITHIN: Final = timedelta(days=14)


@dataclass(frozen=True)
class ManualProvider:
    """Keeps everything here, so a change is done when it is recorded."""

    books: Books
    name: str = MANUAL

    async def record(
        self, session: AsyncSession, subscription: Subscription, change: Change, wanted: Offer
    ) -> Subscription:
        """Make a change, issuing and voiding invoices as it needs."""
        invoices = InvoiceStore(session)
        await self._refuse_if_paid_ahead(invoices, subscription, change)
        match change:
            case Change.START:
                return await self._start(session, subscription, wanted)
            case Change.UPGRADE:
                return await self._upgrade(session, subscription, wanted)
            case Change.RESUME if subscription.upcoming is None and not subscription.cancel_at_end:
                await invoices.void_open(subscription.id, Reason.UPGRADE)
                return subscription
        # Whatever is open would pay for something else than what is to come.
        await invoices.void_open(subscription.id)
        if change is Change.ABANDON:
            return subscriptions.ended(subscription, self.books.ambient.now())
        return replace(
            subscription,
            upcoming=wanted if change is Change.SCHEDULE else None,
            cancel_at_end=change is Change.CANCEL,
        )

    async def carry_out(
        self, subscription: Subscription, change: Change, wanted: Offer
    ) -> Checkout | None:
        """Do nothing: there is nobody else."""

    async def fetch(self, ref: str) -> Snapshot | None:
        """Return None: nothing is kept elsewhere."""

    async def subscription_of(self, invoice_ref: str) -> str:  # noqa: ARG002 - nothing is kept elsewhere
        """Return nothing, as above."""
        return ""

    async def _refuse_if_paid_ahead(
        self, invoices: InvoiceStore, subscription: Subscription, change: Change
    ) -> None:
        """Keep what the next term was paid for."""
        keeps = change in {Change.CANCEL, Change.ABANDON, Change.START}
        if change is Change.RESUME and subscription.upcoming is None:
            keeps = True
        if keeps or subscription.term is None:
            return
        renewal = await invoices.renewal(subscription.id, subscription.term.end)
        if renewal is not None and renewal.state is InvoiceState.PAID:
            raise NextTermPaid("the next term is paid; change the plan once it has begun")

    async def _start(
        self, session: AsyncSession, subscription: Subscription, wanted: Offer
    ) -> Subscription:
        await InvoiceStore(session).void_open(subscription.id)
        await self.books.issue(
            session,
            subscription,
            Reason.START,
            wanted,
            term_lines(wanted, self.books.catalogue),
            due_at=self.books.ambient.now() + FIRST_PAYMENT_WITHIN,
        )
        return replace(subscription, offer=wanted)

    async def _upgrade(
        self, session: AsyncSession, subscription: Subscription, wanted: Offer
    ) -> Subscription:
        invoices, term = InvoiceStore(session), subscription.term
        assert term is not None, subscription
        earlier = await invoices.open(subscription.id, Reason.UPGRADE)
        if earlier is not None and earlier.offer == wanted:
            return subscription
        await invoices.void_open(subscription.id)
        now = self.books.ambient.now()
        lines = upgrade_lines(subscription, wanted, self.books.catalogue, now)
        invoice = await self.books.issue(
            session, subscription, Reason.UPGRADE, wanted, lines, due_at=term.end
        )
        staying = replace(subscription, upcoming=None, cancel_at_end=False)
        if invoice.total_cents > 0:
            return staying
        # The term ends within moments: the rest of it is worth less than a cent.
        await invoices.save(replace(invoice, state=InvoiceState.PAID, paid_at=now))
        return subscriptions.upgraded(staying, wanted)

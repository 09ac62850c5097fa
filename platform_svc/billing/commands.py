"""Write use cases of subscriptions."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from platform_svc.billing import subscription as subscriptions
from platform_svc.billing.absorbing import absorb
from platform_svc.billing.books import Books
from platform_svc.billing.catalogue import FREE, Interval, Offer
from platform_svc.billing.change import Change, decide
from platform_svc.billing.config import MANUAL
from platform_svc.billing.errors import InvoiceNotFound, InvoiceNotOpen, ProviderNotConfigured
from platform_svc.billing.invoice import Invoice, InvoiceState, Reason
from platform_svc.billing.invoice_store import InvoiceStore
from platform_svc.billing.providers.port import Checkout, PaymentProvider, RemoteInvoice, Snapshot
from platform_svc.billing.store import SubscriptionStore
from platform_svc.billing.subscription import Subscription


@dataclass(frozen=True)
class SubscriptionCommands:
    """What may be done to subscriptions; `providers` are those in use, by name."""

    sessions: async_sessionmaker[AsyncSession]
    books: Books
    providers: Mapping[str, PaymentProvider]

    async def change(self, org_id: uuid.UUID, plan: str, interval: Interval) -> None:
        """Take the step that brings an organization to a plan.

        Raises:
            PlanNotFound: there is no such plan for this interval.
            PaymentOverdue: a renewal is unpaid.
            PaymentRefused: the provider refused the charge.
            PaymentProviderUnavailable: the provider does not answer.
        """
        wanted = None if plan == FREE else self.books.catalogue.offer(plan, interval)
        async with self.sessions.begin() as session:
            current = await self._up_to_date(session, org_id)
            step = decide(current, wanted, self.books.catalogue)
            if step is Change.NOTHING:
                if not _awaits_checkout(current):
                    return
                step = Change.START
            chosen = wanted or self._offer_of(current)
            subscription = current or self._new(org_id, chosen)
            provider = self._provider(subscription.provider)
            # Invoices refer to the row.
            await SubscriptionStore(session).save(subscription, look_at=self.books.ambient.now())
            changed = await provider.record(session, subscription, step, chosen)
            subscription = await self.books.record(session, current, changed)
        checkout = await provider.carry_out(subscription, step, chosen)
        if checkout is not None:
            await self._keep_checkout(subscription, checkout)
        elif subscription.is_live and subscription.provider_ref:
            await self.refresh(provider.name, subscription.provider_ref)

    async def refresh(self, provider_name: str, ref: str) -> None:
        """Make a subscription what its provider says it is. Raises as the provider's `fetch`."""
        snapshot = await self._provider(provider_name).fetch(ref)
        if snapshot is None:
            return
        async with self.sessions.begin() as session:
            store = SubscriptionStore(session)
            found = await self._of(store, provider_name, snapshot)
            if found is None:
                return
            current = await self._up_to_date(session, found.org_id)
            if current is None or current.id != found.id:
                return
            if snapshot.invoice is not None:
                await self._mirror(session, current, snapshot.invoice, snapshot.offer)
            now = self.books.ambient.now()
            changed, orders = absorb(current, snapshot, self.books.catalogue, now)
            await self.books.record(session, current, changed, orders)

    async def mark_paid(self, invoice_id: uuid.UUID) -> Invoice:
        """Record that an invoice was paid, and do what was paid for.

        Raises:
            InvoiceNotFound: there is none.
            InvoiceNotOpen: it is void, or a provider collects it.
        """
        async with self.sessions.begin() as session:
            invoices = InvoiceStore(session)
            found = await invoices.find(invoice_id)
            if found is None:
                raise InvoiceNotFound("there is no such invoice")
            current = await self._up_to_date(session, found.org_id)
            invoice = await invoices.find(invoice_id)
            assert invoice is not None, invoice_id
            if invoice.state is InvoiceState.PAID:
                return invoice
            if invoice.state is InvoiceState.VOID or invoice.provider != MANUAL:
                # What was brought up to date stays so.
                refusal = InvoiceNotOpen(invoice.state.value)
            else:
                assert current is not None, invoice
                assert current.id == invoice.subscription_id, invoice
                return await self._pay(session, current, invoice)
        raise refusal

    async def look(self, org_id: uuid.UUID) -> None:
        """Do what is due at this moment in an organization."""
        async with self.sessions.begin() as session:
            await self._up_to_date(session, org_id)

    async def _pay(self, session: AsyncSession, current: Subscription, invoice: Invoice) -> Invoice:
        now, catalogue = self.books.ambient.now(), self.books.catalogue
        paid = replace(invoice, state=InvoiceState.PAID, paid_at=now)
        await InvoiceStore(session).save(paid)
        changed, orders = current, []
        match invoice.reason:
            case Reason.START:
                term = subscriptions.next_term(current, invoice.offer, now)
                changed = subscriptions.begin_term(current, term)
            case Reason.UPGRADE:
                orders = subscriptions.top_up(current, invoice.offer, catalogue, now)
                changed = subscriptions.upgraded(current, invoice.offer)
            case Reason.RENEWAL:
                pass  # The books begin the term when its time has come.
        await self.books.record(session, current, changed, orders)
        return paid

    async def _up_to_date(self, session: AsyncSession, org_id: uuid.UUID) -> Subscription | None:
        """Lock the organization and return its live subscription after all that was due."""
        store = SubscriptionStore(session)
        await store.lock_customer(org_id, now=self.books.ambient.now())
        current = await store.live(org_id)
        if current is None:
            return None
        current = await self.books.record(session, current, current)
        return current if current.is_live else None

    async def _keep_checkout(self, subscription: Subscription, checkout: Checkout) -> None:
        async with self.sessions.begin() as session:
            store = SubscriptionStore(session)
            await store.lock_customer(subscription.org_id, now=self.books.ambient.now())
            current = await store.find(subscription.id)
            # The payment may have been heard of before this was recorded.
            if current is None or current.term is not None or not current.is_live:
                return
            kept = replace(current, checkout_url=checkout.url, provider_ref=checkout.ref)
            await self.books.record(session, current, kept)

    async def _mirror(
        self, session: AsyncSession, current: Subscription, remote: RemoteInvoice, offer: Offer
    ) -> None:
        store = InvoiceStore(session)
        earlier = await store.by_provider_ref(current.provider, remote.ref)
        await store.save(
            Invoice(
                id=self.books.ambient.new_id() if earlier is None else earlier.id,
                number=remote.number,
                org_id=current.org_id,
                subscription_id=current.id,
                reason=remote.reason,
                offer=offer,
                currency=remote.currency,
                lines=remote.lines,
                provider=current.provider,
                issued_at=remote.issued_at,
                state=remote.state,
                paid_at=remote.paid_at,
                provider_ref=remote.ref,
                provider_url=remote.url,
            )
        )

    async def _of(
        self, store: SubscriptionStore, provider: str, snapshot: Snapshot
    ) -> Subscription | None:
        if snapshot.subscription_id is not None:
            found = await store.find(snapshot.subscription_id)
            return found if found is not None and found.provider == provider else None
        return await store.by_provider_ref(provider, snapshot.ref)

    def _new(self, org_id: uuid.UUID, offer: Offer) -> Subscription:
        ambient = self.books.ambient
        provider = self.books.settings.provider
        return Subscription(ambient.new_id(), org_id, provider, offer, ambient.now())

    def _provider(self, name: str) -> PaymentProvider:
        provider = self.providers.get(name)
        if provider is None:
            raise ProviderNotConfigured(name)
        return provider

    def _offer_of(self, current: Subscription | None) -> Offer:
        assert current is not None, "an organization without a subscription is on the free plan"
        return current.offer


def _awaits_checkout(current: Subscription | None) -> bool:
    """Whether the first payment has yet to be asked for at the provider."""
    return (
        current is not None
        and current.term is None
        and current.provider != MANUAL
        and not current.checkout_url
    )

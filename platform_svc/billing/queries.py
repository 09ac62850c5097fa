"""Read use cases of the billing service."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from meshkit.errors import InvalidPageToken
from meshkit.pages import decode_page_token, encode_page_token
from platform_svc.billing.books import Books
from platform_svc.billing.catalogue import Entitlements, Plan
from platform_svc.billing.errors import InvoiceNotFound
from platform_svc.billing.invoice import Invoice
from platform_svc.billing.invoice_store import InvoiceStore, Position
from platform_svc.billing.store import SubscriptionStore
from platform_svc.billing.subscription import Subscription, plan_at

PAGE_SIZE_DEFAULT = 50
LISTING = "invoices"


@dataclass(frozen=True, slots=True)
class View:
    """What an organization has: the plan that counts, its subscription, and what is to be paid."""

    org_id: uuid.UUID
    plan: Plan
    subscription: Subscription | None
    open_invoice: Invoice | None


@dataclass(frozen=True)
class BillingQueries:
    """What may be asked about plans, subscriptions and invoices."""

    sessions: async_sessionmaker[AsyncSession]
    books: Books

    def plans(self) -> Sequence[Plan]:
        """Return the plans on offer."""
        return self.books.catalogue.plans()

    async def subscription(self, org_id: uuid.UUID) -> View:
        """Return what an organization has now."""
        async with self.sessions() as session:
            subscription = await SubscriptionStore(session).live(org_id)
            invoice = None
            if subscription is not None:
                invoice = await InvoiceStore(session).open(subscription.id)
        return View(org_id, self._plan(subscription), subscription, invoice)

    async def entitlements(self, org_id: uuid.UUID) -> Entitlements:
        """Return what an organization may use now; exact even before the books were brought up."""
        async with self.sessions() as session:
            subscription = await SubscriptionStore(session).live(org_id)
        return self._plan(subscription).entitlements

    async def invoice(self, org_id: uuid.UUID, invoice_id: uuid.UUID) -> Invoice:
        """Return one invoice of an organization.

        Raises:
            InvoiceNotFound: it has no such invoice.
        """
        async with self.sessions() as session:
            invoice = await InvoiceStore(session).of_org(org_id, invoice_id)
        if invoice is None:
            raise InvoiceNotFound("there is no such invoice")
        return invoice

    async def invoices(
        self, org_id: uuid.UUID, *, page_size: int, page_token: str
    ) -> tuple[Sequence[Invoice], str]:
        """Return one page of invoices, newest first, and the token of the next page.

        Raises:
            InvalidPageToken: the token is not of this list.
        """
        count = page_size or PAGE_SIZE_DEFAULT
        after = _position(page_token)
        async with self.sessions() as session:
            found = await InvoiceStore(session).page(org_id, after=after, count=count + 1)
        page = found[:count]
        if len(found) <= count:
            return page, ""
        last = page[-1]
        return page, encode_page_token([LISTING, last.issued_at.isoformat(), last.id.hex])

    def _plan(self, subscription: Subscription | None) -> Plan:
        books = self.books
        return plan_at(subscription, books.catalogue, books.ambient.now(), books.settings.grace)


def _position(token: str) -> Position | None:
    if not token:
        return None
    match decode_page_token(token):
        case (str(listing), str(moment), str(invoice)) if listing == LISTING:
            return Position(datetime.fromisoformat(moment), uuid.UUID(hex=invoice))
    raise InvalidPageToken("page_token is of another list")

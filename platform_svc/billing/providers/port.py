"""The port of payment providers, and what a provider says of a subscription."""

from __future__ import annotations

import enum
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from platform_svc.billing.catalogue import Offer
from platform_svc.billing.change import Change
from platform_svc.billing.invoice import InvoiceState, Line, Reason
from platform_svc.billing.subscription import Subscription


class RemoteState(enum.Enum):
    """How a subscription stands at its provider, as far as it matters here."""

    WAITING = enum.auto()  # For its first payment.
    GOOD = enum.auto()
    OVERDUE = enum.auto()
    OVER = enum.auto()


@dataclass(frozen=True, slots=True)
class RemoteInvoice:
    """An invoice that a provider collects."""

    ref: str
    number: str
    state: InvoiceState
    reason: Reason
    currency: str
    lines: tuple[Line, ...]
    issued_at: datetime
    paid_at: datetime | None
    url: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A subscription as its provider has it at this moment; the newest invoice is not a draft."""

    ref: str
    subscription_id: uuid.UUID | None
    state: RemoteState
    offer: Offer
    start: datetime
    end: datetime
    cancel_at_end: bool
    invoice: RemoteInvoice | None


@dataclass(frozen=True, slots=True)
class Checkout:
    """Where the first payment is made, and the provider's name of it."""

    url: str
    ref: str


class PaymentProvider(Protocol):
    """Who collects the money of a subscription.

    A change is recorded in the transaction that decides it, and carried out after its commit, so
    that nothing waits for a network with rows locked. What was carried out is then fetched.
    """

    @property
    def name(self) -> str:
        """What subscriptions call it."""
        ...

    async def record(
        self, session: AsyncSession, subscription: Subscription, change: Change, wanted: Offer
    ) -> Subscription:
        """Do what needs nobody else; give the subscription as it is then."""
        ...

    async def carry_out(
        self, subscription: Subscription, change: Change, wanted: Offer
    ) -> Checkout | None:
        """Do the rest at the provider; repeating it changes nothing.

        Raises:
            PaymentRefused: the provider refused the charge.
            PaymentProviderUnavailable: it does not answer; the change may have been made.
        """
        ...

    async def fetch(self, ref: str) -> Snapshot | None:
        """Return how a subscription stands there; None if nothing is kept elsewhere.

        Raises:
            PaymentProviderUnavailable: it does not answer.
        """
        ...

    async def subscription_of(self, invoice_ref: str) -> str:
        """Name the subscription that an invoice is for, or nothing. Raises as `fetch`."""
        ...

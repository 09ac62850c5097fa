"""Stripe collects: a hosted page takes the first payment, and Stripe renews by itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

import stripe
from sqlalchemy.ext.asyncio import AsyncSession

from meshkit.clock import Ambient
from meshkit.ids import format_id
from platform_svc.billing import subscription as subscriptions
from platform_svc.billing.catalogue import Offer
from platform_svc.billing.change import Change
from platform_svc.billing.config import STRIPE, StripeSettings
from platform_svc.billing.errors import PaymentProviderUnavailable, PaymentRefused
from platform_svc.billing.providers.port import Checkout, Snapshot
from platform_svc.billing.providers.stripe_reading import (
    METADATA_KEY,
    UnknownPrice,
    lookup_key,
    read_subscription,
    subscription_of_invoice,
)
from platform_svc.billing.subscription import Subscription

CALL_SECONDS_MAX: Final = 10
SESSION_PREFIX: Final = "cs_"
T = TypeVar("T")
Document = dict[str, Any]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class StripeProvider:
    """Calls Stripe's API in threads, since its client blocks."""

    client: stripe.StripeClient
    settings: StripeSettings
    ambient: Ambient
    name: str = STRIPE

    async def record(
        self,
        session: AsyncSession,  # noqa: ARG002 - Stripe issues the invoices
        subscription: Subscription,
        change: Change,
        wanted: Offer,
    ) -> Subscription:
        """Keep what was chosen; all else becomes true once Stripe says so."""
        if change is Change.START:
            return replace(subscription, offer=wanted, checkout_url="")
        if change is Change.ABANDON:
            return subscriptions.ended(subscription, self.ambient.now())
        return subscription

    async def carry_out(
        self, subscription: Subscription, change: Change, wanted: Offer
    ) -> Checkout | None:
        """Make the change at Stripe."""
        match change:
            case Change.START:
                await self._expire_session(subscription)
                return await self._start(subscription, wanted)
            case Change.ABANDON:
                await self._expire_session(subscription)
            case Change.UPGRADE:
                # The difference is charged at once, or nothing changes.
                charged = {
                    "proration_behavior": "always_invoice",
                    "payment_behavior": "error_if_incomplete",
                }
                await self._update(subscription, wanted, **charged)
            case Change.SCHEDULE:
                # The price changes now and is charged with the next term.
                await self._update(subscription, wanted, proration_behavior="none")
            case Change.RESUME:
                await self._update(subscription, subscription.offer, proration_behavior="none")
            case Change.CANCEL:
                await self._call(
                    lambda: self.client.v1.subscriptions.update(
                        subscription.provider_ref, {"cancel_at_period_end": True}
                    )
                )
        return None

    async def fetch(self, ref: str) -> Snapshot | None:
        """Return a subscription as Stripe has it."""
        if not ref or ref.startswith(SESSION_PREFIX):
            return None
        found = await self._call(
            lambda: self.client.v1.subscriptions.retrieve(ref, {"expand": ["latest_invoice"]})
        )
        try:
            return read_subscription(_document(found))
        except UnknownPrice:
            logger.exception("a subscription at Stripe is for no plan of ours", extra={"ref": ref})
            return None

    async def subscription_of(self, invoice_ref: str) -> str:
        """Name the subscription that an invoice is for."""
        found = await self._call(lambda: self.client.v1.invoices.retrieve(invoice_ref))
        return subscription_of_invoice(_document(found))

    async def _start(self, subscription: Subscription, wanted: Offer) -> Checkout:
        metadata = {METADATA_KEY: str(subscription.id)}
        price = await self._price(wanted)
        # The earlier page is part of the key, so that choosing a plan again gives a new page.
        key = f"start:{subscription.id}:{lookup_key(wanted)}:{subscription.provider_ref}"
        made = await self._call(
            lambda: self.client.v1.checkout.sessions.create(
                {
                    "mode": "subscription",
                    "line_items": [{"price": price, "quantity": 1}],
                    "client_reference_id": format_id("org", subscription.org_id),
                    "subscription_data": {"metadata": metadata},
                    "success_url": self.settings.return_url,
                    "cancel_url": self.settings.return_url,
                },
                {"idempotency_key": key},
            )
        )
        return Checkout(made.url or "", made.id)

    async def _expire_session(self, subscription: Subscription) -> None:
        """Close the page of an earlier choice, so that it cannot be paid as well."""
        ref = subscription.provider_ref
        if not ref.startswith(SESSION_PREFIX):
            return
        try:
            await asyncio.to_thread(lambda: self.client.v1.checkout.sessions.expire(ref))
        except stripe.InvalidRequestError:
            logger.info("a checkout page was over already", extra={"session": ref})
        except stripe.StripeError as error:
            raise _unavailable(error) from error

    async def _update(self, subscription: Subscription, offer: Offer, **how: Any) -> None:
        price = await self._price(offer)
        ref = subscription.provider_ref
        present = _document(await self._call(lambda: self.client.v1.subscriptions.retrieve(ref)))
        item = present["items"]["data"][0]
        changes = {"cancel_at_period_end": False, **how}
        if item["price"]["id"] != price:
            changes["items"] = [{"id": item["id"], "price": price}]
        await self._call(lambda: self.client.v1.subscriptions.update(ref, changes))  # type: ignore[arg-type]  # Built as the parameters' dictionary.

    async def _price(self, offer: Offer) -> str:
        key = lookup_key(offer)
        found = await self._call(
            lambda: self.client.v1.prices.list({"lookup_keys": [key], "limit": 1})
        )
        if not found.data:
            logger.error("Stripe has no price with this lookup key", extra={"lookup_key": key})
            raise PaymentProviderUnavailable("the plan cannot be bought at the moment")
        return found.data[0].id

    async def _call(self, call: Callable[[], T]) -> T:
        try:
            return await asyncio.to_thread(call)
        except stripe.CardError as error:
            raise PaymentRefused(error.code or "declined") from error
        except stripe.StripeError as error:
            raise _unavailable(error) from error


def open_stripe(settings: StripeSettings, ambient: Ambient) -> StripeProvider:
    """Make a provider that calls the API with the settings' key; nothing is called yet."""
    addresses: Any = {"api": settings.api_base} if settings.api_base else None
    client = stripe.StripeClient(
        settings.api_key,
        base_addresses=addresses,
        max_network_retries=settings.retries_max,
        http_client=stripe.RequestsClient(timeout=CALL_SECONDS_MAX),
    )
    return StripeProvider(client, settings, ambient)


def _unavailable(error: stripe.StripeError) -> PaymentProviderUnavailable:
    # The message may quote what was sent, so only the kind is told.
    facts = {"kind": type(error).__name__, "code": error.code, "status": error.http_status}
    logger.warning("a call to Stripe failed", extra=facts)
    return PaymentProviderUnavailable("the payment provider does not answer; try again")


def _document(thing: Any) -> Document:
    document: Document = thing.to_dict()
    return document

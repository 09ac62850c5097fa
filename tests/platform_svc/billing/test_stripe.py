"""Subscriptions that Stripe collects: its SDK, signed events, and what they may do to us."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.api.httpbody_pb2 import HttpBody
from reelmesh.platform.billing.v1 import stripe_service_pb2 as stripe_pb
from reelmesh.platform.billing.v1.stripe_service_pb2_grpc import StripeServiceStub

from platform_svc.billing.config import STRIPE, BillingSettings, StripeSettings
from platform_svc.billing.months import add_months
from tests.platform_svc.refusals import refusal_of

from .fake_stripe import SECRET, FakeStripe, event, signed
from .harness import Installation

OLD_SECRET = "whsec_that_is_being_replaced"


@dataclass
class Shop:
    """An installation that sells through Stripe, and Stripe."""

    installation: Installation
    stripe: FakeStripe
    names: Any

    async def hear(self, kind: str, thing: dict[str, Any], *, name: str = "", **how: Any) -> str:
        """Send a signed event; give what became of it."""
        body = event(name or f"evt_{next(self.names)}", kind, thing)
        metadata = signed(body, self.installation.clock.now(), **how)
        return await self.send(body, metadata)

    async def send(self, body: bytes, metadata: Any) -> str:
        payload = HttpBody(content_type="application/json", data=body)
        request = stripe_pb.ReceiveStripeEventRequest(payload=payload)
        async with self.installation.mesh.channel() as channel:
            from_anybody = channel.stub(StripeServiceStub)
            answer = await from_anybody.ReceiveStripeEvent(request, metadata=metadata)
        await self.installation.work()
        return answer.outcome

    async def subscribed(self, plan: str = "creator") -> str:
        """Buy a plan on Stripe's page; give Stripe's name of the subscription."""
        await self.installation.change(plan)
        session = next(
            name for name, one in self.stripe.sessions.items() if one["status"] == "open"
        )
        start = self.now()
        ref = self.stripe.pay(session, start, add_months(start, 1))
        await self.hear("customer.subscription.created", self.stripe.subscriptions[ref])
        return ref

    def now(self) -> datetime:
        self.stripe.now = int(self.installation.clock.now().timestamp())
        return self.installation.clock.now()


@pytest.fixture
async def shop(billing_url, clock, identity) -> AsyncIterator[Shop]:
    stripe = FakeStripe()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(stripe.running())
        settings = BillingSettings(
            provider=STRIPE,
            stripe=StripeSettings(
                "sk_of_these_tests",
                (SECRET, OLD_SECRET),
                "https://studio.example",
                stripe.url,
                retries_max=0,
            ),
        )
        installation = await Installation.open(stack, billing_url, clock, identity, settings)
        yield Shop(installation, stripe, itertools.count(1))


async def test_a_plan_is_bought_on_stripes_page(shop) -> None:
    wanted = await shop.installation.change("creator")
    assert (wanted.state, wanted.plan) == ("incomplete", "free")
    assert wanted.pending.checkout_url == "https://checkout.stripe.com/cs_1"
    assert await shop.installation.change("creator") == wanted
    assert len(shop.stripe.sessions) == 1

    start = shop.now()
    shop.stripe.pay("cs_1", start, add_months(start, 1))
    assert await shop.hear("checkout.session.completed", shop.stripe.sessions["cs_1"]) == "accepted"
    now = await shop.installation.subscription()
    assert (now.plan, now.state, now.provider) == ("creator", "active", "stripe")
    assert now.period_end.ToDatetime(tzinfo=UTC) == add_months(start, 1)
    assert await shop.installation.available() == 2000
    [invoice] = await shop.installation.listed()
    assert (invoice.number, invoice.state, invoice.total_cents) == ("STRIPE-0001", "paid", 1200)
    assert invoice.provider_url == "https://invoice.stripe.com/in_1"
    assert await shop.installation.broken() == {}


async def test_events_may_come_twice_and_in_any_order(shop) -> None:
    ref = await shop.subscribed()
    begun, end = shop.stripe.subscriptions[ref], add_months(shop.now(), 1)
    await shop.installation.move_to(end)
    shop.now()
    name = shop.stripe.renew(ref, end, add_months(end, 1))
    invoice = shop.stripe.invoices[name]
    told = [
        ("evt_c", "invoice.paid", invoice),
        ("evt_b", "customer.subscription.updated", begun),
        ("evt_a", "customer.subscription.created", begun),
        ("evt_c", "invoice.paid", invoice),
    ]
    outcomes = [await shop.hear(kind, thing, name=name) for name, kind, thing in told]
    assert outcomes == ["accepted", "accepted", "accepted", "duplicate"]
    assert await shop.installation.available() == 2000
    assert [one.state for one in await shop.installation.listed()] == ["paid", "paid"]
    assert await shop.installation.broken() == {}


async def test_a_period_that_is_not_paid_gives_nothing(shop) -> None:
    ref = await shop.subscribed()
    end = add_months(shop.now(), 1)
    await shop.installation.move_to(end)
    shop.now()
    # Stripe moves on to the next period before the money is there.
    name = shop.stripe.renew(ref, end, add_months(end, 1), state="open")
    shop.stripe.subscriptions[ref]["status"] = "past_due"
    await shop.hear("invoice.payment_failed", shop.stripe.invoices[name])
    late = await shop.installation.subscription()
    assert (late.plan, late.state, await shop.installation.available()) == (
        "creator",
        "past_due",
        0,
    )
    assert late.pending.checkout_url == f"https://invoice.stripe.com/{name}"
    assert (await refusal_of(shop.installation.change("studio"))).reason == "PAYMENT_OVERDUE"

    shop.stripe.invoices[name] |= {"status": "paid"}
    shop.stripe.subscriptions[ref]["status"] = "active"
    await shop.hear("invoice.paid", shop.stripe.invoices[name])
    assert (await shop.installation.subscription()).state == "active"
    assert await shop.installation.available() == 2000


async def test_an_upgrade_is_charged_at_once_or_does_not_happen(shop) -> None:
    await shop.subscribed()
    shop.stripe.is_declining = True
    refusal = await refusal_of(shop.installation.change("studio"))
    assert (refusal.reason, refusal.metadata["provider_code"]) == (
        "PAYMENT_REFUSED",
        "card_declined",
    )
    assert (await shop.installation.subscription()).plan == "creator"

    shop.stripe.is_declining = False
    # The answer has it already, before any event.
    assert (await shop.installation.change("studio")).plan == "studio"
    await shop.installation.work()
    assert await shop.installation.available() == 2000 + 8000
    assert (await shop.installation.change("studio")).plan == "studio"
    await shop.installation.work()
    assert await shop.installation.available() == 10_000
    assert await shop.installation.broken() == {}


async def test_a_smaller_plan_waits_for_the_next_period(shop) -> None:
    ref = await shop.subscribed("studio")
    end = add_months(shop.now(), 1)
    scheduled = await shop.installation.change("creator")
    assert (scheduled.plan, scheduled.pending.plan) == ("studio", "creator")
    await shop.installation.move_to(end)
    shop.now()
    name = shop.stripe.renew(ref, end, add_months(end, 1))
    await shop.hear("invoice.paid", shop.stripe.invoices[name])
    now = await shop.installation.subscription()
    assert (now.plan, now.HasField("pending")) == ("creator", False)


async def test_what_was_canceled_can_be_resumed_and_ends_when_stripe_says_so(shop) -> None:
    ref = await shop.subscribed()
    assert (await shop.installation.change("free")).pending.plan == "free"
    assert shop.stripe.subscriptions[ref]["cancel_at_period_end"] is True
    assert not (await shop.installation.change("creator")).HasField("pending")
    assert shop.stripe.subscriptions[ref]["cancel_at_period_end"] is False

    shop.stripe.subscriptions[ref]["status"] = "canceled"
    await shop.hear("customer.subscription.deleted", shop.stripe.subscriptions[ref])
    assert (await shop.installation.subscription()).plan == "free"
    assert await shop.hear("customer.subscription.updated", shop.stripe.subscriptions[ref])
    assert (await shop.installation.subscription()).state == "none"


async def test_another_choice_closes_the_page_of_the_first(shop) -> None:
    await shop.installation.change("creator")
    again = await shop.installation.change("studio")
    assert again.pending.checkout_url == "https://checkout.stripe.com/cs_2"
    assert shop.stripe.sessions["cs_1"]["status"] == "expired"
    await shop.installation.change("free")
    assert shop.stripe.sessions["cs_2"]["status"] == "expired"
    assert (await shop.installation.subscription()).state == "none"


async def test_silence_about_a_renewal_is_broken_by_asking(shop) -> None:
    ref = await shop.subscribed()
    end = add_months(shop.now(), 1)
    shop.stripe.renew(ref, end, add_months(end, 1))  # And the event is lost.
    await shop.installation.move_to(end + timedelta(hours=2))
    now = await shop.installation.subscription()
    assert now.period_start.ToDatetime(tzinfo=UTC) == end
    assert await shop.installation.available() == 2000


async def test_a_price_that_is_none_of_ours_changes_nothing(shop) -> None:
    ref = await shop.subscribed()
    item = shop.stripe.subscriptions[ref]["items"]["data"][0]
    item["price"] = {"id": "price_x", "lookup_key": None}
    assert await shop.hear("customer.subscription.updated", {"id": ref}) == "accepted"
    assert (await shop.installation.subscription()).plan == "creator"
    assert await shop.installation.broken() == {}


async def test_while_stripe_is_away_nothing_is_lost(shop) -> None:
    shop.stripe.is_away = True
    refusal = await refusal_of(shop.installation.change("creator"))
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.UNAVAILABLE,
        "PAYMENT_PROVIDER_UNAVAILABLE",
    )
    shop.stripe.is_away = False
    start = shop.now()
    assert (await shop.installation.change("creator")).pending.checkout_url
    ref = shop.stripe.pay("cs_1", start, add_months(start, 1))

    shop.stripe.is_away = True
    assert await shop.hear("customer.subscription.created", {"id": ref}) == "accepted"
    assert (await shop.installation.subscription()).state == "incomplete"
    shop.stripe.is_away = False
    await shop.installation.move_to(start + timedelta(minutes=1))
    assert (await shop.installation.subscription()).state == "active"


async def test_events_are_forgotten_once_they_cannot_come_again(shop) -> None:
    thing = {"id": "sub_x"}
    assert await shop.hear("ping", thing, name="evt_1") == "ignored"
    for days, outcome in ((3, "duplicate"), (28, "ignored")):
        shop.installation.clock.advance(seconds=days * 24 * 3600)
        await shop.installation.billing.followed.forget()
        assert await shop.hear("ping", thing, name="evt_1") == outcome


async def test_only_signed_events_of_now_are_taken(shop) -> None:
    body, now = event("evt_1", "invoice.paid", {"id": "in_1"}), shop.now()
    forged = [
        (),
        (("stripe-signature", "nonsense"),),
        signed(body, now, "whsec_of_a_stranger"),
        signed(body + b" ", now),
        signed(body, now - timedelta(minutes=6)),
        signed(body, now + timedelta(minutes=6)),
    ]
    for metadata in forged:
        refusal = await refusal_of(shop.send(body, metadata))
        assert (refusal.code, refusal.reason) == (
            grpc.StatusCode.UNAUTHENTICATED,
            "SIGNATURE_INVALID",
        )
    assert shop.stripe.calls == []
    # Under the secret that is being replaced as well.
    assert await shop.hear("ping", {"id": "x"}, secret=OLD_SECRET) == "ignored"


async def test_where_stripe_is_not_used_its_events_are_refused(installation) -> None:
    shop = Shop(installation, FakeStripe(), itertools.count(1))
    refusal = await refusal_of(shop.hear("invoice.paid", {"id": "in_1"}))
    assert refusal.reason == "PROVIDER_NOT_CONFIGURED"

"""Subscriptions that the installation collects itself, through real services."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, timedelta

import grpc
import pytest
from reelmesh.platform.billing.v1 import billing_service_pb2 as pb
from reelmesh.platform.billing.v1 import invoices_service_pb2 as invoices_pb
from reelmesh.platform.billing.v1.billing_service_pb2_grpc import BillingServiceStub

from meshkit.ids import format_id
from meshkit.testing.identity import USER
from tests.platform_svc.refusals import refusal_of

from .factories import OTHER_ORG
from .harness import ORG

DAY = timedelta(days=1)


async def subscribed(installation, plan: str = "creator", interval: str = "") -> pb.Subscription:
    wanted = await installation.change(plan, interval)
    await installation.pay(wanted.pending.invoice_id)
    return await installation.subscription()


def end_of(subscription):
    return subscription.period_end.ToDatetime(tzinfo=UTC)


async def test_a_plan_counts_and_gives_credits_once_it_is_paid(installation) -> None:
    before = await installation.subscription()
    assert (before.plan, before.state, before.entitlements.band) == ("free", "none", 2)

    wanted = await installation.change("creator")
    assert (wanted.plan, wanted.state) == ("free", "incomplete")
    assert (wanted.pending.plan, wanted.pending.awaits) == ("creator", "payment")
    assert await installation.available() == 0

    paid = await installation.pay(wanted.pending.invoice_id)
    assert (paid.state, paid.total_cents, paid.number) == ("paid", 1200, "RM-2026-000001")
    now = await installation.subscription()
    assert (now.plan, now.state, now.entitlements.band) == ("creator", "active", 1)
    assert not now.HasField("pending")
    assert await installation.available() == 2000
    assert await installation.broken() == {}


async def test_wanting_a_plan_again_changes_nothing(installation) -> None:
    answers = await asyncio.gather(*(installation.change("creator") for _ in range(6)))
    assert len({answer.pending.invoice_id for answer in answers}) == 1
    [invoice] = await installation.listed()
    for _ in range(2):
        await installation.pay(invoice.invoice_id)
    assert await installation.change("creator") == await installation.subscription()
    assert len(await installation.listed()) == 1
    assert await installation.available() == 2000


async def test_payments_at_once_count_once(installation) -> None:
    wanted = await installation.change("creator")
    await asyncio.gather(*(installation.pay(wanted.pending.invoice_id) for _ in range(5)))
    assert await installation.available() == 2000
    assert await installation.broken() == {}


async def test_another_choice_before_the_payment_voids_the_first_invoice(installation) -> None:
    first = await installation.change("creator")
    second = await installation.change("studio")
    assert second.pending.plan == "studio"
    assert {one.state for one in await installation.listed()} == {"open", "void"}
    refusal = await refusal_of(installation.pay(first.pending.invoice_id))
    assert (refusal.reason, refusal.metadata["state"]) == ("INVOICE_NOT_OPEN", "void")

    assert (await installation.change("free")).state == "none"
    assert {one.state for one in await installation.listed()} == {"void"}
    assert await installation.broken() == {}


async def test_an_upgrade_counts_at_once_and_costs_the_rest(installation) -> None:
    begun = await subscribed(installation)
    middle = installation.clock.now() + (end_of(begun) - installation.clock.now()) / 2
    await installation.move_to(middle)
    wanted = await installation.change("studio")
    assert (wanted.plan, wanted.pending.plan) == ("creator", "studio")
    assert await installation.change("studio") == wanted

    paid = await installation.pay(wanted.pending.invoice_id)
    assert [line.amount_cents for line in paid.lines] == [2400, -600]
    now = await installation.subscription()
    assert (now.plan, now.period_end) == ("studio", begun.period_end)
    assert await installation.available() == 2000 + 4000
    assert await installation.broken() == {}


async def test_an_upgrade_can_be_taken_back_before_it_is_paid(installation) -> None:
    await subscribed(installation)
    wanted = await installation.change("studio")
    assert not (await installation.change("creator")).HasField("pending")
    refusal = await refusal_of(installation.pay(wanted.pending.invoice_id))
    assert refusal.reason == "INVOICE_NOT_OPEN"


async def test_a_smaller_plan_counts_from_the_end_of_the_term(installation) -> None:
    begun = await subscribed(installation, "studio")
    scheduled = await installation.change("creator")
    assert (scheduled.plan, scheduled.pending.plan) == ("studio", "creator")
    assert scheduled.pending.awaits == "period_end"

    await installation.move_to(end_of(begun) - DAY)
    [renewal] = [one for one in await installation.listed() if one.state == "open"]
    assert (renewal.reason, renewal.total_cents) == ("renewal", 1200)
    await installation.pay(renewal.invoice_id)
    assert (await installation.subscription()).plan == "studio"
    await installation.move_to(end_of(begun))
    assert (await installation.subscription()).plan == "creator"
    # Studio's credits last two months.
    assert await installation.available() == 10_000 + 2_000
    assert await installation.broken() == {}


async def test_a_term_that_is_paid_ahead_is_what_was_paid_for(installation) -> None:
    begun = await subscribed(installation)
    await installation.move_to(end_of(begun) - DAY)
    [renewal] = [one for one in await installation.listed() if one.state == "open"]
    await installation.pay(renewal.invoice_id)
    for plan, interval in (("studio", ""), ("creator", "year")):
        refusal = await refusal_of(installation.change(plan, interval))
        assert refusal.reason == "NEXT_TERM_PAID"
    # To cancel is to end with what is paid.
    await installation.change("free")
    await installation.move_to(end_of(begun))
    now = await installation.subscription()
    assert (now.plan, now.period_start, now.pending.plan) == ("creator", begun.period_end, "free")
    assert (await installation.change("studio")).pending.awaits == "payment"
    assert await installation.broken() == {}


async def test_a_canceled_plan_counts_until_its_term_ends(installation) -> None:
    begun = await subscribed(installation)
    canceled = await installation.change("free")
    assert (canceled.plan, canceled.pending.plan) == ("creator", "free")
    assert not (await installation.change("creator")).HasField("pending")
    await installation.change("free")

    await installation.move_to(end_of(begun) - timedelta(seconds=1))
    assert (await installation.subscription()).plan == "creator"
    assert [one.state for one in await installation.listed()] == ["paid"]
    await installation.move_to(end_of(begun))
    ended = await installation.subscription()
    assert (ended.plan, ended.state) == ("free", "none")
    assert await installation.available() == 0

    again = await subscribed(installation)
    assert again.subscription_id != begun.subscription_id
    assert await installation.available() == 2000
    assert await installation.broken() == {}


async def test_an_unpaid_renewal_has_a_grace_and_then_ends(installation) -> None:
    begun = await subscribed(installation)
    await installation.move_to(end_of(begun))
    late = await installation.subscription()
    assert (late.plan, late.state, late.pending.awaits) == ("creator", "past_due", "payment")
    assert await installation.available() == 0
    assert (await refusal_of(installation.change("studio"))).reason == "PAYMENT_OVERDUE"

    await installation.move_to(end_of(begun) + timedelta(days=7))
    assert (await installation.subscription()).plan == "free"
    refusal = await refusal_of(installation.pay(late.pending.invoice_id))
    assert refusal.reason == "INVOICE_NOT_OPEN"
    assert await installation.broken() == {}


async def test_a_late_payment_pays_the_term_that_it_is_late_for(installation) -> None:
    begun = await subscribed(installation)
    await installation.move_to(end_of(begun) + 3 * DAY)
    late = await installation.subscription()
    await installation.pay(late.pending.invoice_id)
    now = await installation.subscription()
    assert (now.state, now.period_start) == ("active", begun.period_end)
    assert await installation.available() == 2000


async def test_the_right_ends_in_time_even_if_nobody_looks(installation) -> None:
    begun = await subscribed(installation)
    passed = end_of(begun) + timedelta(days=7) - installation.clock.now()
    installation.clock.advance(seconds=passed.total_seconds())
    async with installation.mesh.as_service(BillingServiceStub, "business") as stub:
        rights = await stub.GetEntitlements(pb.GetEntitlementsRequest(org_id=ORG))
    assert (rights.plan, rights.band) == ("free", 2)


async def test_an_organization_sees_nothing_of_another(installation) -> None:
    wanted = await installation.change("creator")
    other = format_id("org", OTHER_ORG)
    asked = installation.plans.GetSubscription(pb.GetSubscriptionRequest(org_id=other))
    assert (await refusal_of(asked)).code is grpc.StatusCode.PERMISSION_DENIED
    theirs = await installation.stranger.stub(BillingServiceStub).ChangeSubscription(
        pb.ChangeSubscriptionRequest(org_id=other, plan="creator")
    )
    invoice_id = theirs.pending.invoice_id
    request = invoices_pb.GetInvoiceRequest(org_id=ORG, invoice_id=invoice_id)
    assert (await refusal_of(installation.invoices.GetInvoice(request))).reason == (
        "INVOICE_NOT_FOUND"
    )
    own = invoices_pb.GetInvoiceRequest(org_id=ORG, invoice_id=wanted.pending.invoice_id)
    assert (await installation.invoices.GetInvoice(own)).org_id == ORG


async def test_only_operators_say_that_money_came(installation) -> None:
    wanted = await installation.change("creator")
    request = invoices_pb.MarkInvoicePaidRequest(invoice_id=wanted.pending.invoice_id)
    refusal = await refusal_of(installation.invoices.MarkInvoicePaid(request))
    assert refusal.reason == "CALLER_NOT_ALLOWED"
    unknown = format_id("bil", USER.user_id)
    assert (await refusal_of(installation.pay(unknown))).reason == "INVOICE_NOT_FOUND"


@pytest.mark.parametrize(("plan", "interval"), [("gold", ""), ("creator", "week")])
async def test_what_is_not_on_offer_is_refused(installation, plan, interval) -> None:
    refusal = await refusal_of(installation.change(plan, interval))
    assert refusal.reason in {"PLAN_NOT_FOUND", "INVALID_REQUEST"}


async def test_credits_that_could_not_be_booked_are_booked_later(installation) -> None:
    wanted = await installation.change("creator")
    working = installation.billing.orders
    async with installation.mesh.channel("platform") as wrong:
        # Nobody serves credits there.
        deaf = type(working).over(wrong, working.sessions, working.ambient, working.made)
        installation.billing = replace(installation.billing, orders=deaf)
        await installation.pay(wanted.pending.invoice_id)
    assert await installation.available() == 0
    installation.billing = replace(installation.billing, orders=working)
    await installation.move_to(installation.clock.now() + timedelta(minutes=5))
    assert await installation.available() == 2000
    assert await installation.broken() == {}

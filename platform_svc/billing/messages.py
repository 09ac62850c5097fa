"""Values of the billing service as messages."""

from __future__ import annotations

from reelmesh.platform.billing.v1 import billing_service_pb2 as pb
from reelmesh.platform.billing.v1 import invoices_service_pb2 as invoices_pb

from meshkit.ids import format_id
from meshkit.timestamps import timestamp
from platform_svc.billing.catalogue import FREE, Entitlements, Plan
from platform_svc.billing.invoice import Invoice, Reason
from platform_svc.billing.queries import View
from platform_svc.billing.subscription import State, Subscription


def plan_message(plan: Plan) -> pb.Plan:
    """Return a plan as callers see it."""
    return pb.Plan(
        plan=plan.name,
        version=plan.version,
        title=plan.title,
        description=plan.description,
        currency=plan.currency,
        prices=[pb.Price(interval=one.value, cents=cents) for one, cents in plan.prices.items()],
        monthly_credits=plan.monthly_credits,
        credits_last_months=plan.credits_last_months,
        entitlements=entitlements_message(plan.entitlements),
    )


def entitlements_message(entitlements: Entitlements) -> pb.Entitlements:
    """Return what a plan opens."""
    return pb.Entitlements(
        plan=entitlements.plan,
        version=entitlements.version,
        band=entitlements.band,
        features=entitlements.features,
        limits=entitlements.limits,
    )


def subscription_message(view: View) -> pb.Subscription:
    """Return what an organization has."""
    message = pb.Subscription(
        org_id=format_id("org", view.org_id),
        plan=view.plan.name,
        version=view.plan.version,
        state="none",
        entitlements=entitlements_message(view.plan.entitlements),
    )
    subscription = view.subscription
    if subscription is None:
        return message
    message.state = subscription.state.value
    message.subscription_id = format_id("sub", subscription.id)
    message.provider = subscription.provider
    message.interval = subscription.offer.interval.value
    if subscription.term is not None:
        message.period_start.CopyFrom(timestamp(subscription.term.start))
        message.period_end.CopyFrom(timestamp(subscription.term.end))
    pending = _pending(subscription, view.open_invoice)
    if pending is not None:
        message.pending.CopyFrom(pending)
    return message


def invoice_message(invoice: Invoice) -> invoices_pb.Invoice:
    """Return an invoice as callers see it."""
    message = invoices_pb.Invoice(
        invoice_id=format_id("bil", invoice.id),
        number=invoice.number,
        org_id=format_id("org", invoice.org_id),
        state=invoice.state.value,
        reason=invoice.reason.value,
        currency=invoice.currency,
        total_cents=invoice.total_cents,
        lines=[
            invoices_pb.InvoiceLine(description=line.description, amount_cents=line.amount_cents)
            for line in invoice.lines
        ],
        provider=invoice.provider,
        provider_url=invoice.provider_url,
        issued_at=timestamp(invoice.issued_at),
    )
    if invoice.due_at is not None:
        message.due_at.CopyFrom(timestamp(invoice.due_at))
    if invoice.paid_at is not None:
        message.paid_at.CopyFrom(timestamp(invoice.paid_at))
    return message


def _pending(subscription: Subscription, invoice: Invoice | None) -> pb.PendingChange | None:
    invoice_id = "" if invoice is None else format_id("bil", invoice.id)
    if subscription.state is State.INCOMPLETE:
        return pb.PendingChange(
            plan=subscription.offer.plan,
            interval=subscription.offer.interval.value,
            awaits="payment",
            invoice_id=invoice_id,
            checkout_url=subscription.checkout_url,
        )
    is_late = subscription.state is State.PAST_DUE
    if invoice is not None and (is_late or invoice.reason is Reason.UPGRADE):
        return pb.PendingChange(
            plan=invoice.offer.plan,
            interval=invoice.offer.interval.value,
            awaits="payment",
            invoice_id=invoice_id,
            checkout_url=invoice.provider_url,
        )
    if subscription.cancel_at_end:
        return pb.PendingChange(plan=FREE, awaits="period_end")
    if subscription.upcoming is not None:
        return pb.PendingChange(
            plan=subscription.upcoming.plan,
            interval=subscription.upcoming.interval.value,
            awaits="period_end",
            invoice_id=invoice_id,
        )
    return None

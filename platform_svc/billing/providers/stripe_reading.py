"""Reads Stripe's objects: from the SDK's values to ours.

Shapes are those of the API version that the SDK pins: a subscription's period stands on its item,
an invoice's subscription under its parent.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from platform_svc.billing.catalogue import Interval, Offer
from platform_svc.billing.invoice import InvoiceState, Line, Reason
from platform_svc.billing.providers.port import RemoteInvoice, RemoteState, Snapshot

METADATA_KEY: Final = "reelmesh_subscription"
LOOKUP_KEY: Final = re.compile(r"reelmesh-(?P<plan>[a-z]+)-(?P<version>\d+)-(?P<interval>\w+)")
STATES: Final = {
    "incomplete": RemoteState.WAITING,
    "active": RemoteState.GOOD,
    "trialing": RemoteState.GOOD,
    "past_due": RemoteState.OVERDUE,
    "paused": RemoteState.OVERDUE,
    "unpaid": RemoteState.OVER,
    "canceled": RemoteState.OVER,
    "incomplete_expired": RemoteState.OVER,
}
INVOICE_STATES: Final = {
    "open": InvoiceState.OPEN,
    "paid": InvoiceState.PAID,
    "void": InvoiceState.VOID,
    "uncollectible": InvoiceState.VOID,
}
REASONS: Final = {
    "subscription_create": Reason.START,
    "subscription_cycle": Reason.RENEWAL,
    "subscription_update": Reason.UPGRADE,
}

Document = Mapping[str, Any]


class UnknownPrice(Exception):
    """A subscription at Stripe is for a price that is none of ours."""


def lookup_key(offer: Offer) -> str:
    """Return the key under which an offer's price is found at Stripe."""
    return f"reelmesh-{offer.plan}-{offer.version}-{offer.interval.value}"


def read_offer(price: Document) -> Offer:
    """Return the offer that a price is of.

    Raises:
        UnknownPrice: it has no lookup key of ours.
    """
    match = LOOKUP_KEY.fullmatch(price.get("lookup_key") or "")
    if match is None or match["interval"] not in set(Interval):
        raise UnknownPrice(str(price.get("id")))
    return Offer(match["plan"], int(match["version"]), Interval(match["interval"]))


def read_subscription(document: Document) -> Snapshot:
    """Return a subscription, whose newest invoice came with it. Raises as `read_offer`."""
    item = document["items"]["data"][0]
    ours = (document.get("metadata") or {}).get(METADATA_KEY)
    invoice = document.get("latest_invoice")
    return Snapshot(
        ref=document["id"],
        subscription_id=None if ours is None else uuid.UUID(ours),
        state=STATES.get(document["status"], RemoteState.WAITING),
        offer=read_offer(item["price"]),
        start=_time(item["current_period_start"]),
        end=_time(item["current_period_end"]),
        cancel_at_end=bool(document.get("cancel_at_period_end")),
        invoice=None if not isinstance(invoice, Mapping) else _invoice(invoice),
    )


def subscription_of_invoice(document: Document) -> str:
    """Name the subscription of an invoice, or give an empty text."""
    details = (document.get("parent") or {}).get("subscription_details") or {}
    return _ref(details.get("subscription"))


def hinted(event: Document) -> tuple[str, str] | None:
    """Return the kind and the name of the object that an event hints at, if it concerns us."""
    kind, thing = event["type"], event["data"]["object"]
    if kind.startswith("customer.subscription."):
        return "subscription", thing["id"]
    if kind.startswith("invoice.") and thing.get("id"):
        return "invoice", thing["id"]
    if kind == "checkout.session.completed":
        ref = _ref(thing.get("subscription"))
        return ("subscription", ref) if ref else None
    return None


def _invoice(document: Document) -> RemoteInvoice | None:
    state = INVOICE_STATES.get(document.get("status") or "")
    if state is None:  # A draft is none yet.
        return None
    paid_at = (document.get("status_transitions") or {}).get("paid_at")
    created = _time(document["created"])
    is_paid = state is InvoiceState.PAID
    return RemoteInvoice(
        ref=document["id"],
        number=document.get("number") or document["id"],
        state=state,
        reason=REASONS.get(document.get("billing_reason") or "", Reason.RENEWAL),
        currency=document["currency"],
        lines=tuple(
            Line(line.get("description") or "Subscription", line["amount"])
            for line in document["lines"]["data"]
        ),
        issued_at=created,
        paid_at=(_time(paid_at) if paid_at else created) if is_paid else None,
        url=document.get("hosted_invoice_url") or "",
    )


def _ref(value: Any) -> str:
    """Return the name of an object that came expanded or not, or an empty text."""
    if isinstance(value, Mapping):
        return str(value["id"])
    return value or ""


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)

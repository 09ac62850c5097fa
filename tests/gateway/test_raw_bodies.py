"""Bodies that are no messages: taken and given byte by byte, through a real Envoy."""

from __future__ import annotations

import pytest
from google.api.httpbody_pb2 import HttpBody
from reelmesh.platform.billing.v1 import stripe_service_pb2

from meshkit.ids import format_id
from meshkit.testing.fakes import Reply
from meshkit.testing.identity import USER

WEBHOOK = "/v1/webhooks/stripe"
ORG = format_id("org", USER.organization_id)
INVOICE = f"/v1/orgs/{ORG}/invoices/{format_id('bil', USER.user_id)}"
# Unknown fields, repeated keys, spaces and characters beyond ASCII: all of it is signed.
BODY = (
    '{"id": "evt_1",  "é": {"id": 1, "id": 2}, "big": 12345678901234567890, "x": null }\n'.encode()
)


@pytest.fixture
def stripe(fakes):
    return fakes["stripe"]


async def test_a_signed_body_arrives_as_it_was_sent(http, stripe) -> None:
    stripe.answer(
        "ReceiveStripeEvent", stripe_service_pb2.ReceiveStripeEventResponse(outcome="accepted")
    )
    headers = {"content-type": "application/json; charset=utf-8", "stripe-signature": "t=1,v1=ab"}
    reply = await http.post(WEBHOOK, content=BODY, headers=headers)
    assert (reply.status_code, reply.json()) == (200, {"outcome": "accepted"})
    [request] = stripe.calls["ReceiveStripeEvent"]
    assert request.payload.data == BODY
    assert request.payload.content_type == headers["content-type"]
    assert stripe.metadata["ReceiveStripeEvent"][0]["stripe-signature"] == "t=1,v1=ab"


async def test_what_is_no_json_is_for_the_service_to_judge(http, stripe) -> None:
    stripe.answer("ReceiveStripeEvent", stripe_service_pb2.ReceiveStripeEventResponse())
    await http.post(WEBHOOK, content=b"\x00\xff nonsense")
    [request] = stripe.calls["ReceiveStripeEvent"]
    assert request.payload.data == b"\x00\xff nonsense"


async def test_a_body_that_is_too_large_does_not_arrive(http, stripe) -> None:
    reply = await http.post(WEBHOOK, content=b"x" * 300_000)
    assert reply.status_code == 413
    assert stripe.calls == {}


async def test_a_document_is_given_as_it_is(user_http, fakes) -> None:
    document = b"%PDF-1.4 \x00\xff"
    fakes["invoices"].answer(
        "GetInvoiceDocument",
        Reply(
            HttpBody(content_type="application/pdf", data=document),
            (("content-disposition", 'attachment; filename="RM-1.pdf"'),),
        ),
    )
    reply = await user_http.get(f"{INVOICE}/pdf")
    assert (reply.status_code, reply.content) == (200, document)
    assert reply.headers["content-type"] == "application/pdf"
    assert reply.headers["content-disposition"] == 'attachment; filename="RM-1.pdf"'
    assert reply.headers["x-content-type-options"] == "nosniff"

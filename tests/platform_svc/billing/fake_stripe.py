"""As much of Stripe as billing calls, over real HTTP on this machine, and the events it sends.

The shapes are those of Stripe's API reference. What a customer or time does there, a test does
by methods; each leaves the objects as Stripe would and says which events follow.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import stripe
from aiohttp import web

SECRET = "whsec_of_these_tests"
PRICES = {
    f"reelmesh-{plan}-1-{interval}": f"price_{plan}_{interval}"
    for plan in ("creator", "studio")
    for interval in ("month", "year")
}
CENTS = {"price_creator_month": 1200, "price_studio_month": 4800, "price_creator_year": 12000}
DECLINED = {"error": {"type": "card_error", "code": "card_declined", "message": "declined"}}
MISSING = {"error": {"type": "invalid_request_error", "code": "resource_missing", "message": "no"}}


class FakeStripe:
    """Sessions, subscriptions and invoices by their names."""

    def __init__(self) -> None:
        self.sessions: dict[str, dict[str, Any]] = {}
        self.subscriptions: dict[str, dict[str, Any]] = {}
        self.invoices: dict[str, dict[str, Any]] = {}
        self.calls: list[tuple[str, str]] = []
        self.answers: dict[str, dict[str, Any]] = {}  # By idempotency key.
        self.is_declining = False
        self.is_away = False
        self.now = 0
        self.url = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        app = web.Application(middlewares=[self._always])
        app.router.add_get("/v1/prices", self._prices)
        app.router.add_post("/v1/checkout/sessions", self._open)
        app.router.add_post("/v1/checkout/sessions/{id}/expire", self._expire)
        app.router.add_get("/v1/subscriptions/{id}", self._subscription)
        app.router.add_post("/v1/subscriptions/{id}", self._update)
        app.router.add_get("/v1/invoices/{id}", self._invoice)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield
        finally:
            await runner.cleanup()

    def pay(self, session_id: str, start: datetime, end: datetime) -> str:
        """Let a customer pay on the page of a session; give the name of the subscription."""
        session = self.sessions[session_id]
        assert session["status"] == "open", session
        ref = f"sub_{len(self.subscriptions) + 1}"
        session |= {"status": "complete", "subscription": ref}
        self.subscriptions[ref] = {
            "id": ref,
            "object": "subscription",
            "status": "active",
            "metadata": session["metadata"],
            "cancel_at_period_end": False,
            "items": {"object": "list", "data": [self._item(session["price"], start, end)]},
        }
        self.bill(ref, "subscription_create", CENTS[session["price"]])
        return ref

    def bill(self, ref: str, reason: str, cents: int, state: str = "paid") -> str:
        """Make the newest invoice of a subscription."""
        name = f"in_{len(self.invoices) + 1}"
        self.invoices[name] = {
            "id": name,
            "object": "invoice",
            "number": f"STRIPE-{len(self.invoices) + 1:04d}",
            "status": state,
            "billing_reason": reason,
            "currency": "usd",
            "created": self.now,
            "status_transitions": {"paid_at": self.now if state == "paid" else None},
            "hosted_invoice_url": f"https://invoice.stripe.com/{name}",
            "lines": {"object": "list", "data": [{"description": "1 x plan", "amount": cents}]},
            "parent": {"subscription_details": {"subscription": ref}},
        }
        self.subscriptions[ref]["latest_invoice"] = name
        return name

    def renew(self, ref: str, start: datetime, end: datetime, state: str = "paid") -> str:
        """Begin the next period, as Stripe does before the money is there."""
        item = self.subscriptions[ref]["items"]["data"][0]
        item |= self._item(item["price"]["id"], start, end)
        return self.bill(ref, "subscription_cycle", CENTS[item["price"]["id"]], state)

    async def _prices(self, request: web.Request) -> web.Response:
        key = request.query["lookup_keys[0]"]
        found = [{"id": PRICES[key], "object": "price"}] if key in PRICES else []
        return _json({"object": "list", "data": found, "has_more": False, "url": "/v1/prices"})

    async def _open(self, request: web.Request) -> web.Response:
        form = await request.post()
        name = f"cs_{len(self.sessions) + 1}"
        self.sessions[name] = {
            "id": name,
            "object": "checkout.session",
            "status": "open",
            "url": f"https://checkout.stripe.com/{name}",
            "price": form["line_items[0][price]"],
            "client_reference_id": form["client_reference_id"],
            "metadata": {
                "reelmesh_subscription": form["subscription_data[metadata][reelmesh_subscription]"]
            },
        }
        return _json(self.sessions[name])

    async def _expire(self, request: web.Request) -> web.Response:
        session = self.sessions[request.match_info["id"]]
        if session["status"] != "open":
            return _json(MISSING, 400)
        session["status"] = "expired"
        return _json(session)

    async def _subscription(self, request: web.Request) -> web.Response:
        found = self.subscriptions.get(request.match_info["id"])
        if found is None:
            return _json(MISSING, 404)
        shown = dict(found)
        if request.query.get("expand[0]") == "latest_invoice" and shown.get("latest_invoice"):
            shown["latest_invoice"] = self.invoices[shown["latest_invoice"]]
        return _json(shown)

    async def _update(self, request: web.Request) -> web.Response:
        found, form = self.subscriptions[request.match_info["id"]], await request.post()
        price, item = form.get("items[0][price]"), found["items"]["data"][0]
        if price is not None and form["proration_behavior"] == "always_invoice":
            if self.is_declining:
                return _json(DECLINED, 402)
            self.bill(found["id"], "subscription_update", CENTS[price] - CENTS[item["price"]["id"]])
        if price is not None:
            item["price"] = _price(price)
        found["cancel_at_period_end"] = form["cancel_at_period_end"].lower() == "true"
        return _json(found)

    async def _invoice(self, request: web.Request) -> web.Response:
        return _json(self.invoices[request.match_info["id"]])

    @web.middleware
    async def _always(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.calls.append((request.method, request.path))
        assert request.headers["authorization"] == "Bearer sk_of_these_tests"
        if self.is_away:
            return _json({"error": {"type": "api_error", "message": "away"}}, 503)
        key = request.headers.get("idempotency-key") if request.method == "POST" else None
        if key in self.answers:
            return _json(self.answers[key])
        answer = await handler(request)
        if key is not None and answer.status == 200:
            self.answers[key] = json.loads(answer.text)
        return answer

    def _item(self, price: str, start: datetime, end: datetime) -> dict[str, Any]:
        return {
            "id": "si_1",
            "object": "subscription_item",
            "price": _price(price),
            "current_period_start": int(start.timestamp()),
            "current_period_end": int(end.timestamp()),
        }


def event(name: str, kind: str, thing: dict[str, Any]) -> bytes:
    """Give the body of an event."""
    return json.dumps(
        {"id": name, "object": "event", "type": kind, "data": {"object": thing}}
    ).encode()


def signed(body: bytes, now: datetime, secret: str = SECRET) -> tuple[tuple[str, str], ...]:
    """Give the header with which Stripe sends a body."""
    moment = int(now.timestamp())
    mac = stripe.WebhookSignature._compute_signature(f"{moment}.{body.decode()}", secret)
    return (("stripe-signature", f"t={moment},v1={mac}"),)


def _price(name: str) -> dict[str, Any]:
    key = next(key for key, known in PRICES.items() if known == name)
    return {"id": name, "object": "price", "lookup_key": key}


def _json(document: dict[str, Any], status: int = 200) -> web.Response:
    return web.json_response(document, status=status)

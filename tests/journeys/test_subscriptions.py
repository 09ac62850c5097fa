"""An organization buys a plan, uses it and cancels it, on the running platform."""

from __future__ import annotations

import asyncio

import pytest

from business_svc.tools.config import RIGHTS_SECONDS_DEFAULT
from deploy.account import sign_in_as_operator
from deploy.client import ApiError, ReelmeshClient
from tests.journeys.mesh import POLL_SECONDS, Mesh

TOOL = "text-to-image"
FINE = {"prompt": "a red circle", "steps": 51, "seed": 5}
SIGN_UP_CREDITS = 500
PLAN_CREDITS = 2000


async def bought(mesh: Mesh, client: ReelmeshClient, plan: str) -> str:
    """Want a plan and have the operator say that it was paid; give the invoice's id."""
    wanted = await client.call("POST", f"{org_of(client)}/subscription:change", {"plan": plan})
    invoice_id = wanted["pending"]["invoice_id"]
    async with ReelmeshClient(mesh.gateway_url) as operator:
        await sign_in_as_operator(operator, mesh.layout)
        await operator.call("POST", f"/v1/ops/invoices/{invoice_id}:mark-paid", {})
    return invoice_id


def org_of(client: ReelmeshClient) -> str:
    assert client.session is not None
    return f"/v1/orgs/{client.session.org_id}"


async def refused(call, status: int, reason: str) -> None:
    with pytest.raises(ApiError) as refusal:
        await call
    assert (refusal.value.status, refusal.value.reason) == (status, reason)


async def test_a_plan_changes_what_is_run_and_in_which_band(mesh: Mesh) -> None:
    async with mesh.user() as client:
        org = org_of(client)
        plans = (await client.call("GET", "/v1/plans"))["plans"]
        assert [plan["plan"] for plan in plans] == ["free", "creator", "studio"]
        assert (await client.call("GET", f"{org}/subscription"))["state"] == "none"
        await refused(client.run(TOOL, FINE), 403, "PLAN_LIMIT_EXCEEDED")
        free = await client.run(TOOL, FINE | {"steps": 4})
        assert free["band"] == 2
        assert (await client.finished(free["run_id"]))["state"] == "succeeded"

        invoice_id = await bought(mesh, client, "creator")
        subscription = await client.call("GET", f"{org}/subscription")
        assert (subscription["plan"], subscription["state"]) == ("creator", "active")
        paid = SIGN_UP_CREDITS - 2 + PLAN_CREDITS
        async with asyncio.timeout(20):
            while (await client.balance())["available"] != paid:  # noqa: ASYNC110 - other processes set no events here
                await asyncio.sleep(POLL_SECONDS)
        await asyncio.sleep(RIGHTS_SECONDS_DEFAULT)  # The time within which a new plan counts.
        run = await client.run(TOOL, FINE)
        assert run["band"] == 1
        assert (await client.finished(run["run_id"]))["state"] == "succeeded"

        plan_grant, welcome = (await client.call("GET", f"{org}/grants"))["grants"]
        assert (plan_grant["kind"], welcome["kind"]) == ("plan", "promotion")
        assert plan_grant["expires_at"] == subscription["period_end"]
        # The plan's credits burn first.
        assert welcome["remaining_credits"] == SIGN_UP_CREDITS - 2
        assert plan_grant["remaining_credits"] < PLAN_CREDITS

        await shows_its_invoice(mesh, client, invoice_id)
        canceled = await client.call("POST", f"{org}/subscription:change", {"plan": "free"})
        assert (canceled["plan"], canceled["pending"]["plan"]) == ("creator", "free")
    assert await mesh.offenders() == {}


async def shows_its_invoice(mesh: Mesh, client: ReelmeshClient, invoice_id: str) -> None:
    path = f"{org_of(client)}/invoices"
    [invoice] = (await client.call("GET", path))["invoices"]
    assert (invoice["invoice_id"], invoice["state"]) == (invoice_id, "paid")
    async with mesh.http(client) as http, mesh.http() as nobody:
        page = await http.get(f"{path}/{invoice_id}/html")
        assert page.headers["content-type"].startswith("text/html")
        assert page.headers["content-security-policy"].startswith("default-src 'none'")
        assert invoice["number"] in page.text
        document = await http.get(f"{path}/{invoice_id}/pdf")
        assert document.headers["content-type"] == "application/pdf"
        assert document.content.startswith(b"%PDF-")
        assert (await nobody.get(f"{path}/{invoice_id}/pdf")).status_code == 401


async def test_a_stranger_sees_and_changes_nothing(mesh: Mesh) -> None:
    async with mesh.users(2) as (owner, stranger):
        org = org_of(owner)
        wanted = await owner.call("POST", f"{org}/subscription:change", {"plan": "studio"})
        invoice = wanted["pending"]["invoice_id"]
        change = stranger.call("POST", f"{org}/subscription:change", {"plan": "free"})
        await refused(change, 403, "NOT_A_MEMBER")
        mine = f"{org_of(stranger)}/invoices/{invoice}"
        await refused(stranger.call("GET", mine), 404, "INVOICE_NOT_FOUND")
        paying = owner.call("POST", f"/v1/ops/invoices/{invoice}:mark-paid", {})
        await refused(paying, 403, "CALLER_NOT_ALLOWED")


async def test_events_of_a_provider_that_is_not_used_are_refused(mesh: Mesh) -> None:
    async with mesh.http() as http:
        answer = await http.post("/v1/webhooks/stripe", content=b'{"id": "evt_1"}')
    assert answer.status_code == 400
    assert answer.json()["details"][0]["reason"] == "PROVIDER_NOT_CONFIGURED"

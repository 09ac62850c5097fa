"""An organization buys a plan, pays its invoice, and is served earlier."""

from __future__ import annotations

from typing import Any, Final

from deploy.client import ApiError, ReelmeshClient
from deploy.tour.guide import Guide

ORDER: Final = 40
TITLE: Final = "Plans, invoices and credits that expire"


async def run(guide: Guide) -> None:
    """Be limited by the free plan, buy a larger one, and use what it gives."""
    async with guide.user("producer") as producer, guide.operator() as operator:
        assert producer.session is not None
        org = f"/v1/orgs/{producer.session.org_id}"
        plans = (await producer.call("GET", "/v1/plans"))["plans"]
        guide.say(f"on offer: {', '.join(_said(plan) for plan in plans)}")
        fine = {"prompt": "a blue star", "steps": 60}
        await guide.refused(producer.run("text-to-image", fine), "PLAN_LIMIT_EXCEEDED")
        wanted = await producer.call("POST", f"{org}/subscription:change", {"plan": "creator"})
        invoice = f"{wanted['pending']['invoice_id']}"
        paid = await operator.call("POST", f"/v1/ops/invoices/{invoice}:mark-paid", {})
        guide.say(
            f"{paid['number']} over {paid['total_cents'] / 100:.2f} {paid['currency']} is paid"
        )
        await _use(guide, producer, org, fine)


async def _use(guide: Guide, producer: ReelmeshClient, org: str, fine: dict[str, Any]) -> None:
    async def has_credits() -> bool:
        grants = (await producer.call("GET", f"{org}/grants"))["grants"]
        return bool(grants[0]["kind"] == "plan")

    await guide.until("the plan's credits", has_credits)
    grant = (await producer.call("GET", f"{org}/grants"))["grants"][0]
    guide.say(f"{grant['remaining_credits']} credits until {grant['expires_at'][:10]} burn first")

    async def may_run() -> bool:
        # business remembers the free plan for some seconds.
        try:
            begun.append(await producer.run("text-to-image", fine))
        except ApiError as error:
            guide.check(error.reason == "PLAN_LIMIT_EXCEEDED", f"refused with {error.reason}")
        return bool(begun)

    begun: list[dict[str, Any]] = []
    await guide.until("a finer picture", may_run)
    await producer.cancel(begun[0]["run_id"])
    guide.say(f"a picture of 60 steps is let through, in band {begun[0]['band']} instead of 2")
    canceled = await producer.call("POST", f"{org}/subscription:change", {"plan": "free"})
    guide.say(f"canceled, the plan counts until {canceled['period_end'][:10]}")


def _said(plan: dict[str, Any]) -> str:
    prices = {price["interval"]: price["cents"] for price in plan["prices"]}
    return f"{plan['title']} ({prices.get('month', 0) / 100:.2f} a month)"

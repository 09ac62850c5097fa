"""A clock that runs through years: renewals, credits and their expiry, day by day."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from reelmesh.platform.billing.v1 import invoices_service_pb2 as invoices_pb
from sqlalchemy import text as sql

from meshkit.testing.clock import ManualClock
from meshkit.testing.identity import USER
from platform_svc.billing.months import add_months
from platform_svc.credits.ledger import GrantKind, GrantRequest, HoldRequest

from .harness import Installation

DAY = timedelta(days=1)
WEEK = timedelta(days=7)
SPENT_PER_MONTH = 300
BREAKAGE = (
    "SELECT coalesce(sum(amount), 0) FROM credits.ledger_entry WHERE account LIKE 'breakage:%'"
)
ORDERED = "SELECT count(*), sum(amount) FROM billing.credit_order WHERE state = 'given'"


@pytest.fixture
def clock() -> ManualClock:
    """The worst day to begin on."""
    return ManualClock(datetime(2027, 1, 31, 15, 30, tzinfo=UTC))


async def pay_what_is_open(installation: Installation) -> list[invoices_pb.Invoice]:
    due = [one for one in await installation.listed() if one.state == "open"]
    return [await installation.pay(one.invoice_id) for one in due]


async def spend(installation: Installation, name: str, amount: int) -> None:
    hold = HoldRequest(name, USER.organization_id, amount, timedelta(hours=1))
    await installation.credits.hold(hold)
    await installation.credits.capture(name, amount)


async def test_a_year_of_monthly_payments(installation) -> None:
    await installation.credits.grant(
        GrantRequest(USER.organization_id, 500, "sign-up", GrantKind.PROMOTION)
    )
    await installation.change("creator")
    await pay_what_is_open(installation)
    begins = []
    for month in range(12):
        now = await installation.subscription()
        assert (now.plan, now.state) == ("creator", "active")
        start, end = (one.ToDatetime(tzinfo=UTC) for one in (now.period_start, now.period_end))
        begins.append(start.day)
        # The plan's credits burn first, so the welcome's stay whole.
        assert await installation.available() == 500 + 2000
        await spend(installation, f"run_{month}", SPENT_PER_MONTH)
        await installation.move_to(start + WEEK)
        assert await installation.available() == 500 + 2000 - SPENT_PER_MONTH
        await installation.move_to(end - DAY)
        await pay_what_is_open(installation)
        assert await installation.broken() == {}
        await installation.move_to(end)

    # February is short, and moves no later month.
    assert begins == [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    assert installation.clock.now() == datetime(2028, 1, 31, 15, 30, tzinfo=UTC)
    invoices = await installation.listed()
    assert Counter(one.reason for one in invoices) == {"renewal": 12, "start": 1}
    assert sum(one.total_cents for one in invoices if one.state == "paid") == 13 * 1200
    numbers = [one.number for one in reversed(invoices)]
    expected = [f"RM-2027-{n:06d}" for n in range(1, 13)] + ["RM-2028-000001"]
    assert numbers == expected
    async with installation.credits_database.sessions() as session:
        # What was neither spent nor is there has expired, as a posting of its own.
        assert await session.scalar(sql(BREAKAGE)) == 12 * (2000 - SPENT_PER_MONTH)
        assert tuple((await session.execute(sql(ORDERED))).one()) == (13, 13 * 2000)
    assert await installation.broken() == {}


async def test_a_year_that_is_paid_at_once_gives_credits_every_month(installation) -> None:
    await installation.change("creator", "year")
    [paid] = await pay_what_is_open(installation)
    assert paid.total_cents == 12_000
    begun = (await installation.subscription()).period_start.ToDatetime(tzinfo=UTC)
    for month in range(12):
        assert await installation.available() == 2000
        await spend(installation, f"run_{month}", 2000)
        # Looking again gives nothing twice.
        await installation.move_to(installation.clock.now() + WEEK)
        assert await installation.available() == 0
        await installation.move_to(add_months(begun, month + 1))
    assert await installation.available() == 0
    assert (await installation.subscription()).state == "past_due"
    assert await installation.broken() == {}


async def test_workers_that_slept_for_a_year_do_what_is_right_now(installation) -> None:
    begun = await installation.change("creator")
    await installation.pay(begun.pending.invoice_id)
    await installation.move_to(installation.clock.now() + timedelta(days=365))
    now = await installation.subscription()
    assert (now.plan, now.state) == ("free", "none")
    assert await installation.available() == 0
    assert [one.state for one in await installation.listed()] == ["paid"]
    assert await installation.broken() == {}

"""A billing and a credits database of the test's own, with both services on sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from meshkit.testing.clock import ManualClock
from meshkit.testing.databases import Databases
from meshkit.testing.identity import TestIdentity
from platform_svc.billing.config import BillingSettings
from platform_svc.billing.wiring import MIGRATIONS
from platform_svc.credits import wiring as credits_wiring

from .harness import Installation


@pytest.fixture(scope="session")
async def billing_template(databases: Databases) -> str:
    return await databases.template({"billing": MIGRATIONS, "credits": credits_wiring.MIGRATIONS})


@pytest.fixture
async def billing_url(databases: Databases, billing_template: str) -> AsyncIterator[str]:
    async with databases.clone(billing_template) as url:
        yield url


@pytest.fixture
async def installation(
    billing_url: str, clock: ManualClock, identity: TestIdentity
) -> AsyncIterator[Installation]:
    """An installation that collects by itself."""
    settings = BillingSettings(seller="Acme <Films>", payment_details="IBAN XX00 & so on")
    async with AsyncExitStack() as stack:
        yield await Installation.open(stack, billing_url, clock, identity, settings)

"""A credits database of the test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from meshkit.postgres import Database
from meshkit.testing.clock import ManualClock
from meshkit.testing.databases import Databases
from platform_svc.credits.commands import CreditCommands
from platform_svc.credits.queries import CreditQueries
from platform_svc.credits.wiring import MIGRATIONS


@pytest.fixture(scope="session")
async def credits_template(databases: Databases) -> str:
    return await databases.template({"credits": MIGRATIONS})


@pytest.fixture
async def database(databases: Databases, credits_template: str) -> AsyncIterator[Database]:
    async with (
        databases.clone(credits_template) as url,
        Database(url, schema="credits", pool_size=16) as database,
    ):
        yield database


@pytest.fixture
def commands(database: Database, clock: ManualClock) -> CreditCommands:
    return CreditCommands(database.sessions, clock.ambient)


@pytest.fixture
def queries(database: Database, clock: ManualClock) -> CreditQueries:
    return CreditQueries(database.sessions, clock.ambient)

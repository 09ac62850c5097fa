"""The inference part on databases of the tests' own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from inference.jobs.invariants import offenders
from inference.testing import Bench, bench
from inference.wiring import MIGRATIONS, SCHEMA
from meshkit.testing.databases import Databases


@pytest.fixture(scope="session")
async def jobs_template(databases: Databases) -> str:
    return await databases.template({SCHEMA: MIGRATIONS})


@pytest.fixture
async def jobs(databases: Databases, jobs_template: str) -> AsyncIterator[Bench]:
    """Jobs without loops; at the end every invariant must hold."""
    async with databases.clone(jobs_template) as url, bench(url) as made:
        yield made
        async with made.database.sessions.begin() as session:
            assert await offenders(session) == {}


@pytest.fixture
async def live(databases: Databases, jobs_template: str) -> AsyncIterator[Bench]:
    """Jobs with the scheduler and the upkeep running; at the end every invariant must hold."""
    async with databases.clone(jobs_template) as url, bench(url, loops=True) as made:
        yield made
        async with made.database.sessions.begin() as session:
            assert await offenders(session) == {}

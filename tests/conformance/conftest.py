"""Servers and wires that the suites share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from inference.jobs.invariants import offenders
from inference.testing import Bench, bench
from inference.wiring import MIGRATIONS, SCHEMA
from meshkit.testing.brokers import BROKERS
from meshkit.testing.databases import Databases
from tests.conformance.wires import BrokerServers, Wire, broker_wire, direct_wire, grpc_wire


@pytest.fixture(scope="module")
async def brokers() -> AsyncIterator[BrokerServers]:
    async with AsyncExitStack() as stack:
        yield BrokerServers(stack)


@pytest.fixture
async def jobs(databases: Databases) -> AsyncIterator[Bench]:
    template = await databases.template({SCHEMA: MIGRATIONS})
    # However slow a restart is, a lease ends when a test says so.
    forever = timedelta(hours=1)
    async with (
        databases.clone(template) as url,
        bench(url, loops=True, lease_ttl=forever) as made,
    ):
        yield made
        async with made.database.sessions.begin() as session:
            assert await offenders(session) == {}


@pytest.fixture(params=["direct", "grpc", *BROKERS])
async def wire(
    request: pytest.FixtureRequest, jobs: Bench, tmp_path: Path, brokers: BrokerServers
) -> AsyncIterator[Wire]:
    """One way between a region and the scheduler."""
    if request.param == "direct":
        yield direct_wire(jobs)
    elif request.param == "grpc":
        async with grpc_wire(jobs, tmp_path) as wire:
            yield wire
    else:
        async with broker_wire(jobs, tmp_path, await brokers.get(request.param)) as wire:
            yield wire

"""The pytest plugin of the services' tests: `pytest_plugins = ["meshkit.testing.fixtures"]`."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from meshkit.testing.clock import ManualClock
from meshkit.testing.databases import Databases, PostgresServer


@pytest.fixture
def clock() -> ManualClock:
    """A clock of the test's own."""
    return ManualClock()


@pytest.fixture(scope="session")
async def postgres() -> AsyncIterator[PostgresServer]:
    """A Postgres server that ends with the run."""
    server = PostgresServer()
    try:
        await server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def databases(postgres: PostgresServer) -> Databases:
    """Migrated templates and their clones."""
    return Databases(postgres)

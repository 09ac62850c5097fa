"""The pytest plugin of the services' tests: `pytest_plugins = ["meshkit.testing.fixtures"]`."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from meshkit.bus import EventBus
from meshkit.object_store import S3ObjectStore, S3Settings
from meshkit.testing.clock import ManualClock
from meshkit.testing.databases import Databases, PostgresServer
from meshkit.testing.identity import TestIdentity
from meshkit.testing.nats import NatsServer
from meshkit.testing.seaweedfs import SeaweedServer


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


@pytest.fixture(scope="session")
async def nats_server() -> AsyncIterator[NatsServer]:
    """A NATS server that ends with the run; tests that stop it make one of their own."""
    server = NatsServer()
    try:
        await server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def nats_url(nats_server: NatsServer) -> str:
    """The address of the run's NATS server."""
    return nats_server.url


@pytest.fixture(scope="session")
async def bus(nats_url: str) -> AsyncIterator[EventBus]:
    """A connection to the run's NATS server."""
    async with EventBus(nats_url) as bus:
        await bus.connected()
        yield bus


@pytest.fixture(scope="session")
async def s3_settings() -> AsyncIterator[S3Settings]:
    """A SeaweedFS that ends with the run, with its bucket."""
    server = SeaweedServer()
    try:
        await server.start()
        yield server.settings
    finally:
        server.stop()


@pytest.fixture(scope="session")
async def objects(s3_settings: S3Settings) -> AsyncIterator[S3ObjectStore]:
    """The run's object store."""
    async with S3ObjectStore(s3_settings) as store:
        yield store


@pytest.fixture(scope="session")
def identity(tmp_path_factory: pytest.TempPathFactory) -> TestIdentity:
    """The keys of the run: user tokens and service tokens of every kind."""
    return TestIdentity(tmp_path_factory.mktemp("secrets"))

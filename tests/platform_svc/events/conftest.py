"""The events service on a database of the test's own, served as in production."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from reelmesh.platform.events.v1.events_service_pb2_grpc import EventsServiceStub

from meshkit.postgres import Database
from meshkit.testing.clock import ManualClock
from meshkit.testing.databases import Databases
from meshkit.testing.identity import TestIdentity
from meshkit.testing.servers import ServedMesh, serve
from platform_svc.events.wiring import MIGRATIONS, service


@pytest.fixture(scope="session")
async def events_template(databases: Databases) -> str:
    return await databases.template({"events": MIGRATIONS})


@pytest.fixture
async def database(databases: Databases, events_template: str) -> AsyncIterator[Database]:
    async with (
        databases.clone(events_template) as url,
        Database(url, schema="events", pool_size=16) as database,
    ):
        yield database


@pytest.fixture
async def mesh(
    database: Database, clock: ManualClock, identity: TestIdentity
) -> AsyncIterator[ServedMesh]:
    async with serve(service(database, clock.ambient), identity=identity) as mesh:
        yield mesh


@pytest.fixture
async def user(mesh: ServedMesh) -> AsyncIterator[EventsServiceStub]:
    async with mesh.as_user(EventsServiceStub) as stub:
        yield stub

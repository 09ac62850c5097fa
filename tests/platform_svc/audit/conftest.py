"""The audit service on a real database, served as in production."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from reelmesh.platform.audit.v1.audit_service_pb2_grpc import AuditServiceStub

from meshkit.object_store import S3ObjectStore
from meshkit.postgres import Database
from meshkit.testing.clock import ManualClock
from meshkit.testing.databases import Databases
from meshkit.testing.identity import TestIdentity
from meshkit.testing.servers import ServedMesh, serve
from platform_svc.audit.commands import AuditCommands
from platform_svc.audit.keeping import PREFIX, HeadKeeper, KeptHeads
from platform_svc.audit.queries import AuditQueries
from platform_svc.audit.wiring import MIGRATIONS, audit_service


@pytest.fixture(scope="session")
async def audit_template(databases: Databases) -> str:
    return await databases.template({"audit": MIGRATIONS})


@pytest.fixture
async def database(databases: Databases, audit_template: str) -> AsyncIterator[Database]:
    async with (
        databases.clone(audit_template) as url,
        Database(url, schema="audit", pool_size=16) as database,
    ):
        yield database


@pytest.fixture
def commands(database: Database, clock: ManualClock) -> AuditCommands:
    return AuditCommands(database.sessions, clock.ambient)


@pytest.fixture
async def kept(objects: S3ObjectStore) -> AsyncIterator[KeptHeads]:
    yield KeptHeads(objects)
    async for info in objects.list(PREFIX):
        await objects.delete(info.key)


@pytest.fixture
def keeper(database: Database, kept: KeptHeads) -> HeadKeeper:
    return HeadKeeper(database.sessions, kept, timedelta(minutes=5))


@pytest.fixture
def queries(database: Database, kept: KeptHeads) -> AuditQueries:
    return AuditQueries(database.sessions, kept)


@pytest.fixture
async def mesh(queries: AuditQueries, identity: TestIdentity) -> AsyncIterator[ServedMesh]:
    async with serve(audit_service(queries), identity=identity) as mesh:
        yield mesh


@pytest.fixture
async def stub(mesh: ServedMesh) -> AsyncIterator[AuditServiceStub]:
    async with mesh.as_user(AuditServiceStub) as stub:
        yield stub

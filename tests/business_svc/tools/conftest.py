"""A tools database of the test's own, with fakes of platform and inference on a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from business_svc.tools.wiring import MIGRATIONS
from meshkit.postgres import Database
from meshkit.testing.clock import ManualClock
from meshkit.testing.databases import Databases
from meshkit.testing.identity import TestIdentity
from meshkit.testing.servers import serve

from .fakes import FakeInference, FakePlatform
from .harness import Installation, Process


@pytest.fixture(scope="session")
def tools_identity(tmp_path_factory: pytest.TempPathFactory) -> TestIdentity:
    return TestIdentity(tmp_path_factory.mktemp("tools-keys"))


@pytest.fixture(scope="session")
async def tools_template(databases: Databases) -> str:
    return await databases.template({"tools": MIGRATIONS})


@pytest.fixture
async def database(databases: Databases, tools_template: str) -> AsyncIterator[Database]:
    async with (
        databases.clone(tools_template) as url,
        Database(url, schema="tools", pool_size=16) as database,
    ):
        yield database


@pytest.fixture
async def installation(
    database: Database, clock: ManualClock, tools_identity: TestIdentity
) -> AsyncIterator[Installation]:
    platform, inference = FakePlatform(), FakeInference()
    services = (
        platform.members.service(),
        platform.credits.service(),
        platform.assets.service(),
        platform.billing.service(),
        inference.servicer.service(),
    )
    async with serve(*services, identity=tools_identity) as others:
        yield Installation(database, clock, tools_identity, platform, inference, others)


@pytest.fixture
async def process(installation: Installation) -> AsyncIterator[Process]:
    async with installation.process() as process:
        yield process

"""One database for tests whose organizations keep them apart, which saves a clone for each."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from meshkit.object_store import S3ObjectStore
from meshkit.postgres import Database
from meshkit.testing.databases import Databases
from meshkit.testing.parts import PartUnderTest, serve_part
from meshkit.testing.servers import ServedMesh
from platform_svc.assets.wiring import open_service


@pytest.fixture(scope="package")
async def database(databases: Databases, assets_template: str) -> AsyncIterator[Database]:
    async with (
        databases.clone(assets_template) as url,
        Database(url, schema="assets", pool_size=10) as database,
    ):
        yield database


@pytest.fixture(scope="package")
async def mesh(
    database, identity, bus, objects: S3ObjectStore, variables: dict[str, str]
) -> AsyncIterator[ServedMesh]:
    part = PartUnderTest("platform", database.url, identity, bus, variables, objects=objects)
    async with serve_part(part, [open_service]) as mesh:
        yield mesh

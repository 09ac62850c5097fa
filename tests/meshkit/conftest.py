"""A sample schema that has every shared table."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from meshkit.postgres import Database
from meshkit.testing.databases import Databases

SAMPLE_MIGRATIONS = Path(__file__).parent / "versions"


@pytest.fixture(scope="session")
async def sample_template(databases: Databases) -> str:
    return await databases.template({"sample": SAMPLE_MIGRATIONS})


@pytest.fixture
async def database(databases: Databases, sample_template: str) -> AsyncIterator[Database]:
    async with (
        databases.clone(sample_template) as url,
        Database(url, schema="sample", pool_size=12) as database,
    ):
        yield database

"""The social service, served on a real database as in production."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import sqlalchemy as sa

from business_svc.social.tables import Base
from business_svc.social.wiring import MIGRATIONS
from meshkit.postgres import Database
from meshkit.testing.databases import Databases

from .people import Person, Town, town_on


@pytest.fixture(scope="session")
async def social_template(databases: Databases) -> str:
    return await databases.template({"social": MIGRATIONS})


@pytest.fixture(scope="session")
async def social_database(databases: Databases, social_template: str) -> AsyncIterator[Database]:
    async with (
        databases.clone(social_template) as url,
        Database(url, schema="social", pool_size=10) as database,
    ):
        yield database


@pytest.fixture
async def database(social_database: Database) -> Database:
    """The database of all these tests, emptied: a schema this large is slow to copy."""
    tables = ", ".join(str(table) for table in Base.metadata.sorted_tables)
    async with social_database.sessions.begin() as session:
        await session.execute(sa.text(f"TRUNCATE {tables} RESTART IDENTITY"))
    return social_database


@pytest.fixture
async def town(database, clock, identity) -> AsyncIterator[Town]:
    async with town_on(database, clock, identity) as town:
        yield town


@pytest.fixture
async def ada(town) -> Person:
    return await town.person("ada")


@pytest.fixture
async def bob(town) -> Person:
    return await town.person("bob")


@pytest.fixture
async def cyd(town) -> Person:
    return await town.person("cyd")

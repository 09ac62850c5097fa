"""The social service, served on a real database as in production."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from business_svc.social.wiring import MIGRATIONS
from meshkit.postgres import Database
from meshkit.testing.databases import Databases

from .people import Person, Town, town_on


@pytest.fixture(scope="session")
async def social_template(databases: Databases) -> str:
    return await databases.template({"social": MIGRATIONS})


@pytest.fixture
async def database(databases: Databases, social_template: str) -> AsyncIterator[Database]:
    async with (
        databases.clone(social_template) as url,
        Database(url, schema="social", pool_size=10) as database,
    ):
        yield database


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

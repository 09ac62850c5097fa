"""Each service's migrations can be undone, and what they leave is nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import ModuleType

import pytest
import sqlalchemy as sa

from meshkit.migrations import VERSION_TABLE, downgrade, drift, upgrade
from meshkit.postgres import Database
from meshkit.testing.databases import Databases
from platform_svc.access import tables as access_tables
from platform_svc.access import wiring as access
from platform_svc.assets import tables as assets_tables
from platform_svc.assets import wiring as assets
from platform_svc.audit import tables as audit_tables
from platform_svc.audit import wiring as audit
from platform_svc.billing import tables as billing_tables
from platform_svc.billing import wiring as billing
from platform_svc.credits import tables as credits_tables
from platform_svc.credits import wiring as credits_wiring
from platform_svc.etl import tables as etl_tables
from platform_svc.etl import wiring as etl
from platform_svc.events import tables as events_tables
from platform_svc.events import wiring as events
from platform_svc.identity import tables as identity_tables
from platform_svc.identity import wiring as identity
from platform_svc.notifications import tables as notifications_tables
from platform_svc.notifications import wiring as notifications
from platform_svc.organizations import tables as organizations_tables
from platform_svc.organizations import wiring as organizations

SERVICES = {
    "access": (access_tables, access),
    "assets": (assets_tables, assets),
    "billing": (billing_tables, billing),
    "audit": (audit_tables, audit),
    "credits": (credits_tables, credits_wiring),
    "etl": (etl_tables, etl),
    "events": (events_tables, events),
    "identity": (identity_tables, identity),
    "notifications": (notifications_tables, notifications),
    "organizations": (organizations_tables, organizations),
}
LEFT = """
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = :schema AND c.relkind IN ('r', 'S', 'v') AND c.relname <> :version
UNION ALL
SELECT p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname = :schema
"""


@pytest.fixture
async def empty_url(databases: Databases) -> AsyncIterator[str]:
    async with databases.clone(await databases.template({})) as url:
        yield url


@pytest.mark.parametrize("schema", SERVICES)
async def test_migrations_are_undone_without_a_trace_and_done_again(
    empty_url: str, schema: str
) -> None:
    tables: ModuleType = SERVICES[schema][0]
    folder = SERVICES[schema][1].MIGRATIONS
    await upgrade(empty_url, schema, folder)
    await downgrade(empty_url, schema, folder, "base")
    async with Database(empty_url, schema) as database, database.sessions() as session:
        names = {"schema": schema, "version": VERSION_TABLE}
        assert (await session.scalars(sa.text(LEFT), names)).all() == []
    await upgrade(empty_url, schema, folder)
    assert await drift(empty_url, tables.Base.metadata) == []

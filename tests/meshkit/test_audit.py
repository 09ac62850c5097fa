"""Audit entries and notices leave with the transaction of the change, and say who made it."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from contextvars import copy_context
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from reelmesh.platform.audit.v1.audit_events_pb2 import ChangeRecorded
from reelmesh.platform.notifications.v1.notifications_events_pb2 import NoticeRaised

from meshkit import audit, notices
from meshkit.context import ApiKey, CallContext, ServicePrincipal, enter
from meshkit.ids import format_id
from meshkit.outbox import outbox_table
from meshkit.postgres import Database
from meshkit.testing.databases import Databases
from meshkit.testing.identity import USER

SCHEMA = "sample"
OUTBOX = outbox_table(SCHEMA)
CHANGE = audit.Change("thing.made", USER.organization_id, ("thg_1",), {"size": "3"})


@pytest.fixture
async def database(databases: Databases) -> AsyncIterator[Database]:
    template = await databases.template({SCHEMA: Path(__file__).parent / "versions"})
    async with databases.clone(template) as url, Database(url, SCHEMA) as database:
        yield database


async def written(database) -> list[sa.Row]:
    async with database.sessions() as session:
        return (await session.execute(sa.select(OUTBOX).order_by(OUTBOX.c.position))).all()


async def change_made_by(database, clock, principal, **fields) -> ChangeRecorded:
    enter(CallContext("/x", "r-1", principal=principal, network="203.0.113.7"))
    try:
        async with database.sessions.begin() as session:
            await audit.record(session, replace(CHANGE, **fields), clock.ambient)
    finally:
        enter(None)
    return ChangeRecorded.FromString((await written(database))[-1].payload)


async def test_an_entry_says_who_did_what_and_from_where(database, clock) -> None:
    told = await change_made_by(database, clock, USER)
    assert (told.actor_kind, told.actor_id) == ("user", format_id("usr", USER.user_id))
    assert (told.action, list(told.target_ids)) == ("thing.made", ["thg_1"])
    assert (told.request_id, told.network) == ("r-1", "203.0.113.7")
    assert dict(told.details) == {"size": "3"}
    assert told.api_key_id == ""
    assert (await written(database))[0].subject == audit.CHANGE_RECORDED


async def test_a_program_a_service_and_the_system_are_told_apart(database, clock) -> None:
    key = uuid.UUID(int=9)
    program = replace(USER, api_key=ApiKey(key, frozenset()))
    told = await change_made_by(database, clock, program)
    assert (told.actor_kind, told.api_key_id) == ("user", format_id("key", key))
    told = await change_made_by(database, clock, ServicePrincipal("business", "business"))
    assert (told.actor_kind, told.actor_id) == ("service", "business")
    async with database.sessions.begin() as session:
        await copy_context().run(audit.record, session, CHANGE, clock.ambient)
    told = ChangeRecorded.FromString((await written(database))[-1].payload)
    assert (told.actor_kind, told.actor_id) == ("system", "")


async def test_who_signs_in_is_named_by_the_service(database, clock) -> None:
    told = await change_made_by(database, clock, USER, user_id=uuid.UUID(int=4))
    assert told.actor_id == format_id("usr", uuid.UUID(int=4))


async def test_a_change_that_is_rolled_back_leaves_no_entry(database, clock) -> None:
    async def change() -> None:
        async with database.sessions.begin() as session:
            await audit.record(session, CHANGE, clock.ambient)
            await notices.raise_notice(
                session, notices.Notice("thing.made", CHANGE.org_id, "Made"), clock.ambient
            )
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await change()
    assert await written(database) == []


async def test_a_notice_carries_its_data_as_json(database, clock) -> None:
    notice = notices.Notice(
        "run.succeeded",
        USER.organization_id,
        "Your run is done",
        "run_1",
        (USER.user_id,),
        {"run_id": "run_1", "credits_charged": 4, "asset_ids": ["ast_1"]},
    )
    async with database.sessions.begin() as session:
        await notices.raise_notice(session, notice, clock.ambient)
    (row,) = await written(database)
    told = NoticeRaised.FromString(row.payload)
    assert row.subject == notices.NOTICE_RAISED
    assert (told.type, told.subject_id, told.title) == ("run.succeeded", "run_1", notice.title)
    assert list(told.user_ids) == [format_id("usr", USER.user_id)]
    assert json.loads(told.data_json) == dict(notice.data)

from __future__ import annotations

import asyncio
import traceback
import uuid

import pytest
import sqlalchemy as sa

from meshkit.config import Environment
from meshkit.postgres import (
    Database,
    DatabaseUnavailable,
    TransactionAborted,
    after_commit,
    database_url,
    driver_url,
    retry_aborted,
    schema_of,
)
from meshkit.testing.databases import Databases, PostgresServer

NOTES = sa.table("notes", sa.column("id", sa.Uuid), sa.column("text"), schema="sample")


def note(text: str) -> sa.Insert:
    return sa.insert(NOTES).values(id=uuid.uuid4(), text=text)  # noqa: TID251


async def test_deadlocked_transactions_surface_as_aborted(database: Database) -> None:
    async with database.sessions.begin() as session:
        await session.execute(note("a"))
        await session.execute(note("b"))
    both_locked = asyncio.Barrier(2)

    async def lock_in_turn(first: str, second: str) -> None:
        async with database.sessions.begin() as session:
            for text in (first, second):
                await session.execute(
                    sa.select(NOTES.c.id).where(NOTES.c.text == text).with_for_update()
                )
                if text == first:
                    await both_locked.wait()

    outcomes = await asyncio.gather(
        lock_in_turn("a", "b"), lock_in_turn("b", "a"), return_exceptions=True
    )
    assert [type(one) for one in outcomes if one is not None] == [TransactionAborted]


async def test_an_aborted_command_is_tried_three_times() -> None:
    calls = 0

    async def command() -> None:
        nonlocal calls
        calls += 1
        raise TransactionAborted("again")

    with pytest.raises(TransactionAborted):
        await retry_aborted(command)
    assert calls == 3


async def test_callbacks_wait_for_the_outer_commit(database: Database) -> None:
    called: list[str] = []
    async with database.sessions.begin() as session:
        after_commit(session, lambda: called.append("outer"))
        async with session.begin_nested():
            await session.execute(note("x"))
            after_commit(session, lambda: called.append("inner"))
        assert called == []
    assert called == ["outer", "inner"]


async def test_callbacks_are_dropped_on_rollback(database: Database) -> None:
    called: list[str] = []
    session = database.sessions()
    await session.execute(note("x"))
    after_commit(session, lambda: called.append("lost"))
    await session.rollback()
    await session.execute(note("y"))
    await session.commit()
    await session.close()
    assert called == []


async def test_sessions_know_their_schema(database: Database) -> None:
    async with database.sessions() as session:
        assert schema_of(session) == "sample"


async def test_savepoint_sessions_leave_nothing_behind(
    databases: Databases, sample_template: str
) -> None:
    for _ in range(2):  # The second round would meet the unique key of the first.
        async with databases.savepoint(sample_template, schema="sample") as sessions:
            async with sessions.begin() as session:
                await session.execute(note("same"))
            async with sessions() as session:
                texts = (await session.scalars(sa.select(NOTES.c.text))).all()
            assert texts == ["same"]


async def test_a_server_that_is_away_is_reported_as_unavailable() -> None:
    async with Database("postgresql+asyncpg://u@127.0.0.1:1/x", schema="sample") as database:
        with pytest.raises(DatabaseUnavailable):
            await database.ping()


async def end_connections(postgres: PostgresServer, database: Database) -> None:
    admin = await postgres.connect()
    name = sa.make_url(database.url).database
    query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1"
    await admin.fetch(query, name)
    await admin.close()


async def test_a_connection_lost_in_a_transaction_is_reported_as_unavailable(
    database: Database, postgres: PostgresServer
) -> None:
    session = database.sessions()
    await session.execute(note("x"))
    await end_connections(postgres, database)
    with pytest.raises(DatabaseUnavailable):
        await session.execute(note("y"))
    await session.close()


async def test_idle_connections_that_died_are_replaced(
    database: Database, postgres: PostgresServer
) -> None:
    await database.ping()
    await end_connections(postgres, database)
    await database.ping()


def test_the_password_of_the_file_goes_into_the_url(tmp_path) -> None:
    secret = tmp_path / "password"
    secret.write_text("p@ss/word\n")
    environment = Environment(
        {
            "REELMESH_DATABASE_URL": "postgresql+asyncpg://u@/reelmesh?host=/some where",
            "REELMESH_DATABASE_PASSWORD_FILE": str(secret),
        }
    )
    url = sa.make_url(database_url(environment))
    environment.finish()
    assert (url.password, url.query["host"]) == ("p@ss/word", "/some where")


def test_driver_urls_keep_socket_folders_with_spaces() -> None:
    url = driver_url("postgresql+asyncpg://u:p@/reelmesh?host=/some where")
    assert url == "postgresql://u:p@/reelmesh?host=%2Fsome%20where"


SECRET = "correct-horse-battery-staple"
FAILING = {
    "unique": "INSERT INTO sample.notes VALUES (gen_random_uuid(), :value)",
    "not null": "INSERT INTO sample.notes VALUES (NULL, :value)",
    "data": "SELECT CAST(CAST(:value AS text) AS integer)",
    "driver": "SELECT CAST(:value AS integer)",
}


@pytest.mark.parametrize("statement", FAILING.values(), ids=FAILING)
async def test_errors_repeat_no_values(database: Database, statement: str) -> None:
    async with database.sessions.begin() as session:
        await session.execute(note(SECRET))
    with pytest.raises(sa.exc.DBAPIError) as caught:
        async with database.sessions.begin() as session:
            await session.execute(sa.text(statement), {"value": SECRET})
    words = "".join(traceback.format_exception(caught.value))
    assert SECRET not in words
    assert SECRET not in repr(caught.value)
    assert statement.split(" ", maxsplit=1)[0] in words


async def test_errors_still_name_the_constraint(database: Database) -> None:
    async with database.sessions.begin() as session:
        await session.execute(note(SECRET))
    with pytest.raises(sa.exc.IntegrityError, match=r"23505.*uq_notes_text"):
        async with database.sessions.begin() as session:
            await session.execute(note(SECRET))

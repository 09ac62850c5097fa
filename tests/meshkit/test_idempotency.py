from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
import sqlalchemy as sa
from google.protobuf.wrappers_pb2 import BytesValue, StringValue
from hypothesis import given
from hypothesis import strategies as st

from meshkit.errors import IdempotencyKeyReused, InvalidRequest
from meshkit.idempotency import CallInProgress, claim, fingerprint_of, forget, store, sweep
from meshkit.postgres import Database
from meshkit.retention import Retention
from meshkit.testing.databases import Databases

REQUEST = StringValue(value="request")
ANSWER = StringValue(value="answer")
KEYS = sa.table(
    "idempotency_keys", sa.column("created_at", sa.DateTime(timezone=True)), schema="sample"
)


async def answer(database: Database, key: str | None = "k", request: StringValue = REQUEST) -> bool:
    """Make a call and say whether it had the effect itself."""
    async with database.sessions.begin() as session:
        earlier = await claim(session, "org", "Method", key, request)
        if earlier is not None:
            assert StringValue.FromString(earlier) == ANSWER
            return False
        await session.execute(sa.text("SELECT pg_sleep(0.02)"))
        await store(session, "org", "Method", key, ANSWER)
        return True


async def test_concurrent_calls_with_one_key_have_one_effect(database: Database) -> None:
    effects = await asyncio.gather(*(answer(database) for _ in range(10)))
    assert sorted(effects) == [False] * 9 + [True]


async def test_the_next_call_has_the_effect_when_the_first_rolls_back(database: Database) -> None:
    claimed = asyncio.Event()
    go_on = asyncio.Event()

    async def fail() -> None:
        async with database.sessions.begin() as session:
            await claim(session, "org", "Method", "k", REQUEST)
            claimed.set()
            await go_on.wait()
            raise LookupError

    failing = asyncio.create_task(fail())
    await claimed.wait()
    waiting = asyncio.create_task(answer(database))
    go_on.set()
    with pytest.raises(LookupError):
        await failing
    assert await waiting is True


async def test_the_same_key_with_another_body_is_refused(database: Database) -> None:
    await answer(database)
    with pytest.raises(IdempotencyKeyReused):
        await answer(database, request=StringValue(value="other"))


async def test_keys_are_apart_by_scope_and_method(database: Database) -> None:
    async with database.sessions.begin() as session:
        for scope, method in (("a", "M"), ("b", "M"), ("a", "N")):
            assert await claim(session, scope, method, "k", REQUEST) is None


async def test_calls_without_a_key_all_have_their_effect(database: Database) -> None:
    assert [await answer(database, key=None) for _ in range(2)] == [True, True]


async def test_a_claim_without_an_answer_is_in_progress_until_forgotten(
    database: Database,
) -> None:
    async with database.sessions.begin() as session:
        await claim(session, "org", "Method", "k", REQUEST)
    with pytest.raises(CallInProgress):
        await answer(database)
    async with database.sessions.begin() as session:
        await forget(session, "org", "Method", "k")
    assert await answer(database) is True


@pytest.mark.parametrize("key", ["", "k" * 256])
async def test_keys_have_bounds(databases: Databases, sample_template: str, key: str) -> None:
    async with (
        databases.savepoint(sample_template, schema="sample") as sessions,
        sessions() as session,
    ):
        with pytest.raises(InvalidRequest):
            await claim(session, "org", "Method", key, REQUEST)


async def test_keys_end_after_a_day_and_are_swept(database: Database) -> None:
    await answer(database)
    await answer(database, key="young")
    await age(database, hours=23)
    assert await answer(database) is False
    await age(database, hours=2)
    assert await answer(database, request=StringValue(value="other")) is True
    async with database.sessions.begin() as session:
        assert await sweep(session) == 1  # "young" is as old; "k" was taken anew.


async def test_retention_sweeps_the_tables_that_exist(database: Database) -> None:
    await answer(database)
    await age(database, hours=25)
    async with database.sessions.begin() as session:
        await session.execute(sa.text("DROP TABLE sample.inbox"))
    assert await Retention(database).sweep() == 1


async def age(database: Database, *, hours: int) -> None:
    async with database.sessions.begin() as session:
        older = KEYS.c.created_at - timedelta(hours=hours)
        await session.execute(sa.update(KEYS).values(created_at=older))


@given(st.binary(), st.binary())
def test_fingerprints_differ_exactly_when_requests_do(one: bytes, other: bytes) -> None:
    same = fingerprint_of(BytesValue(value=one)) == fingerprint_of(BytesValue(value=other))
    assert same == (one == other)


def test_fingerprints_tell_types_with_the_same_bytes_apart() -> None:
    assert fingerprint_of(BytesValue(value=b"x")) != fingerprint_of(StringValue(value="x"))

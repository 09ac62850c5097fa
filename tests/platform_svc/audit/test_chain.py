"""Logs only grow, and whatever is done to them behind the service's back shows."""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import IntegrityError

from meshkit.testing.clock import START
from platform_svc.audit.entry import NO_HASH, Head, Link, hash_of, linked, problem_of
from platform_svc.audit.jobs import INTACT, LogCheck

from .entries import ORG, PLAIN, entry

OTHER = uuid.UUID(int=5)
TEXTS = st.text(max_size=8)


async def do_behind_its_back(database, *statements: str) -> None:
    """Change rows as somebody can who may do anything to the database."""
    async with database.sessions.begin() as session:
        await session.execute(sa.text("ALTER TABLE audit.entry DISABLE TRIGGER USER"))
        for statement in statements:
            await session.execute(sa.text(statement))
        await session.execute(sa.text("ALTER TABLE audit.entry ENABLE TRIGGER USER"))


async def five(commands) -> None:
    for number in range(1, 6):
        assert await commands.append(entry(number))


async def test_entries_follow_each_other_in_each_log(commands, queries) -> None:
    await five(commands)
    await commands.append(entry(9, org_id=OTHER))
    verdict = await queries.verify(ORG)
    assert (verdict.problem, verdict.entries) == ("", 5)
    assert (await queries.verify(OTHER)).entries == 1


async def test_an_entry_that_is_told_again_is_in_the_log_once(commands, queries) -> None:
    assert await commands.append(entry(1))
    assert not await commands.append(entry(1))
    assert (await queries.verify(ORG)).entries == 1


async def test_entries_at_once_get_a_place_each(commands, queries) -> None:
    await asyncio.gather(*(commands.append(entry(1 + number % 20)) for number in range(40)))
    verdict = await queries.verify(ORG)
    assert (verdict.problem, verdict.entries) == ("", 20)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit.entry SET action = 'nothing.happened'",
        "DELETE FROM audit.entry",
        "TRUNCATE audit.entry",
    ],
)
async def test_the_database_refuses_to_change_what_was_written(
    database, commands, statement
) -> None:
    await commands.append(entry(1))
    with pytest.raises(IntegrityError, match="only ever added"):
        async with database.sessions.begin() as session:
            await session.execute(sa.text(statement))


@pytest.mark.parametrize(
    ("statement", "broken_at"),
    [
        ("UPDATE audit.entry SET action = 'org.renamed' WHERE position = 3", 3),
        ('UPDATE audit.entry SET details = \'{"scopes": ""}\' WHERE position = 1', 1),
        ("UPDATE audit.entry SET actor_id = 'usr_eve' WHERE position = 5", 5),
        ("UPDATE audit.entry SET recorded_at = recorded_at + interval '1 s' WHERE position = 2", 2),
        ("UPDATE audit.entry SET network = '' WHERE position = 2", 2),
        ("DELETE FROM audit.entry WHERE position = 2", 2),
        ("DELETE FROM audit.entry WHERE position = 5", 5),
        ("DELETE FROM audit.entry", 1),
    ],
)
async def test_what_was_tampered_with_is_found(
    database, commands, queries, statement, broken_at
) -> None:
    await five(commands)
    await do_behind_its_back(database, statement)
    verdict = await queries.verify(ORG)
    assert verdict.problem
    assert verdict.broken_at == broken_at
    (offender,) = (await LogCheck(queries).look())[INTACT]
    assert verdict.problem in offender


async def test_a_row_with_a_hash_of_its_own_breaks_the_next_one(
    database, commands, queries
) -> None:
    await five(commands)
    async with database.sessions() as session:
        before = await session.scalar(sa.text("SELECT hash FROM audit.entry WHERE position = 2"))
    forged = hash_of(entry(3, action="org.renamed"), 3, START, before)
    await do_behind_its_back(
        database,
        "UPDATE audit.entry SET action = 'org.renamed', "
        f"hash = decode('{forged.hex()}', 'hex') WHERE position = 3",
    )
    assert (await queries.verify(ORG)).broken_at == 4


async def test_a_log_in_order_offends_nobody(commands, queries) -> None:
    await five(commands)
    assert await LogCheck(queries).look() == {}


@given(st.lists(TEXTS, max_size=3), st.dictionaries(TEXTS, TEXTS, max_size=3), TEXTS)
def test_a_link_fits_its_place_and_no_other(targets, details, actor) -> None:
    written = entry(1, target_ids=tuple(targets), details=details, actor_id=actor)
    head = Head(3, bytes(range(32)))
    link = linked(written, head, now=START)
    assert problem_of(link, head) == ""
    assert problem_of(link, Head(2, head.hash))
    assert problem_of(link, Head(3, NO_HASH))
    changed = Link(
        entry(1, target_ids=(*targets, "x"), details=details, actor_id=actor),
        link.position,
        link.recorded_at,
        link.previous_hash,
        link.hash,
    )
    assert problem_of(changed, head)


def test_the_hash_knows_fields_apart() -> None:
    def of(**changes) -> bytes:
        return hash_of(entry(1, **changes), 1, START, NO_HASH)

    assert of(request_id="ab", network="c") != of(request_id="a", network="bc")
    assert of(details={"a": "b"}) != of(details={"a": "b", "": ""})
    assert of(occurred_at=PLAIN.occurred_at + timedelta(microseconds=1)) != of()

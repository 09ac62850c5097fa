"""Whoever may rewrite the whole database is found out by the heads that were kept elsewhere."""

from __future__ import annotations

import sqlalchemy as sa

from platform_svc.audit.entry import NO_HASH, Head
from platform_svc.audit.tables import ChainRow

from .entries import ORG, entry


async def forget_all(database) -> None:
    """Empty the database, as somebody can who may do anything to it."""
    async with database.sessions.begin() as session:
        await session.execute(sa.text("ALTER TABLE audit.entry DISABLE TRIGGER USER"))
        await session.execute(sa.text("DELETE FROM audit.entry"))
        await session.execute(sa.text("DELETE FROM audit.chain"))
        await session.execute(sa.text("ALTER TABLE audit.entry ENABLE TRIGGER USER"))


async def test_a_head_is_kept_once_for_each_growth(commands, keeper, kept, queries) -> None:
    assert await keeper.keep_all() == 0
    await commands.append(entry(1))
    await commands.append(entry(2))
    assert await keeper.keep_all() == 1
    assert await keeper.keep_all() == 0
    await commands.append(entry(3))
    assert await keeper.keep_all() == 1
    heads = await kept.of(ORG)
    assert list(heads) == [2, 3]
    verdict = await queries.verify(ORG)
    assert (verdict.problem, verdict.head) == ("", heads[3])


async def test_a_log_that_was_written_anew_is_found(database, commands, keeper, queries) -> None:
    for number in (1, 2, 3):
        await commands.append(entry(number))
    await keeper.keep_all()
    await forget_all(database)
    for number in (1, 2, 3):
        await commands.append(entry(number, actor_id="usr_somebody_else"))
    verdict = await queries.verify(ORG)
    assert (verdict.broken_at, verdict.problem) == (
        3,
        "the log was written anew, with other entries",
    )


async def test_a_log_that_was_cut_is_found_though_its_end_was_moved(
    database, commands, keeper, queries
) -> None:
    for number in (1, 2, 3):
        await commands.append(entry(number))
    await keeper.keep_all()
    await forget_all(database)
    verdict = await queries.verify(ORG)
    assert (verdict.broken_at, verdict.problem) == (1, "the end of the log is missing")


async def test_a_process_that_dies_between_both_keeps_again(
    database, commands, keeper, kept
) -> None:
    await commands.append(entry(1))
    async with database.sessions() as session:
        row = await session.get_one(ChainRow, ORG)
    await kept.keep(ORG, Head(1, row.hash))
    assert await keeper.keep_all() == 1
    assert await kept.of(ORG) == {1: row.hash}
    assert row.hash != NO_HASH

from __future__ import annotations

import asyncio

import pytest

from meshkit.postgres import Database, after_commit
from meshkit.testing.databases import PostgresServer
from meshkit.testing.signals import eventually
from meshkit.wakeup import Wakeup


@pytest.fixture
async def pair(database: Database):
    """Two processes' ends of one channel, both listening."""
    async with Wakeup(database.url, "sample") as one, Wakeup(database.url, "sample") as other:
        for wakeup in (one, other):
            assert await wakeup.wait(5)  # The signal that listening has begun.
        yield one, other


async def test_a_signal_wakes_other_processes(pair) -> None:
    one, other = pair
    one.notify()
    assert await other.wait(5)


async def test_a_signal_wakes_waiters_of_its_own_process_once(pair) -> None:
    one, other = pair
    one.notify()
    assert await one.wait(0)
    await other.wait(5)  # By now the own signal would have come back.
    assert not await one.wait(0.05)


async def test_a_signal_during_work_is_not_missed(pair) -> None:
    one, _ = pair
    seen = one.generation
    one.notify()
    assert await one.wait(0, since=seen)
    assert not await one.wait(0.01, since=one.generation)


async def test_every_waiter_wakes(pair) -> None:
    one, _ = pair
    seen = one.generation
    waiting = [asyncio.create_task(one.wait(5, since=seen)) for _ in range(5)]
    await asyncio.sleep(0)
    one.notify()
    assert await asyncio.gather(*waiting) == [True] * 5


async def test_signals_of_a_burst_are_merged(pair) -> None:
    one, other = pair
    before = other.generation
    for _ in range(100):
        one.notify()
    assert await other.wait(5)
    assert other.generation - before <= 2


async def test_a_lost_connection_comes_back(pair, postgres: PostgresServer) -> None:
    one, other = pair
    admin = await postgres.connect()
    ended = await admin.fetch(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
    )
    await admin.close()
    assert len(ended) >= 2
    seen = other.generation
    assert await other.wait(10, since=seen)  # Listens again.
    seen = other.generation

    async def heard() -> bool:
        one.notify()
        return await other.wait(0.1, since=seen)

    await eventually(heard, timeout=10)


async def test_other_channels_are_quiet(database: Database, pair) -> None:
    _, other = pair
    async with Wakeup(database.url, "another") as another:
        another.notify()
        assert not await other.wait(0.1)


async def test_waiters_wake_after_the_commit(database: Database, pair) -> None:
    one, _ = pair
    async with database.sessions.begin() as session:
        after_commit(session, one.notify)
        assert not await one.wait(0)
    assert await one.wait(0)


async def test_waiting_works_without_a_database() -> None:
    async with Wakeup("postgresql+asyncpg://u@127.0.0.1:1/x", "sample") as wakeup:
        assert not await wakeup.wait(0.01)
        wakeup.notify()
        assert await wakeup.wait(0)

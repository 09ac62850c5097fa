"""Transactions that meet: whatever the order, a job is never lost, shared or ended twice."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import text

from inference.connectors.errors import LeaseLost
from inference.connectors.protocol import Beat, Failure, Fault, Lease
from inference.jobs.state import State
from inference.testing import REGION, Bench, completion, offer, submission
from meshkit.errors import IdempotencyKeyReused

ROUNDS = 12


@asynccontextmanager
async def held(jobs: Bench, table: str) -> AsyncIterator[None]:
    """Hold the row locks of a table, so that who comes must queue up behind them."""
    async with jobs.database.sessions.begin() as session:
        await session.execute(text(f"SELECT 1 FROM jobs.{table} FOR UPDATE"))
        yield


async def until_blocked(jobs: Bench, count: int) -> None:
    """Wait until this many sessions of the test's database wait for a lock."""
    async with asyncio.timeout(5):
        while True:
            [row] = await jobs.rows(
                "SELECT count(*) AS waiting FROM pg_stat_activity "
                "WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            if row.waiting >= count:
                return
            await asyncio.sleep(0.005)


async def in_order(jobs: Bench, table: str, *calls: Awaitable[Any]) -> list[Any]:
    """Let calls arrive at a table's rows in this order, then let them go on one after another."""
    tasks: list[asyncio.Task[Any]] = []
    async with held(jobs, table):
        for call in calls:
            tasks.append(asyncio.ensure_future(call))
            await until_blocked(jobs, len(tasks))
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_ten_claimers_never_share_a_job(jobs: Bench) -> None:
    ids = [await jobs.submit(str(n)) for n in range(40)]

    async def claim(worker: int) -> list[Lease]:
        return await jobs.grant(*ids, region=f"r{worker}")

    granted = itertools.chain(*await asyncio.gather(*(claim(n) for n in range(10))))
    counts = Counter(lease.key.job_id for lease in granted)
    assert counts == Counter(ids)


async def test_one_key_makes_one_job(jobs: Bench) -> None:
    calls = [jobs.part.commands.submit(submission()) for _ in range(15)]
    assert len({job.id for job in await asyncio.gather(*calls)}) == 1
    assert len(await jobs.rows("SELECT 1 FROM jobs.ready")) == 1


async def test_one_key_for_two_wishes_refuses_one_of_them(jobs: Bench) -> None:
    calls = [jobs.part.commands.submit(submission(count=n)) for n in (1, 2)]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert sorted(isinstance(a, IdempotencyKeyReused) for a in answers) == [False, True]


async def test_one_completion_publishes_of_many_that_differ(jobs: Bench) -> None:
    lease = await jobs.leased()
    calls = [
        jobs.part.leases.complete(REGION, completion(lease.key, run_ms=n, outputs=outputs))
        for n, outputs in enumerate([completion(lease.key).outputs * m for m in (1, 2, 3)])
    ]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert sorted(isinstance(a, LeaseLost) for a in answers) == [False, True, True]
    assert len(await jobs.rows("SELECT 1 FROM jobs.outbox")) == 1


async def test_completion_before_expiry(jobs: Bench) -> None:
    lease = await jobs.leased()
    complete = jobs.part.leases.complete(REGION, completion(lease.key))
    [answer] = await in_order(jobs, "lease", complete)
    assert answer is None
    await jobs.pass_lease_time()
    assert await jobs.part.upkeep.expire_leases() == 0


async def test_expiry_passes_a_lease_that_is_being_completed(jobs: Bench) -> None:
    lease = await jobs.leased()
    await jobs.pass_lease_time()
    async with held(jobs, "lease"):
        complete = asyncio.ensure_future(jobs.part.leases.complete(REGION, completion(lease.key)))
        await until_blocked(jobs, 1)
        assert await jobs.part.upkeep.expire_leases() == 0
    await complete
    assert (await jobs.part.queries.get(lease.key.job_id)).state is State.SUCCEEDED


async def test_completion_and_expiry_at_once_end_or_requeue_the_job(jobs: Bench) -> None:
    for n in range(ROUNDS):
        lease = await jobs.leased(str(n))
        await jobs.pass_lease_time()
        complete, expired = await asyncio.gather(
            jobs.part.leases.complete(REGION, completion(lease.key)),
            jobs.part.upkeep.expire_leases(),
            return_exceptions=True,
        )
        after = (await jobs.part.queries.get(lease.key.job_id)).state
        if isinstance(complete, LeaseLost):
            assert (expired, after) == (1, State.QUEUED)
        else:
            assert (complete, expired, after) == (None, 0, State.SUCCEEDED)


async def test_cancel_behind_completion_changes_nothing(jobs: Bench) -> None:
    lease = await jobs.leased()
    complete = jobs.part.leases.complete(REGION, completion(lease.key))
    cancel = jobs.part.commands.cancel(lease.key.job_id)
    answers = await in_order(jobs, "lease", complete, cancel)
    assert answers[0] is None
    assert answers[1].state is State.SUCCEEDED


async def test_completion_behind_cancel_publishes_nothing(jobs: Bench) -> None:
    lease = await jobs.leased()
    cancel = jobs.part.commands.cancel(lease.key.job_id)
    complete = jobs.part.leases.complete(REGION, completion(lease.key))
    canceled, completed = await in_order(jobs, "lease", cancel, complete)
    assert canceled.cancel_requested
    assert isinstance(completed, LeaseLost)
    assert (await jobs.part.queries.get(lease.key.job_id)).state is State.CANCELED


async def test_claim_and_cancel_at_once(jobs: Bench) -> None:
    for n in range(ROUNDS):
        job_id = await jobs.submit(str(n))
        granted, canceled = await asyncio.gather(
            jobs.grant(job_id), jobs.part.commands.cancel(job_id)
        )
        after = await jobs.part.queries.get(job_id)
        assert canceled.cancel_requested
        if granted:
            assert after.state is State.CANCELING
            verdict = await jobs.part.leases.extend(REGION, [Beat(granted[0].key, 0, 4)])
            assert verdict.canceled == {granted[0].key}
        else:
            assert after.state is State.CANCELED


async def test_cancel_follows_a_job_that_moves_from_lease_to_queue(jobs: Bench) -> None:
    lease = await jobs.leased()
    give_up = jobs.part.leases.fail(REGION, Failure(lease.key, Fault.ATTEMPT, "BROKEN"))
    cancel = jobs.part.commands.cancel(lease.key.job_id)
    _, canceled = await in_order(jobs, "lease", give_up, cancel)
    assert canceled.state is State.CANCELED


async def test_cancel_follows_a_job_that_moves_from_queue_to_lease(jobs: Bench) -> None:
    job_id = await jobs.submit()
    async with jobs.database.sessions.begin() as session:
        await session.execute(text("SELECT 1 FROM jobs.ready FOR UPDATE"))
        cancel = asyncio.ensure_future(jobs.part.commands.cancel(job_id))
        await until_blocked(jobs, 1)
        # What a claim does, in the transaction that the cancel waits for.
        await session.execute(text("DELETE FROM jobs.ready"))
        await session.execute(
            text(
                "INSERT INTO jobs.lease SELECT id, 1, 1, 'us-east', 'a', NULL, now(), "
                "now() + interval '9 s', false, NULL, 0, 0 FROM jobs.job"
            )
        )
        await session.execute(
            text(
                "INSERT INTO jobs.job_event (job_id, fence, event, detail, at) "
                "SELECT id, 1, 'grant', '', now() FROM jobs.job"
            )
        )
    assert (await cancel).state is State.CANCELING


async def test_expiry_in_many_processes_takes_each_lease_once(jobs: Bench) -> None:
    for n in range(20):
        await jobs.leased(str(n))
    await jobs.pass_lease_time()
    taken = await asyncio.gather(*(jobs.part.upkeep.expire_leases() for _ in range(4)))
    assert sum(taken) == 20
    assert len(await jobs.rows("SELECT 1 FROM jobs.ready")) == 20


async def test_promotion_in_many_processes_queues_each_job_once(jobs: Bench) -> None:
    for n in range(10):
        job_id = await jobs.submit(str(n))
        for _ in range(2):
            [lease] = await jobs.grant(job_id)
            await jobs.part.leases.fail(REGION, Failure(lease.key, Fault.ATTEMPT, "BROKEN"))
    await jobs.run("UPDATE jobs.scheduled SET run_at = clock_timestamp()")
    promoted = await asyncio.gather(*(jobs.part.upkeep.promote() for _ in range(4)))
    assert sum(promoted) == 10


@pytest.mark.parametrize("count", [30])
async def test_a_crowd_of_regions_finishes_every_job_once(live: Bench, count: int) -> None:
    for n in range(count):
        await live.submit(str(n))

    async def work(region: str) -> int:
        queue, done = live.part.queue(region), 0
        while done < count:
            leases = await queue.lease(offer(region=region, capacity=2, wait_seconds=0.5))
            if not leases:
                return done
            for lease in leases:
                await queue.complete(completion(lease.key))
                done += 1
        return done

    assert sum(await asyncio.gather(*(work(f"r{n}") for n in range(5)))) == count
    rows = await live.rows("SELECT count(*) AS n FROM jobs.outcome WHERE state = 'succeeded'")
    assert rows[0].n == count

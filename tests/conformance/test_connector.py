"""What every queue connector must do: straight on the tables, over gRPC and over each broker."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from inference.connectors.client import SchedulerAway
from inference.connectors.errors import LeaseLost
from inference.connectors.protocol import (
    Beat,
    Failure,
    Fault,
    Lease,
    LeaseKey,
    QueueConnector,
    Verdict,
)
from inference.jobs.state import State
from inference.regions.execution import deliver
from inference.testing import Bench, completion, offer, submission
from tests.conformance.wires import Wire

PATIENCE_SECONDS = 120


@pytest.fixture
async def connector(wire: Wire) -> AsyncIterator[QueueConnector]:
    async with wire.connect() as connector:
        yield connector


async def take(connector: QueueConnector) -> Lease:
    """Lease one job, asking again on a machine that is too busy to answer in one wait."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            leases = await connector.lease(offer())
            if leases:
                [lease] = leases
                return lease


async def test_a_lease_carries_the_work(connector: QueueConnector) -> None:
    job_id = await connector.enqueue(submission(count=2))
    lease = await take(connector)
    assert lease.key == LeaseKey(job_id, 1)
    assert (lease.model, lease.task, lease.count) == ("shapes", "text-to-image", 2)
    assert lease.inputs == submission().inputs
    assert lease.expires_at.tzinfo is not None


async def test_the_same_submission_is_one_job(connector: QueueConnector) -> None:
    ids = {await connector.enqueue(submission()) for _ in range(3)}
    assert len(ids) == 1
    await take(connector)
    assert list(await connector.lease(offer(wait_seconds=0))) == []


async def test_a_parked_lease_call_gets_work_that_comes(connector: QueueConnector) -> None:
    waiting = asyncio.create_task(take(connector))
    job_id = await connector.enqueue(submission())
    assert (await waiting).key.job_id == job_id


async def test_no_more_leases_than_offered_and_in_order(connector: QueueConnector) -> None:
    ids = [await connector.enqueue(submission(str(n))) for n in range(4)]
    leased: list[uuid.UUID] = []
    while len(leased) < 3:
        room = 3 - len(leased)
        leases = await connector.lease(offer(capacity=room))
        assert 1 <= len(leases) <= room
        leased += [lease.key.job_id for lease in leases]
    assert leased == ids[:3]
    assert [lease.key.job_id for lease in await connector.lease(offer())] == ids[3:]


async def test_only_models_that_were_offered(connector: QueueConnector) -> None:
    await connector.enqueue(submission())
    assert list(await connector.lease(offer(models=frozenset({"film"}), wait_seconds=0))) == []


async def test_extending_keeps_a_lease(connector: QueueConnector) -> None:
    await connector.enqueue(submission())
    lease = await take(connector)
    beats = [Beat(lease.key), Beat(lease.key, 0, 4), Beat(lease.key, 1, 4)]
    for beat in beats:
        assert await connector.extend([beat]) == Verdict()


async def test_unknown_leases_are_lost(connector: QueueConnector) -> None:
    await connector.enqueue(submission())
    lease = await take(connector)
    stale = LeaseKey(lease.key.job_id, 9)
    unknown = LeaseKey(uuid.UUID(int=5), 1)
    verdict = await connector.extend([Beat(lease.key), Beat(unknown), Beat(stale, 1, 4)])
    assert verdict == Verdict(lost=frozenset({unknown, stale}))


async def test_a_completion_is_published_once(connector: QueueConnector, jobs: Bench) -> None:
    await connector.enqueue(submission())
    lease = await take(connector)
    await connector.complete(completion(lease.key))
    await connector.complete(completion(lease.key))
    job = await jobs.part.queries.get(lease.key.job_id)
    assert (job.state, job.outputs) == (State.SUCCEEDED, completion(lease.key).outputs)


async def test_an_old_fence_can_do_nothing(connector: QueueConnector, jobs: Bench) -> None:
    await connector.enqueue(submission())
    old = await take(connector)
    await jobs.pass_lease_time()
    await jobs.part.upkeep.look()
    new = await take(connector)
    assert (old.key.fence, new.key.fence) == (1, 2)
    refused: list[Callable[[], Awaitable[None]]] = [
        lambda: connector.complete(completion(old.key)),
        lambda: connector.fail(Failure(old.key, Fault.ATTEMPT, "BROKEN")),
    ]
    for call in refused:
        with pytest.raises(LeaseLost):
            await call()
    assert (await connector.extend([Beat(old.key)])).lost == {old.key}
    await connector.complete(completion(new.key))


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        (Fault.INPUT, State.FAILED),
        (Fault.ATTEMPT, State.QUEUED),
        (Fault.HANDED_BACK, State.QUEUED),
        (Fault.CANCELED, State.CANCELED),
    ],
)
async def test_the_fault_decides_the_job(
    connector: QueueConnector, jobs: Bench, fault: Fault, state: State
) -> None:
    await connector.enqueue(submission())
    lease = await take(connector)
    await connector.fail(Failure(lease.key, fault, "BROKEN", "it broke \x00" * 200))
    assert (await jobs.part.queries.get(lease.key.job_id)).state is state


async def test_a_cancel_reaches_the_holder(connector: QueueConnector, jobs: Bench) -> None:
    await connector.enqueue(submission())
    lease = await take(connector)
    await jobs.part.commands.cancel(lease.key.job_id)
    for beat in (Beat(lease.key), Beat(lease.key, 1, 4)):
        assert (await connector.extend([beat])).canceled == {lease.key}
    with pytest.raises(LeaseLost):
        await connector.complete(completion(lease.key))


async def test_a_job_that_breaks_every_attempt_fails_for_good(
    connector: QueueConnector, jobs: Bench
) -> None:
    job_id = await connector.enqueue(submission(attempts_max=2))
    for fence in (1, 2):
        lease = await take(connector)
        assert lease.key == LeaseKey(job_id, fence)
        await connector.fail(Failure(lease.key, Fault.ATTEMPT, "REPLICA_DIED"))
        await jobs.pass_pauses()
    job = await jobs.part.queries.get(job_id)
    assert job.state is State.FAILED
    assert job.failure is not None
    assert job.failure.reason == "ATTEMPTS_EXHAUSTED"
    assert list(await connector.lease(offer(wait_seconds=0))) == []


async def test_consumers_share_the_work_and_no_job_is_leased_twice(wire: Wire, jobs: Bench) -> None:
    count = 18
    leased: Counter[uuid.UUID] = Counter()

    async def consume(number: int) -> None:
        async with wire.connect() as connector:
            while leased.total() < count:
                mine = offer(agent_id=f"agent-{number}", capacity=2, wait_seconds=0.5)
                for lease in await connector.lease(mine):
                    leased[lease.key.job_id] += 1
                    await connector.complete(completion(lease.key))

    ids = [await jobs.submit(str(number)) for number in range(count)]
    await asyncio.wait_for(
        asyncio.gather(*(consume(number) for number in range(3))), PATIENCE_SECONDS
    )
    assert leased == dict.fromkeys(ids, 1)
    states = await jobs.rows("SELECT state, fence FROM jobs.outcome")
    assert [tuple(row) for row in states] == [("succeeded", 1)] * count


async def test_a_killed_consumer_loses_its_job_to_the_next(wire: Wire, jobs: Bench) -> None:
    if wire.name == "direct":
        pytest.skip("without a wire there is no process that could die alone")
    job_id = await jobs.submit()
    key = await wire.lease_and_be_killed()
    assert key == LeaseKey(job_id, 1)
    await jobs.pass_lease_time()
    await jobs.part.upkeep.look()
    async with wire.connect() as connector:
        lease = await take(connector)
        assert lease.key == LeaseKey(job_id, 2)
        with pytest.raises(LeaseLost):
            await connector.complete(completion(key))
        await connector.complete(completion(lease.key))
    assert (await jobs.part.queries.get(job_id)).state is State.SUCCEEDED


async def test_a_broker_that_restarts_delays_and_loses_nothing(wire: Wire, jobs: Bench) -> None:
    if wire.server is None:
        pytest.skip("there is no broker between both sides")
    async with wire.connect() as connector:
        job_id = await connector.enqueue(submission())
        lease = await take(connector)
        await asyncio.to_thread(wire.server.stop)
        with pytest.raises(SchedulerAway):
            await connector.complete(completion(lease.key))
        await wire.server.start()
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert await deliver(lambda: connector.complete(completion(lease.key)))
        assert (await jobs.part.queries.get(job_id)).state is State.SUCCEEDED
        next_id = await jobs.submit("next")
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert (await lease_when_back(connector)).key == LeaseKey(next_id, 1)


async def lease_when_back(connector: QueueConnector) -> Lease:
    """Lease as a region does: ask again until somebody answers."""
    while True:
        try:
            leases = await connector.lease(offer())
        except SchedulerAway:
            await asyncio.sleep(0.2)  # The pause between attempts.
            continue
        if leases:
            return leases[0]

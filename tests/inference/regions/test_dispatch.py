"""The agent's work without Ray: a real queue, and workers that do as they are told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from inference.connectors.protocol import Lease
from inference.jobs.state import State
from inference.regions.dispatch import Dispatcher, ReplicaBroke, ReplicaDied
from inference.testing import REGION, Bench, completion
from meshkit.testing.signals import Signal


class ToldWorkers:
    """Workers whose every lease waits for the test to say how it goes on."""

    def __init__(self, slots: int = 1) -> None:
        self.room = slots
        self.arrived: Signal[Lease] = Signal()
        self.start = asyncio.Event()
        self.starts_at_once = True
        self.endings: asyncio.Queue[str | Exception] = asyncio.Queue()

    def slots(self) -> int:
        return self.room

    def models(self) -> frozenset[str]:
        return frozenset({"shapes"})

    async def run(self, lease: Lease, on_start: Callable[[], None]) -> str:
        if self.starts_at_once:
            on_start()
        self.arrived.emit(lease)
        ending = await self.endings.get()
        if isinstance(ending, Exception):
            raise ending
        return ending


@asynccontextmanager
async def dispatching(live: Bench, workers: ToldWorkers) -> AsyncIterator[Dispatcher]:
    dispatcher = Dispatcher(REGION, "agent-1", live.part.queue(REGION), workers)
    tasks = [asyncio.create_task(dispatcher.poll()), asyncio.create_task(dispatcher.beat())]
    try:
        yield dispatcher
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(live: Bench, lease: Lease, state: State) -> None:
    async with asyncio.timeout(10):
        async for job in live.part.queries.watch(lease.key.job_id):
            if job.state is state:
                return
    raise AssertionError(f"the job ended {job.state}")


async def test_it_takes_no_more_than_there_is_room_for(live: Bench) -> None:
    workers = ToldWorkers(slots=2)
    for n in range(3):
        await live.submit(str(n))
    async with dispatching(live, workers) as dispatcher:
        for _ in range(2):
            await workers.arrived.wait()
        assert dispatcher.held == 2
        assert len(await live.rows("SELECT 1 FROM jobs.ready")) == 1
        workers.endings.put_nowait("completed")
        assert (await workers.arrived.wait()).key.fence == 1


async def test_a_dead_replica_puts_its_job_back_at_once(live: Bench) -> None:
    workers = ToldWorkers()
    await live.submit()
    async with dispatching(live, workers):
        first = await workers.arrived.wait()
        workers.endings.put_nowait(ReplicaDied("gone"))
        second = await workers.arrived.wait()
        assert second.key.job_id == first.key.job_id
        assert (first.key.fence, second.key.fence) == (1, 2)


async def test_a_broken_replica_costs_an_attempt(live: Bench) -> None:
    workers = ToldWorkers()
    await live.submit(attempts_max=1)
    async with dispatching(live, workers):
        lease = await workers.arrived.wait()
        workers.endings.put_nowait(ReplicaBroke("MemoryError()"))
        await until(live, lease, State.FAILED)


async def test_a_job_that_waits_is_canceled_by_the_agent(live: Bench) -> None:
    workers = ToldWorkers()
    workers.starts_at_once = False
    await live.submit()
    async with dispatching(live, workers) as dispatcher:
        lease = await workers.arrived.wait()
        await live.part.commands.cancel(lease.key.job_id)
        await until(live, lease, State.CANCELED)
        assert dispatcher.held == 0


async def test_a_job_that_waits_is_kept_alive(live: Bench) -> None:
    workers = ToldWorkers()
    workers.starts_at_once = False
    await live.submit()
    async with dispatching(live, workers):
        lease = await workers.arrived.wait()
        await live.pass_lease_time()
        await asyncio.wait([asyncio.create_task(workers.arrived.wait())], timeout=1.5)
        assert await live.part.upkeep.expire_leases() == 0
        await live.part.queue(REGION).complete(completion(lease.key))


async def test_a_lost_lease_is_dropped(live: Bench) -> None:
    workers = ToldWorkers()
    workers.starts_at_once = False
    await live.submit()
    async with dispatching(live, workers):
        first = await workers.arrived.wait()
        await live.pass_lease_time()
        await live.part.upkeep.expire_leases()
        second = await workers.arrived.wait()
        assert (first.key.fence, second.key.fence) == (1, 2)


async def test_draining_hands_back_what_has_not_started(live: Bench) -> None:
    workers = ToldWorkers(slots=2)
    workers.starts_at_once = False
    await live.submit()
    dispatcher = Dispatcher(REGION, "agent-1", live.part.queue(REGION), workers)
    poll = asyncio.create_task(dispatcher.poll())
    lease = await workers.arrived.wait()
    poll.cancel()
    await asyncio.gather(poll, return_exceptions=True)
    await dispatcher.drain(0.1)
    job = await live.part.queries.get(lease.key.job_id)
    assert (job.state, dispatcher.held) == (State.QUEUED, 0)
    [row] = await live.rows("SELECT attempts FROM jobs.ready")
    assert row.attempts == 0


async def test_draining_leaves_what_has_started_to_its_replica(live: Bench) -> None:
    workers = ToldWorkers()
    await live.submit()
    dispatcher = Dispatcher(REGION, "agent-1", live.part.queue(REGION), workers)
    poll = asyncio.create_task(dispatcher.poll())
    lease = await workers.arrived.wait()
    poll.cancel()
    await asyncio.gather(poll, return_exceptions=True)
    await dispatcher.drain(0.05)
    assert (await live.part.queries.get(lease.key.job_id)).state is State.LEASED
    workers.endings.put_nowait("completed")
    await dispatcher.drain(5)
    assert dispatcher.held == 0

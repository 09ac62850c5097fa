"""The loop that parks offers, with a backlog in memory."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Collection, Mapping, Sequence

import pytest

from inference.scheduler.loop import Choose, SchedulerLoop
from inference.scheduler.snapshot import ReadyJob, Waiting
from meshkit.testing.clock import ManualClock
from meshkit.testing.signals import Signal


class Bell:
    """An alarm within one process."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()
        self.waits: Signal[None] = Signal()

    def notify(self) -> None:
        self._rung.set()

    async def wait(self, timeout_seconds: float) -> bool:
        self.waits.emit(None)
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._rung.wait()
        except TimeoutError:
            return False
        self._rung.clear()
        return True


class MemoryBacklog:
    """Jobs in a list; a lease is the job's number."""

    def __init__(self) -> None:
        self.jobs: list[ReadyJob] = []
        self.granted: list[int] = []
        self.handed_back: list[int] = []
        self.granting: Signal[None] = Signal()
        self.may_grant = asyncio.Event()
        self.may_grant.set()
        self.failures = 0

    def add(self, number: int) -> None:
        self.jobs.append(ReadyJob(uuid.UUID(int=number), "shapes", "t", 1, 10**18 + number))

    async def place(
        self, models: Sequence[str], regions: Collection[str], *, room: int, choose: Choose
    ) -> Mapping[uuid.UUID, int]:
        ready = [job for job in self.jobs if job.model in models][:room]
        wanted = (
            {placement.job_id for placement in choose(Waiting(tuple(ready)))} if ready else set()
        )
        if not wanted:
            return {}
        self.granting.emit(None)
        await self.may_grant.wait()
        if self.failures:
            self.failures -= 1
            raise ConnectionError
        taken = [job for job in self.jobs if job.job_id in wanted]
        self.jobs = [job for job in self.jobs if job.job_id not in wanted]
        self.granted += [job.job_id.int for job in taken]
        return {job.job_id: job.job_id.int for job in taken}

    async def hand_back(self, leases: Sequence[int]) -> None:
        self.handed_back += leases


class Desk:
    def __init__(self, clock: ManualClock) -> None:
        self.backlog = MemoryBacklog()
        self.bell = Bell()
        self.loop = SchedulerLoop[int](self.backlog, self.bell, clock.ambient)

    def submit(self, number: int) -> None:
        self.backlog.add(number)
        self.bell.notify()

    def offer(self, capacity: int = 1, wait_seconds: float = 5) -> asyncio.Task[tuple[int, ...]]:
        return asyncio.create_task(
            self.loop.offer(
                "us-east",
                "a",
                capacity=capacity,
                models=frozenset({"shapes"}),
                warm_models=frozenset(),
                wait_seconds=wait_seconds,
            )
        )


@pytest.fixture
async def desk(clock: ManualClock) -> AsyncIterator[Desk]:
    made = Desk(clock)
    task = asyncio.create_task(made.loop.run())
    await made.bell.waits.wait()
    yield made
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_an_offer_takes_what_waits(desk: Desk) -> None:
    desk.submit(1)
    desk.submit(2)
    assert await desk.offer(capacity=5) == (1, 2)


async def test_a_parked_offer_takes_what_comes(desk: Desk) -> None:
    offer = desk.offer()
    await desk.bell.waits.wait()
    desk.submit(1)
    assert await offer == (1,)


async def test_an_offer_ends_empty_after_its_wait(desk: Desk) -> None:
    assert await desk.offer(wait_seconds=0.05) == ()


async def test_an_offer_without_patience_is_answered_by_the_next_round(desk: Desk) -> None:
    assert await desk.offer(wait_seconds=0) == ()
    desk.submit(1)
    assert await desk.offer(wait_seconds=0) == (1,)


async def test_one_job_goes_to_one_of_two_offers(desk: Desk) -> None:
    first, second = desk.offer(wait_seconds=0.2), desk.offer(wait_seconds=0.2)
    desk.submit(1)
    assert sorted(await asyncio.gather(first, second)) == [(), (1,)]


async def test_a_lease_whose_caller_left_is_handed_back(desk: Desk) -> None:
    desk.backlog.may_grant.clear()
    offer = desk.offer()
    desk.submit(1)
    await desk.backlog.granting.wait()
    offer.cancel()
    await asyncio.gather(offer, return_exceptions=True)
    desk.backlog.may_grant.set()
    await desk.bell.waits.wait()
    await desk.bell.waits.wait()
    assert desk.backlog.handed_back == [1]


async def test_a_grant_under_way_outlives_the_wait(desk: Desk) -> None:
    desk.backlog.may_grant.clear()
    offer = desk.offer(wait_seconds=0.05)
    desk.submit(1)
    await desk.backlog.granting.wait()
    done, _ = await asyncio.wait([offer], timeout=0.2)
    assert not done
    desk.backlog.may_grant.set()
    assert await offer == (1,)


async def test_offers_survive_a_backlog_that_fails(clock: ManualClock) -> None:
    desk = Desk(clock)
    desk.backlog.failures = 1
    offer = desk.offer()
    desk.submit(1)
    with pytest.raises(ConnectionError):
        await desk.loop.run()
    restarted = asyncio.create_task(desk.loop.run())
    desk.bell.notify()
    assert await offer == (1,)
    restarted.cancel()
    await asyncio.gather(restarted, return_exceptions=True)


async def test_draining_answers_offers_at_once(desk: Desk) -> None:
    parked = desk.offer(wait_seconds=60)
    await desk.bell.waits.wait()
    desk.loop.drain()
    assert await parked == ()
    desk.submit(1)
    assert await desk.offer(wait_seconds=60) == ()
    assert desk.backlog.granted == []

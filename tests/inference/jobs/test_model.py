"""Random histories against a small model: the database must agree with it after every step."""

from __future__ import annotations

import random
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from inference.connectors.errors import LeaseLost
from inference.connectors.protocol import Beat, Failure, Fault, LeaseKey
from inference.jobs.invariants import offenders
from inference.jobs.state import LIVE, State
from inference.testing import REGION, Bench, completion

ATTEMPTS_MAX = 3
STEPS = 300


@dataclass
class ModelJob:
    """What must be true of a job."""

    id: uuid.UUID
    state: State = State.QUEUED
    fence: int = 0
    attempts: int = 0
    is_pausing: bool = False

    @property
    def key(self) -> LeaseKey:
        return LeaseKey(self.id, self.fence)

    def break_off(self) -> None:
        """An attempt broke, by a fault or by silence."""
        if self.state is State.CANCELING:
            self.state = State.CANCELED
        elif self.attempts == ATTEMPTS_MAX:
            self.state = State.FAILED
        else:
            self.state = State.QUEUED
            self.is_pausing = self.attempts > 1


@dataclass
class Model:
    """A history under way."""

    bench: Bench
    dice: random.Random
    jobs: list[ModelJob] = field(default_factory=list)

    def pick(self, *states: State) -> ModelJob | None:
        found = [job for job in self.jobs if job.state in states]
        return self.dice.choice(found) if found else None

    async def submit(self) -> None:
        job_id = await self.bench.submit(str(len(self.jobs)), attempts_max=ATTEMPTS_MAX)
        self.jobs.append(ModelJob(job_id))

    async def grant(self) -> None:
        job = self.dice.choice(self.jobs)
        leases = await self.bench.grant(job.id)
        may = job.state is State.QUEUED and not job.is_pausing
        assert len(leases) == may
        if may:
            job.state = State.LEASED
            job.fence += 1
            job.attempts += 1
            assert leases[0].key == job.key

    async def report(self) -> None:
        job = self.dice.choice(self.jobs)
        verdict = await self.bench.part.leases.extend(REGION, [Beat(job.key, 1, 4)])
        assert (job.key in verdict.lost) == (job.state not in LIVE)
        assert (job.key in verdict.canceled) == (job.state is State.CANCELING)
        if job.state is State.LEASED:
            job.state = State.RUNNING

    async def stale(self) -> None:
        job = self.dice.choice(self.jobs)
        with pytest.raises(LeaseLost):
            await self.bench.part.leases.complete(
                REGION, completion(LeaseKey(job.id, job.fence + 1))
            )

    async def complete(self) -> None:
        job = self.pick(*LIVE)
        if job is None:
            return
        if job.state is State.CANCELING:
            with pytest.raises(LeaseLost):
                await self.bench.part.leases.complete(REGION, completion(job.key))
            job.state = State.CANCELED
        else:
            await self.bench.part.leases.complete(REGION, completion(job.key))
            job.state = State.SUCCEEDED

    async def fail(self) -> None:
        job = self.pick(*LIVE)
        if job is None:
            return
        fault = self.dice.choice(list(Fault))
        await self.bench.part.leases.fail(REGION, Failure(job.key, fault, "BROKEN"))
        if fault is Fault.ATTEMPT:
            job.break_off()
        elif job.state is State.CANCELING or fault is Fault.CANCELED:
            job.state = State.CANCELED
        elif fault is Fault.INPUT:
            job.state = State.FAILED
        else:
            job.state = State.QUEUED
            job.attempts -= 1

    async def cancel(self) -> None:
        job = self.dice.choice(self.jobs)
        await self.bench.part.commands.cancel(job.id)
        if job.state is State.QUEUED:
            job.state = State.CANCELED
        elif job.state in LIVE:
            job.state = State.CANCELING

    async def expire(self) -> None:
        live = [job for job in self.jobs if job.state in LIVE]
        await self.bench.pass_lease_time()
        assert await self.bench.part.upkeep.expire_leases() == len(live)
        for job in live:
            job.break_off()

    async def promote(self) -> None:
        await self.bench.pass_pauses()
        for job in self.jobs:
            job.is_pausing = False

    async def agree(self) -> None:
        for job in self.jobs:
            found = await self.bench.part.queries.get(job.id)
            assert (found.state, found.attempt) == (job.state, job.fence), job
        async with self.bench.database.sessions.begin() as session:
            assert await offenders(session) == {}


@pytest.mark.parametrize("seed", range(4))
async def test_the_database_agrees_with_the_model(jobs: Bench, seed: int) -> None:
    model = Model(jobs, random.Random(seed))
    await model.submit()
    rules: list[tuple[Callable[[], Awaitable[None]], int]] = [
        *((model.submit, 2), (model.grant, 14), (model.report, 5), (model.complete, 2)),
        *((model.fail, 4), (model.cancel, 1), (model.expire, 2), (model.promote, 4)),
        (model.stale, 1),
    ]
    steps, weights = [rule for rule, _ in rules], [weight for _, weight in rules]
    for number in range(STEPS):
        await model.dice.choices(steps, weights)[0]()
        if number % 10 == 0:
            await model.agree()
    await model.agree()
    ended = [event.state for event in model.jobs if event.state not in {State.QUEUED, *LIVE}]
    [row] = await jobs.rows("SELECT count(*) AS n FROM jobs.outbox")
    assert row.n == len(ended)
    # A history in which little happens would prove little.
    assert len(set(ended)) >= 2
    assert max(job.fence for job in model.jobs) >= 2

"""One lease on one pipeline: a real queue and a real object store, no Ray."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from inference.connectors.client import SchedulerAway
from inference.connectors.messages import job_text
from inference.connectors.protocol import Beat, Completion, Failure, Lease, Verdict
from inference.jobs.job import Job
from inference.jobs.queue import RegionQueue
from inference.jobs.state import State
from inference.pipelines.fake import FakePipeline
from inference.pipelines.protocol import Picture, PictureRequest, StepListener
from inference.regions import reporting
from inference.regions.execution import Ended, JobRunner
from inference.regions.reporting import Reporter
from inference.testing import REGION, Bench
from meshkit.object_store import S3ObjectStore


class Interrupted:
    """A queue that does something of the test's own at the first report of a step."""

    def __init__(self, queue: RegionQueue, step: int, act: Callable[[], Awaitable[Any]]) -> None:
        self._queue = queue
        self._step = step
        self._act = act
        self._is_done = False

    async def extend(self, beats: Sequence[Beat]) -> Verdict:
        if not self._is_done and (beats[0].step or 0) >= self._step:
            self._is_done = True
            await self._act()
        return await self._queue.extend(beats)

    async def complete(self, completion: Completion) -> None:
        await self._queue.complete(completion)

    async def fail(self, failure: Failure) -> None:
        await self._queue.fail(failure)


class Flaky:
    """A queue whose scheduler is away for the first calls; it may hear a call and not answer."""

    def __init__(self, queue: RegionQueue, away: int, *, hears: bool) -> None:
        self._queue = queue
        self._away = away
        self._hears = hears

    async def extend(self, beats: Sequence[Beat]) -> Verdict:
        return await self._queue.extend(beats)

    async def complete(self, completion: Completion) -> None:
        if self._hears or self._away <= 0:
            await self._queue.complete(completion)
        if self._away > 0:
            self._away -= 1
            raise SchedulerAway("gone")

    async def fail(self, failure: Failure) -> None:
        await self._queue.fail(failure)


def runner(connector: Any, store: Any, *, step_seconds: float = 0.0, **changes: Any) -> JobRunner:
    pipeline = changes.pop("pipeline", None) or FakePipeline()
    return JobRunner(pipeline, store, connector, beat_seconds=0.5, step_seconds=step_seconds)


async def read(jobs: Bench, lease: Lease) -> Job:
    return await jobs.part.queries.get(lease.key.job_id)


async def keys(store: S3ObjectStore, lease: Lease) -> list[str]:
    prefix = f"results/{job_text(lease.key.job_id)}/"
    return [info.key async for info in store.list(prefix)]


async def test_pictures_are_uploaded_and_published(jobs: Bench, objects: S3ObjectStore) -> None:
    lease = await jobs.leased(count=2)
    assert await runner(jobs.part.queue(REGION), objects).run(lease) is Ended.COMPLETED
    job = await read(jobs, lease)
    assert (job.state, [output.seed for output in job.outputs]) == (State.SUCCEEDED, [7, 8])
    for output in job.outputs:
        data = await objects.get(output.object_key, max_bytes=1 << 20)
        assert hashlib.sha256(data).hexdigest() == output.sha256


async def test_the_second_picture_is_what_its_seed_gives_alone(
    jobs: Bench, objects: S3ObjectStore
) -> None:
    both = await jobs.leased("both", count=2)
    alone = await jobs.leased("alone", inputs={"prompt": "a red circle", "seed": 8, "steps": 4})
    draw = runner(jobs.part.queue(REGION), objects)
    for lease in (both, alone):
        await draw.run(lease)
    digests = [[o.sha256 for o in (await read(jobs, lease)).outputs] for lease in (both, alone)]
    assert digests[0][1] == digests[1][0]


async def test_progress_counts_over_all_pictures(jobs: Bench, objects: S3ObjectStore) -> None:
    lease = await jobs.leased(count=2)
    await runner(jobs.part.queue(REGION), objects, step_seconds=0.03).run(lease)
    job = await read(jobs, lease)
    assert job.started_at is not None
    assert job.steps == 8
    assert 1 <= job.step <= 8


class Counted:
    """A pipeline that counts the steps it really makes, whoever hears of them."""

    def __init__(self) -> None:
        self.steps_made = 0
        self.held = threading.Event()

    def generate(self, request: PictureRequest, on_step: StepListener) -> Picture:
        def counting(step: int, steps: int) -> None:
            self.steps_made += 1
            on_step(step, steps)

        return FakePipeline().generate(request, counting)


async def test_a_cancel_stops_the_drawing_within_two_steps_and_leaves_nothing(
    jobs: Bench, objects: S3ObjectStore
) -> None:
    lease = await jobs.leased(inputs={"prompt": "a", "steps": 20}, count=2)
    pipeline = Counted()
    steps_before: list[int] = []

    async def cancel() -> None:
        steps_before.append(pipeline.steps_made)
        await jobs.part.commands.cancel(lease.key.job_id)

    draw = runner(
        Interrupted(jobs.part.queue(REGION), 22, cancel),
        objects,
        pipeline=pipeline,
        step_seconds=0.15,
    )
    assert await draw.run(lease) is Ended.CANCELED
    job = await read(jobs, lease)
    assert job.state is State.CANCELED
    assert pipeline.steps_made - steps_before[0] <= 2
    assert job.step == pipeline.steps_made
    assert await keys(objects, lease) == []


async def test_a_slow_answer_holds_the_drawing_so_that_a_cancel_still_comes_in_time(
    jobs: Bench, objects: S3ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporting, "PACE_SECONDS_MAX", 60.0)
    lease = await jobs.leased(inputs={"prompt": "a", "steps": 20})
    pipeline = Counted()

    class Slow(Flaky):
        """A queue that takes its time: the cancel comes while the second report is under way."""

        async def extend(self, beats: Sequence[Beat]) -> Verdict:
            if (beats[0].step or 0) > 0 and not canceled_at:
                # Whatever the pipeline can do meanwhile, it has done when it is held.
                await asyncio.to_thread(pipeline.held.wait, 30)
                canceled_at.append(pipeline.steps_made)
                await jobs.part.commands.cancel(lease.key.job_id)
            return await super().extend(beats)

    canceled_at: list[int] = []
    monkeypatch.setattr(Reporter, "keep_pace", announced(Reporter.keep_pace, pipeline))
    draw = runner(Slow(jobs.part.queue(REGION), away=0, hears=True), objects, pipeline=pipeline)
    assert await draw.run(lease) is Ended.CANCELED
    assert pipeline.steps_made == canceled_at[0] == 2


def announced(keep_pace: Callable[..., None], pipeline: Counted) -> Callable[..., None]:
    """Give a `keep_pace` that says when it is about to hold the second step."""

    def keeping(reporter: Reporter, step: int) -> None:
        if step == 2:
            pipeline.held.set()
        keep_pace(reporter, step)

    return keeping


async def test_steps_made_after_a_cancel_are_told_though_nobody_stopped(
    jobs: Bench, objects: S3ObjectStore
) -> None:
    lease = await jobs.leased(inputs={"prompt": "a", "steps": 30})
    await jobs.part.leases.extend(REGION, [Beat(lease.key, 1, 30)])
    await jobs.part.commands.cancel(lease.key.job_id)

    class Deaf(Flaky):
        """A queue that never says that a cancel was asked for."""

        async def extend(self, beats: Sequence[Beat]) -> Verdict:
            return Verdict()

    pipeline = Counted()
    draw = runner(Deaf(jobs.part.queue(REGION), away=0, hears=True), objects, pipeline=pipeline)
    assert await draw.run(lease) is Ended.LOST
    job = await read(jobs, lease)
    assert (job.state, job.step, pipeline.steps_made) == (State.CANCELED, 30, 30)
    assert await keys(objects, lease) == []


async def test_a_lost_lease_stops_the_drawing_and_leaves_nothing(
    jobs: Bench, objects: S3ObjectStore
) -> None:
    lease = await jobs.leased(inputs={"prompt": "a", "steps": 100})

    async def lose() -> None:
        await jobs.pass_lease_time()
        await jobs.part.upkeep.expire_leases()

    queue = Interrupted(jobs.part.queue(REGION), 5, lose)
    assert await runner(queue, objects, step_seconds=0.01).run(lease) is Ended.LOST
    assert (await read(jobs, lease)).state is State.QUEUED
    assert await keys(objects, lease) == []


async def test_a_lease_lost_before_publishing_leaves_nothing(
    jobs: Bench, objects: S3ObjectStore
) -> None:
    lease = await jobs.leased()
    await jobs.pass_lease_time()
    await jobs.part.upkeep.expire_leases()
    assert await runner(jobs.part.queue(REGION), objects).run(lease) is Ended.LOST
    assert await keys(objects, lease) == []


@pytest.mark.parametrize("hears", [True, False])
async def test_a_completion_is_repeated_until_it_is_heard(
    jobs: Bench, objects: S3ObjectStore, *, hears: bool
) -> None:
    lease = await jobs.leased()
    queue = Flaky(jobs.part.queue(REGION), away=3, hears=hears)
    assert await runner(queue, objects).run(lease) is Ended.COMPLETED
    assert (await read(jobs, lease)).state is State.SUCCEEDED
    assert len(await jobs.rows("SELECT 1 FROM jobs.outbox")) == 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"inputs": {"prompt": "a", "steps": 100_000}}, "STEPS_OUT_OF_RANGE"),
        ({"inputs": {"prompt": 5}}, "INVALID_INPUT"),
        (
            {"task": "image-to-image", "inputs": {"prompt": "a", "image_key": "assets/none"}},
            "IMAGE_MISSING",
        ),
    ],
)
async def test_bad_input_ends_the_job(
    jobs: Bench, objects: S3ObjectStore, changes: dict[str, Any], reason: str
) -> None:
    lease = await jobs.leased(**changes)
    assert await runner(jobs.part.queue(REGION), objects).run(lease) is Ended.FAILED
    job = await read(jobs, lease)
    assert job.failure is not None
    assert (job.state, job.failure.reason) == (State.FAILED, reason)


async def test_image_to_image_reads_its_image(jobs: Bench, objects: S3ObjectStore) -> None:
    blank = FakePipeline().generate(
        PictureRequest("a", "", 1, 1, 4.0, 64, 64), lambda _step, _steps: None
    )
    await objects.put("assets/input", blank.data, content_type="image/png")
    inputs = {"prompt": "a", "image_key": "assets/input", "strength": 0.5, "steps": 4}
    lease = await jobs.leased(task="image-to-image", inputs=inputs)
    assert await runner(jobs.part.queue(REGION), objects).run(lease) is Ended.COMPLETED


class BrokenPipeline:
    def generate(self, request: PictureRequest, on_step: StepListener) -> Picture:
        raise MemoryError("out of memory")


async def test_what_the_pipeline_should_not_raise_is_raised_on(
    jobs: Bench, objects: S3ObjectStore
) -> None:
    lease = await jobs.leased()
    broken = runner(jobs.part.queue(REGION), objects, pipeline=BrokenPipeline())
    with pytest.raises(MemoryError):
        await broken.run(lease)
    assert not broken.is_busy


async def test_a_slow_pipeline_keeps_its_lease(jobs: Bench, objects: S3ObjectStore) -> None:
    lease = await jobs.leased(inputs={"prompt": "a", "steps": 1})
    draw = asyncio.ensure_future(
        runner(jobs.part.queue(REGION), objects, step_seconds=1.3).run(lease)
    )
    await asyncio.wait([draw], timeout=0.2)
    await jobs.pass_lease_time()
    await asyncio.wait([draw], timeout=0.7)
    assert await jobs.part.upkeep.expire_leases() == 0
    assert await draw is Ended.COMPLETED


class Solo:
    """A pipeline that notices when two requests meet in it."""

    def __init__(self) -> None:
        self.inside = 0
        self.met = False

    def generate(self, request: PictureRequest, on_step: StepListener) -> Picture:
        self.inside += 1
        self.met = self.met or self.inside > 1
        picture = FakePipeline().generate(request, on_step)
        self.inside -= 1
        return picture


async def test_leases_that_come_together_run_one_after_another(
    jobs: Bench, objects: S3ObjectStore
) -> None:
    leases = [await jobs.leased(name, count=2) for name in ("one", "two", "three")]
    pipeline = Solo()
    draw = runner(jobs.part.queue(REGION), objects, pipeline=pipeline)
    running = [asyncio.create_task(draw.run(lease)) for lease in leases]
    assert await asyncio.gather(*running) == [Ended.COMPLETED] * 3
    assert not pipeline.met
    assert not draw.is_busy

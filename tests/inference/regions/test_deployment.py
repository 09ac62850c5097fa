"""A replica whose pipeline hangs says so, and one that works or waits does not."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest

from inference.pipelines.fake import FakePipeline
from inference.pipelines.protocol import Picture, PictureRequest, StepListener
from inference.regions.deployment import STALL_SECONDS_MAX, PictureReplica
from inference.regions.execution import Ended, JobRunner
from inference.testing import REGION, Bench
from meshkit.object_store import S3ObjectStore


class Hanging:
    """A pipeline that makes one step and then none until it is let go."""

    def __init__(self) -> None:
        self.stepped = threading.Event()
        self.let_go = threading.Event()

    def generate(self, request: PictureRequest, on_step: StepListener) -> Picture:
        on_step(1, request.steps)
        self.stepped.set()
        assert self.let_go.wait(60)
        return FakePipeline().generate(request, lambda _step, _steps: None)


@pytest.fixture
def pipeline() -> Iterator[Hanging]:
    pipeline = Hanging()
    yield pipeline
    pipeline.let_go.set()


def replica_with(runner: JobRunner) -> PictureReplica:
    """Make a replica around a runner, without the loading of a model."""
    replica = PictureReplica.__new__(PictureReplica)
    replica._runner = runner
    return replica


async def test_a_replica_that_hangs_is_unhealthy_until_it_goes_on(
    jobs: Bench, objects: S3ObjectStore, pipeline: Hanging
) -> None:
    runner = JobRunner(pipeline, objects, jobs.part.queue(REGION), beat_seconds=0.5)
    replica = replica_with(runner)
    runner.last_step_at = time.monotonic() - 2 * STALL_SECONDS_MAX
    replica.check_health()  # It has nothing to do.

    drawing = asyncio.create_task(runner.run(await jobs.leased()))
    assert await asyncio.to_thread(pipeline.stepped.wait, 60)
    replica.check_health()  # It made a step just now.
    runner.last_step_at -= 2 * STALL_SECONDS_MAX
    with pytest.raises(RuntimeError, match="no step for 6"):
        replica.check_health()

    pipeline.let_go.set()
    assert await drawing is Ended.COMPLETED
    replica.check_health()

"""Carries one lease out: draws, uploads straight to the object store, completes with the fence."""

from __future__ import annotations

import asyncio
import enum
import hashlib
import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from inference.connectors.client import SchedulerAway
from inference.connectors.errors import LeaseLost
from inference.connectors.messages import job_text
from inference.connectors.protocol import (
    Completion,
    Consumer,
    Failure,
    Fault,
    Lease,
    LeaseKey,
    Output,
)
from inference.pipelines.input_image import BYTES_MAX
from inference.pipelines.protocol import (
    Cancelled,
    InvalidPictureRequest,
    Picture,
    PictureRequest,
    Pipeline,
)
from inference.regions.reporting import Reporter
from inference.regions.requests import Order, read_order
from meshkit.object_store import ObjectMissing, ObjectStore, ObjectTooLarge, StoreUnavailable
from meshkit.tasks import attempt

logger = logging.getLogger(__name__)

DELIVERY_SECONDS_MAX: Final = 900.0
PAUSE_SECONDS_MIN: Final = 0.05
PAUSE_SECONDS_MAX: Final = 2.0


class Ended(enum.StrEnum):
    """How a replica is done with a lease."""

    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"
    LOST = "lost"


@dataclass(slots=True)
class _Work:
    """What an attempt has made so far."""

    lease: Lease
    began: float
    steps_made: int = 0
    outputs: list[Output] = field(default_factory=list)
    uploads: list[asyncio.Task[None]] = field(default_factory=list)


class JobRunner:
    """Runs leases one at a time on one pipeline.

    `step_seconds` slows each step down to at least this long: for rehearsals of failures with a
    pipeline that is faster than a model.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        store: ObjectStore,
        connector: Consumer,
        *,
        beat_seconds: float,
        step_seconds: float = 0.0,
    ) -> None:
        self._pipeline = pipeline
        self._store = store
        self._connector = connector
        self._beat_seconds = beat_seconds
        self._step_seconds = step_seconds
        # One thread: pipelines are not safe to share.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="pipeline")
        # Serve gives a replica one lease at a time, but a lease whose agent died goes on unseen.
        self._turn = asyncio.Lock()
        self.last_step_at = time.monotonic()
        self.is_busy = False

    async def run(self, lease: Lease) -> Ended:
        """Carry a lease out; says how it ended after the scheduler has heard of it.

        What the pipeline raises beyond its contract is raised on: whoever dispatched the lease
        then reports a broken attempt.

        Raises:
            SchedulerAway: it did not answer for a quarter of an hour.
        """
        reporter = Reporter(self._connector, lease.key, beat_seconds=self._beat_seconds)
        async with reporter, self._turn:
            work = _Work(lease, time.monotonic())
            self.last_step_at, self.is_busy = work.began, True
            try:
                return await self._finish(work, reporter)
            finally:
                self.is_busy = False

    async def _finish(self, work: _Work, reporter: Reporter) -> Ended:
        """Draw and upload, then tell the scheduler what came of it."""
        key = work.lease.key
        try:
            completion = await self._work(work, reporter)
        except Cancelled:
            await self._discard(work)
            failure = Failure(key, Fault.CANCELED, "CANCELED", steps_made=work.steps_made)
            return Ended.LOST if reporter.is_lost else await self._fail(failure, Ended.CANCELED)
        except (InvalidPictureRequest, ObjectMissing, ObjectTooLarge) as error:
            await self._discard(work)
            return await self._fail(_input_failure(work, error))
        except StoreUnavailable as error:
            await self._discard(work)
            return await self._fail(
                Failure(key, Fault.ATTEMPT, error.reason, str(error), work.steps_made)
            )
        if await deliver(lambda: self._connector.complete(completion)):
            return Ended.COMPLETED
        await self._discard(work)
        return Ended.LOST

    async def _work(self, work: _Work, reporter: Reporter) -> Completion:
        order = read_order(work.lease)
        reporter.advance(0, order.steps)
        requests = order.requests(await self._input_image(order))
        for number, request in enumerate(requests):
            picture = await self._draw(request, number, work, reporter)
            # The upload runs beside the drawing of the next picture.
            work.outputs.append(_output(work.lease.key, number, request, picture))
            work.uploads.append(asyncio.create_task(self._upload(work.outputs[-1], picture)))
        drawn = time.monotonic()
        for upload in work.uploads:
            await upload
        return Completion(
            key=work.lease.key,
            outputs=tuple(work.outputs),
            run_ms=_milliseconds(drawn - work.began),
            upload_ms=_milliseconds(time.monotonic() - drawn),
            steps_made=work.steps_made,
        )

    async def _draw(
        self, request: PictureRequest, number: int, work: _Work, reporter: Reporter
    ) -> Picture:
        def on_step(step: int, steps: int) -> None:
            self.last_step_at = time.monotonic()
            # Counted before anything can stop the drawing: what is told is what really ran.
            work.steps_made += 1
            if self._step_seconds:
                reporter.wait_stop(self._step_seconds)
            made = number * steps + step
            reporter.advance(made, work.lease.count * steps)
            reporter.keep_pace(made)
            if reporter.must_stop:
                raise Cancelled

        if reporter.must_stop:
            raise Cancelled
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._pipeline.generate, request, on_step)

    async def _input_image(self, order: Order) -> bytes | None:
        if order.image_key is None:
            return None
        return await self._store.get(order.image_key, max_bytes=BYTES_MAX)

    async def _upload(self, output: Output, picture: Picture) -> None:
        await self._store.put(output.object_key, picture.data, content_type=output.content_type)

    async def _fail(self, failure: Failure, ended: Ended = Ended.FAILED) -> Ended:
        told = await deliver(lambda: self._connector.fail(failure))
        return ended if told else Ended.LOST

    async def _discard(self, work: _Work) -> None:
        """Delete what an attempt uploaded that will not be published; best effort."""
        await asyncio.gather(*work.uploads, return_exceptions=True)
        for output in work.outputs:
            await attempt("discard result", self._store.delete(output.object_key))


async def deliver(call: Callable[[], Awaitable[None]]) -> bool:
    """Repeat a call until the scheduler answers; False when it says that the lease is lost.

    Raises:
        SchedulerAway: it did not answer for a quarter of an hour.
    """
    begin, pause = time.monotonic(), PAUSE_SECONDS_MIN
    while True:
        try:
            await call()
        except LeaseLost:
            return False
        except SchedulerAway as error:
            if time.monotonic() - begin > DELIVERY_SECONDS_MAX:
                raise
            logger.warning("no answer to a report", extra={"why": str(error)})
            await asyncio.sleep(pause)  # The pause between attempts is the point.
            pause = min(pause * 2, PAUSE_SECONDS_MAX)
        else:
            return True


def _input_failure(work: _Work, error: Exception) -> Failure:
    key, steps = work.lease.key, work.steps_made
    if isinstance(error, InvalidPictureRequest):
        return Failure(key, Fault.INPUT, error.reason, str(error), steps)
    message = "the input image is missing or too large"
    return Failure(key, Fault.INPUT, "IMAGE_MISSING", message, steps)


def _output(key: LeaseKey, number: int, request: PictureRequest, picture: Picture) -> Output:
    return Output(
        object_key=f"results/{job_text(key.job_id)}/{key.fence}/{number}.png",
        content_type=picture.content_type,
        size_bytes=len(picture.data),
        sha256=hashlib.sha256(picture.data).hexdigest(),
        width=picture.width,
        height=picture.height,
        seed=request.seed,
    )


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)

"""Jobs of runs, asked for from inference; a run's job has the run's id as its key."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self, cast

from google.protobuf.timestamp_pb2 import Timestamp
from reelmesh.inference.jobs.v1 import jobs_service_pb2 as pb
from reelmesh.inference.jobs.v1 import jobs_service_pb2_grpc as pb_grpc

from business_svc.tools.remote import Refused, answers_of
from business_svc.tools.runs import Failure, Job, Output, Progress, Run, State
from meshkit.ids import format_id, parse_id
from meshkit.structs import struct_of
from meshkit.stubs import MeshChannel

IMAGE_KEY_INPUT = "image_key"


class JobRefused(Exception):
    """Inference will never run this job, or no longer knows it."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


@dataclass(frozen=True, slots=True)
class InferenceJobs:
    """Submits and follows jobs; each call may be repeated without harm.

    Each raises `Unavailable` while inference is away, and `JobRefused`.
    """

    stub: pb_grpc.JobsServiceAsyncStub

    @classmethod
    def over(cls, channel: MeshChannel) -> Self:
        """Return what calls through the channel."""
        # A stub on an asynchronous channel is asynchronous, which its class does not say.
        return cls(cast("pb_grpc.JobsServiceAsyncStub", channel.stub(pb_grpc.JobsServiceStub)))

    async def submit(self, run: Run) -> Job:
        """Queue the run's job, or return the one that was queued before."""
        with _answers():
            return read_job(await self.stub.SubmitJob(_submission(run)))

    async def get(self, job_id: uuid.UUID) -> Job:
        """Return how a job stands."""
        with _answers():
            return read_job(await self.stub.GetJob(pb.GetJobRequest(job_id=_name(job_id))))

    async def cancel(self, job_id: uuid.UUID) -> Job:
        """Ask for the end of a job; a queued one ends at once."""
        with _answers():
            return read_job(await self.stub.CancelJob(pb.CancelJobRequest(job_id=_name(job_id))))

    async def watch(self, job_id: uuid.UUID) -> AsyncIterator[Job]:
        """Yield the job as it changes, beginning with how it stands, until its end."""
        call = self.stub.WatchJob(pb.WatchJobRequest(job_id=_name(job_id)))
        with _answers():
            async for message in call:
                yield read_job(message)


def read_job(message: pb.Job) -> Job:
    """Return the value of a job message."""
    failure = None
    if message.HasField("error"):
        failure = Failure(message.error.reason, message.error.message)
    return Job(
        id=parse_id("job", message.job_id, field="job_id"),
        state=State(message.state),
        progress=_progress(message),
        outputs=tuple(_output(output) for output in message.outputs),
        failure=failure,
    )


def _progress(message: pb.Job) -> Progress:
    return Progress(
        step=message.step,
        steps=message.steps,
        region=message.region,
        attempt=message.attempt,
        queue_ms=message.timings.queue_ms,
        run_ms=message.timings.run_ms,
        upload_ms=message.timings.upload_ms,
        started_at=_time(message.started_at) if message.HasField("started_at") else None,
    )


def _output(message: pb.JobOutput) -> Output:
    return Output(
        object_key=message.object_key,
        content_type=message.content_type,
        size_bytes=message.size_bytes,
        sha256=message.sha256,
        width=message.width,
        height=message.height,
        seed=message.seed,
    )


def _submission(run: Run) -> pb.SubmitJobRequest:
    inputs = dict(run.spec.inputs)
    if run.spec.image_input is not None:
        assert run.image_key is not None, run.id
        del inputs[run.spec.image_input]
        inputs[IMAGE_KEY_INPUT] = run.image_key
    request = pb.SubmitJobRequest(
        tenant_id=format_id("org", run.organization_id),
        idempotency_key=format_id("run", run.id),
        model=run.spec.model,
        task=run.spec.task,
        inputs=struct_of(inputs),
        count=run.spec.count,
        band=run.spec.band,
    )
    request.start_deadline.FromDatetime(run.start_deadline)
    return request


@contextlib.contextmanager
def _answers() -> Iterator[None]:
    try:
        with answers_of("inference"):
            yield
    except Refused as refusal:
        raise JobRefused(Failure(refusal.reason, str(refusal))) from refusal


def _name(job_id: uuid.UUID) -> str:
    return format_id("job", job_id)


def _time(value: Timestamp) -> datetime:
    return value.ToDatetime(tzinfo=UTC)

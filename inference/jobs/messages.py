"""Converts jobs to the messages of the contract, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from google.protobuf import json_format, struct_pb2, timestamp_pb2
from reelmesh.inference.jobs.v1 import jobs_service_pb2 as pb

from inference.connectors.messages import output_message
from inference.connectors.protocol import Submission
from inference.jobs.job import Job
from inference.jobs.state import public
from meshkit.errors import InvalidRequest
from meshkit.ids import format_id

ATTEMPTS_MAX_DEFAULT: Final = 5
WEIGHT_DEFAULT: Final = 1.0
INPUTS_BYTES_MAX: Final = 256 * 1024
INT32_MAX: Final = 2**31 - 1


def submission(message: pb.SubmitJobRequest, traceparent: str) -> Submission:
    """Give the wish that a message stands for.

    Raises:
        InvalidRequest: the inputs are too large or hold what is no JSON.
    """
    deadline = message.start_deadline
    return Submission(
        tenant_id=message.tenant_id,
        idempotency_key=message.idempotency_key,
        model=message.model,
        task=message.task,
        inputs=_inputs(message.inputs),
        count=message.count,
        band=message.band,
        weight=message.weight or WEIGHT_DEFAULT,
        start_deadline=_moment(deadline) if message.HasField("start_deadline") else None,
        attempts_max=message.attempts_max or ATTEMPTS_MAX_DEFAULT,
        traceparent=traceparent,
        regions=tuple(message.regions),
    )


def job_message(job: Job) -> pb.Job:
    """Give the message that tells how a job stands."""
    message = pb.Job(
        job_id=format_id("job", job.id),
        tenant_id=job.tenant_id,
        idempotency_key=job.idempotency_key,
        model=job.model,
        task=job.task,
        state=public(job.state),
        attempt=job.attempt,
        region=job.region,
        step=job.step,
        steps=job.steps,
        outputs=[output_message(output) for output in job.outputs],
        timings=pb.JobTimings(
            queue_ms=min(job.queue_ms, INT32_MAX), run_ms=job.run_ms, upload_ms=job.upload_ms
        ),
        cancel_requested=job.cancel_requested,
    )
    if job.failure is not None:
        message.error.reason = job.failure.reason
        message.error.message = job.failure.message
    message.created_at.FromDatetime(job.created_at)
    if job.started_at is not None:
        message.started_at.FromDatetime(job.started_at)
    if job.finished_at is not None:
        message.finished_at.FromDatetime(job.finished_at)
    return message


def _inputs(message: struct_pb2.Struct) -> Mapping[str, Any]:
    if message.ByteSize() > INPUTS_BYTES_MAX:
        raise _invalid("inputs", f"is larger than {INPUTS_BYTES_MAX} bytes")
    try:
        inputs: Mapping[str, Any] = json_format.MessageToDict(message)
        json.dumps(inputs, allow_nan=False)
    except (json_format.SerializeToJsonError, ValueError):
        raise _invalid("inputs", "holds a number that JSON cannot write") from None
    return inputs


def _moment(message: timestamp_pb2.Timestamp) -> datetime:
    try:
        return message.ToDatetime(tzinfo=UTC)
    except ValueError:
        raise _invalid("start_deadline", "is out of range") from None


def _invalid(field: str, description: str) -> InvalidRequest:
    return InvalidRequest(f"{field} {description}", field_violations=[(field, description)])

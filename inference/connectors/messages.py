"""Converts the connector's values to the messages of LeaseService, and back."""

from __future__ import annotations

import uuid
from datetime import UTC
from typing import Final

from google.protobuf import json_format, struct_pb2
from reelmesh.inference.jobs.v1 import jobs_service_pb2 as jobs_pb
from reelmesh.inference.regions.v1 import lease_service_pb2 as pb

from inference.connectors.protocol import (
    Beat,
    Completion,
    Failure,
    Fault,
    Lease,
    LeaseKey,
    Offer,
    Output,
)
from meshkit.errors import InvalidRequest
from meshkit.ids import format_id, parse_id

FAULTS: Final = {
    Fault.INPUT: pb.FAULT_INPUT,
    Fault.ATTEMPT: pb.FAULT_ATTEMPT,
    Fault.HANDED_BACK: pb.FAULT_HANDED_BACK,
    Fault.CANCELED: pb.FAULT_CANCELED,
}
FAULTS_BACK: Final = {number: fault for fault, number in FAULTS.items()}
MESSAGE_CHARACTERS_MAX: Final = 1000
REASON_CHARACTERS_MAX: Final = 64


def job_text(job_id: uuid.UUID) -> str:
    """Give the public text of a job's id."""
    return format_id("job", job_id)


def job_id_of(text: str) -> uuid.UUID:
    """Give the id behind a job's public text."""
    return parse_id("job", text, field="job_id")


def key_message(key: LeaseKey) -> pb.LeaseKey:
    """Give the message that names a lease."""
    return pb.LeaseKey(job_id=job_text(key.job_id), fence=key.fence)


def key_of(message: pb.LeaseKey) -> LeaseKey:
    """Give the name of a lease."""
    return LeaseKey(job_id_of(message.job_id), message.fence)


def offer_message(offer: Offer) -> pb.LeaseJobsRequest:
    """Give the message of an offer."""
    return pb.LeaseJobsRequest(
        region=offer.region,
        agent_id=offer.agent_id,
        capacity=offer.capacity,
        models=sorted(offer.models),
        warm_models=sorted(offer.warm_models),
        wait_seconds=offer.wait_seconds,
    )


def offer_of(message: pb.LeaseJobsRequest) -> Offer:
    """Give the offer in a message."""
    return Offer(
        region=message.region,
        agent_id=message.agent_id,
        capacity=message.capacity,
        models=frozenset(message.models),
        warm_models=frozenset(message.warm_models),
        wait_seconds=message.wait_seconds,
    )


def lease_message(lease: Lease) -> pb.Lease:
    """Give the message of a lease."""
    inputs = struct_pb2.Struct()
    json_format.ParseDict(dict(lease.inputs), inputs)
    message = pb.Lease(
        job_id=job_text(lease.key.job_id),
        fence=lease.key.fence,
        model=lease.model,
        task=lease.task,
        inputs=inputs,
        count=lease.count,
        traceparent=lease.traceparent,
    )
    message.expires_at.FromDatetime(lease.expires_at)
    return message


def lease_of(message: pb.Lease) -> Lease:
    """Give the lease in a message."""
    return Lease(
        key=LeaseKey(job_id_of(message.job_id), message.fence),
        expires_at=message.expires_at.ToDatetime(tzinfo=UTC),
        model=message.model,
        task=message.task,
        inputs=json_format.MessageToDict(message.inputs),
        count=message.count,
        traceparent=message.traceparent,
    )


def progress_message(beat: Beat) -> pb.ReportProgressRequest:
    """Give the message of a beat that carries progress."""
    assert beat.step is not None
    return pb.ReportProgressRequest(lease=key_message(beat.key), step=beat.step, steps=beat.steps)


def completion_message(completion: Completion) -> pb.CompleteJobRequest:
    """Give the message of a completion."""
    return pb.CompleteJobRequest(
        lease=key_message(completion.key),
        outputs=[output_message(output) for output in completion.outputs],
        run_ms=completion.run_ms,
        upload_ms=completion.upload_ms,
        steps_made=completion.steps_made,
    )


def completion_of(message: pb.CompleteJobRequest) -> Completion:
    """Give the completion in a message.

    Raises:
        InvalidRequest: an output lies outside the folder of its lease, where other jobs' and other
            tenants' results are.
    """
    folder = f"results/{message.lease.job_id}/{message.lease.fence}/"
    for number, output in enumerate(message.outputs):
        name = output.object_key.removeprefix(folder)
        if not output.object_key.startswith(folder) or not name or "/" in name:
            field, description = f"outputs[{number}].object_key", f"must be a name below {folder}"
            raise InvalidRequest(f"{field} {description}", field_violations=[(field, description)])
    return Completion(
        key=key_of(message.lease),
        outputs=tuple(_output_of(output) for output in message.outputs),
        run_ms=max(message.run_ms, 0),
        upload_ms=max(message.upload_ms, 0),
        steps_made=message.steps_made,
    )


def failure_message(failure: Failure) -> pb.FailJobRequest:
    """Give the message of a failure; texts that are too long are cut, NULs are left out."""
    return pb.FailJobRequest(
        lease=key_message(failure.key),
        fault=FAULTS[failure.fault],
        reason=failure.reason.replace("\x00", "")[:REASON_CHARACTERS_MAX],
        message=failure.message.replace("\x00", "")[:MESSAGE_CHARACTERS_MAX],
        steps_made=failure.steps_made,
    )


def failure_of(message: pb.FailJobRequest) -> Failure:
    """Give the failure in a message."""
    return Failure(
        key=key_of(message.lease),
        fault=FAULTS_BACK[message.fault],
        reason=message.reason,
        message=message.message,
        steps_made=message.steps_made,
    )


def output_message(output: Output) -> jobs_pb.JobOutput:
    """Give the message of one output."""
    return jobs_pb.JobOutput(
        object_key=output.object_key,
        content_type=output.content_type,
        size_bytes=output.size_bytes,
        sha256=output.sha256,
        width=output.width,
        height=output.height,
        seed=output.seed,
    )


def _output_of(message: jobs_pb.JobOutput) -> Output:
    return Output(
        object_key=message.object_key,
        content_type=message.content_type,
        size_bytes=message.size_bytes,
        sha256=message.sha256,
        width=message.width,
        height=message.height,
        seed=message.seed,
    )

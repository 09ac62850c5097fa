"""JobsService through a real server on a real database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import json_format, struct_pb2
from reelmesh.inference.jobs.v1 import jobs_service_pb2 as pb
from reelmesh.inference.jobs.v1 import jobs_service_pb2_grpc as pb_grpc

from inference.connectors.protocol import Beat
from inference.jobs.job import fingerprint
from inference.testing import REGION, Bench, completion, submission
from meshkit.ids import parse_id
from meshkit.server import ServerSettings
from meshkit.stubs import remote_reason
from meshkit.testing.identity import TestIdentity
from meshkit.testing.servers import ServedMesh, serve

UNKNOWN_JOB = "job_01k00000000000000000000000"


@pytest.fixture
async def mesh(jobs: Bench, tmp_path: Path) -> AsyncIterator[ServedMesh]:
    async with serve(*jobs.part.services(), identity=TestIdentity(tmp_path)) as served:
        yield served


@pytest.fixture
async def stub(mesh: ServedMesh) -> AsyncIterator[pb_grpc.JobsServiceStub]:
    async with mesh.as_service(pb_grpc.JobsServiceStub, "business") as made:
        yield made


def submit_request(**changes: Any) -> pb.SubmitJobRequest:
    inputs = struct_pb2.Struct()
    json_format.ParseDict({"prompt": "a red circle", "seed": 7, "steps": 4}, inputs)
    fields = {
        "tenant_id": "org_1",
        "idempotency_key": "run_1",
        "model": "shapes",
        "task": "text-to-image",
        "inputs": inputs,
        "count": 2,
        "band": 1,
    }
    return pb.SubmitJobRequest(**(fields | changes))


async def refusal(call: Any) -> tuple[grpc.StatusCode, str | None]:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    return refused.value.code(), remote_reason(refused.value)


async def test_submit_get_and_cancel(stub: Any) -> None:
    job = await stub.SubmitJob(submit_request())
    assert (job.state, job.model, job.attempt) == ("queued", "shapes", 0)
    assert job.job_id.startswith("job_")
    assert not job.HasField("started_at")
    assert await stub.GetJob(pb.GetJobRequest(job_id=job.job_id)) == job
    canceled = await stub.CancelJob(pb.CancelJobRequest(job_id=job.job_id))
    assert (canceled.state, canceled.HasField("error")) == ("canceled", False)


async def test_submit_is_idempotent(stub: Any) -> None:
    first, second = await asyncio.gather(
        stub.SubmitJob(submit_request()), stub.SubmitJob(submit_request())
    )
    assert first == second


async def test_submit_refuses_with_reasons(stub: Any) -> None:
    await stub.SubmitJob(submit_request())
    assert await refusal(stub.SubmitJob(submit_request(count=1))) == (
        grpc.StatusCode.ALREADY_EXISTS,
        "IDEMPOTENCY_KEY_REUSED",
    )
    assert await refusal(stub.SubmitJob(submit_request(model="flux"))) == (
        grpc.StatusCode.NOT_FOUND,
        "MODEL_NOT_FOUND",
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"tenant_id": ""},
        {"tenant_id": "a\x00b"},
        {"task": "text-to-video"},
        {"inputs": None},
        {"inputs": struct_pb2.Struct(fields={"x": struct_pb2.Value(number_value=float("nan"))})},
        {
            "inputs": struct_pb2.Struct(
                fields={"prompt": struct_pb2.Value(string_value="x" * 300_000)}
            )
        },
        {"count": 9},
        {"band": -1},
    ],
)
async def test_submit_refuses_bad_fields(stub: Any, jobs: Bench, changes: dict[str, Any]) -> None:
    code, reason = await refusal(stub.SubmitJob(submit_request(**changes)))
    assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert await jobs.rows("SELECT 1 FROM jobs.job") == []


@pytest.mark.parametrize("method", ["GetJob", "CancelJob"])
async def test_unknown_and_malformed_ids(stub: Any, method: str) -> None:
    request = {"GetJob": pb.GetJobRequest, "CancelJob": pb.CancelJobRequest}[method]
    call = getattr(stub, method)
    assert await refusal(call(request(job_id=UNKNOWN_JOB))) == (
        grpc.StatusCode.NOT_FOUND,
        "JOB_NOT_FOUND",
    )
    assert await refusal(call(request(job_id="run_1"))) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_ID",
    )


async def test_a_watcher_of_an_unknown_job_is_refused(stub: Any) -> None:
    stream = stub.WatchJob(pb.WatchJobRequest(job_id=UNKNOWN_JOB))
    assert (await refusal(stream.read()))[1] == "JOB_NOT_FOUND"


async def test_a_watcher_sees_each_change_up_to_the_end(stub: Any, jobs: Bench) -> None:
    job = await stub.SubmitJob(submit_request())
    stream = aiter(stub.WatchJob(pb.WatchJobRequest(job_id=job.job_id)))
    assert (await anext(stream)).state == "queued"
    [lease] = await jobs.grant(parse_id("job", job.job_id, field="job_id"))
    assert (await anext(stream)).state == "running"
    await jobs.part.leases.extend(REGION, [Beat(lease.key, 3, 8)])
    seen = await anext(stream)
    assert (seen.step, seen.steps, seen.HasField("started_at")) == (3, 8, True)
    await jobs.part.leases.complete(REGION, completion(lease.key))
    last = await anext(stream)
    assert (last.state, last.outputs[0].content_type) == ("succeeded", "image/png")
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


async def test_a_watcher_of_a_finished_job_gets_it_once(stub: Any) -> None:
    job = await stub.SubmitJob(submit_request())
    await stub.CancelJob(pb.CancelJobRequest(job_id=job.job_id))
    seen = [m.state async for m in stub.WatchJob(pb.WatchJobRequest(job_id=job.job_id))]
    assert seen == ["canceled"]


async def test_a_server_that_drains_ends_its_streams(jobs: Bench, tmp_path: Path) -> None:
    settings = ServerSettings(drain_seconds=30)
    identity = TestIdentity(tmp_path)
    async with (
        serve(*jobs.part.services(), identity=identity, settings=settings) as mesh,
        mesh.as_service(pb_grpc.JobsServiceStub, "business") as stub,
    ):
        job = await stub.SubmitJob(submit_request())
        stream = aiter(stub.WatchJob(pb.WatchJobRequest(job_id=job.job_id)))
        await anext(stream)
        async with asyncio.timeout(10):
            stop = asyncio.create_task(mesh.server.stop())
            code, _ = await refusal(anext(stream))
            await stop
    assert code is grpc.StatusCode.UNAVAILABLE


async def test_only_business_may_call(mesh: ServedMesh) -> None:
    async with mesh.as_service(pb_grpc.JobsServiceStub, "region:us-east") as region:
        code, reason = await refusal(region.SubmitJob(submit_request()))
    assert (code, reason) == (grpc.StatusCode.PERMISSION_DENIED, "CALLER_NOT_ALLOWED")
    async with mesh.as_user(pb_grpc.JobsServiceStub) as user:
        assert (await refusal(user.SubmitJob(submit_request())))[0] in {
            grpc.StatusCode.PERMISSION_DENIED,
            grpc.StatusCode.UNAUTHENTICATED,
        }


def test_equal_numbers_have_one_fingerprint() -> None:
    whole = fingerprint(submission(inputs={"seed": 7, "on": True, "list": [1]}))
    assert whole == fingerprint(submission(inputs={"list": [1.0], "on": True, "seed": 7.0}))
    assert whole != fingerprint(submission(inputs={"seed": 7, "on": 1, "list": [1]}))

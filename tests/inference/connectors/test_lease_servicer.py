"""What the gRPC connector adds: who may speak, and what a lost scheduler looks like."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import grpc
import pytest
from reelmesh.inference.regions.v1 import lease_service_pb2 as pb
from reelmesh.inference.regions.v1 import lease_service_pb2_grpc as pb_grpc

from inference.connectors.client import LeaseClient, SchedulerAway
from inference.connectors.protocol import Beat, LeaseKey
from inference.testing import Bench, completion, offer
from meshkit.stubs import MeshChannel, RemoteError, remote_reason
from meshkit.testing.identity import TestIdentity
from meshkit.testing.servers import serve


async def test_a_region_speaks_only_for_itself(live: Bench, tmp_path: Path) -> None:
    identity = TestIdentity(tmp_path)
    async with (
        serve(*live.part.services(), identity=identity) as mesh,
        mesh.channel("region:us-east") as channel,
    ):
        client = LeaseClient(channel)
        with pytest.raises(RemoteError) as refused:
            await client.lease(offer(region="eu-west", wait_seconds=0))
        assert (refused.value.code, refused.value.reason) == (
            grpc.StatusCode.PERMISSION_DENIED,
            "WRONG_REGION",
        )
        [foreign] = await live.grant(await live.submit(), region="eu-west")
        assert (await client.extend([Beat(foreign.key)])).lost == {foreign.key}


@pytest.mark.parametrize("key", ["results/job_other/1/0.png", "{folder}", "{folder}../0.png"])
async def test_a_region_publishes_only_what_lies_in_its_leases_folder(
    live: Bench, tmp_path: Path, key: str
) -> None:
    async with (
        serve(*live.part.services(), identity=TestIdentity(tmp_path)) as mesh,
        mesh.channel("region:us-east") as channel,
    ):
        [lease] = await live.grant(await live.submit())
        good = completion(lease.key)
        [picture] = good.outputs
        folder = picture.object_key.removesuffix("0.png")
        bad = replace(picture, object_key=key.format(folder=folder))
        with pytest.raises(RemoteError) as refused:
            await LeaseClient(channel).complete(replace(good, outputs=(bad,)))
        assert refused.value.reason == "INVALID_REQUEST"
        await LeaseClient(channel).complete(good)


@pytest.mark.parametrize("caller", ["business", "platform"])
async def test_others_may_not_lease(live: Bench, tmp_path: Path, caller: str) -> None:
    async with (
        serve(*live.part.services(), identity=TestIdentity(tmp_path)) as mesh,
        mesh.as_service(pb_grpc.LeaseServiceStub, caller) as stub,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.LeaseJobs(pb.LeaseJobsRequest(region="us-east", agent_id="a", capacity=1))
        assert remote_reason(refused.value) == "CALLER_NOT_ALLOWED"


@pytest.mark.parametrize(
    "message",
    [
        pb.FailJobRequest(lease=pb.LeaseKey(job_id="job_1", fence=1)),
        pb.CompleteJobRequest(lease=pb.LeaseKey(job_id="job_1", fence=1)),
        pb.ReportProgressRequest(step=1),
        pb.LeaseJobsRequest(region="us-east", agent_id="a", capacity=0),
    ],
)
async def test_bad_fields_are_refused(live: Bench, tmp_path: Path, message: Any) -> None:
    method = type(message).__name__.removesuffix("Request")
    async with (
        serve(*live.part.services(), identity=TestIdentity(tmp_path)) as mesh,
        mesh.as_service(pb_grpc.LeaseServiceStub, "region:us-east") as stub,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await getattr(stub, method)(message)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_scheduler_that_is_away_is_told_from_a_refusal(tmp_path: Path) -> None:
    identity = TestIdentity(tmp_path).service("region:us-east")
    key = LeaseKey(UUID(int=1), 1)
    async with MeshChannel("127.0.0.1:9", identity, timeout_seconds=2) as channel:
        client = LeaseClient(channel)
        for call in (
            client.lease(offer(wait_seconds=0)),
            client.extend([Beat(key)]),
            client.complete(completion(key)),
        ):
            with pytest.raises(SchedulerAway):
                await call

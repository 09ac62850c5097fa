"""The ways between a region and the scheduler that the connector suite runs over."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import grpc
from google.protobuf import json_format, struct_pb2
from reelmesh.inference.jobs.v1 import jobs_service_pb2 as pb
from reelmesh.inference.jobs.v1 import jobs_service_pb2_grpc as pb_grpc

from inference.connectors.bridge import Bridge
from inference.connectors.brokers.opening import open_broker
from inference.connectors.brokers.protocol import Broker
from inference.connectors.client import LeaseClient
from inference.connectors.messages import job_id_of
from inference.connectors.protocol import (
    Beat,
    Completion,
    Failure,
    Lease,
    LeaseKey,
    Offer,
    QueueConnector,
    Submission,
    Verdict,
)
from inference.connectors.queue_channel import QueueChannel
from inference.connectors.queue_client import QueueLeaseClient
from inference.testing import REGION, Bench
from meshkit.ids import parse_id
from meshkit.tasks import Supervisor
from meshkit.testing.brokers import BrokerServer, broker_server
from meshkit.testing.identity import TestIdentity
from meshkit.testing.servers import ServedMesh, serve

REGION_WORKER = Path(__file__).with_name("region_worker.py")
CONSUMER = Path(__file__).with_name("consumer.py")
REDELIVERY_SECONDS = 2.0
CALL_SECONDS = 15.0


@dataclass(frozen=True)
class RemoteConnector:
    """Work comes in by JobsService and goes out by LeaseService, whatever carries the calls."""

    jobs: pb_grpc.JobsServiceStub
    leases: LeaseClient

    async def enqueue(self, submission: Submission) -> uuid.UUID:
        inputs = struct_pb2.Struct()
        json_format.ParseDict(dict(submission.inputs), inputs)
        job = await self.jobs.SubmitJob(
            pb.SubmitJobRequest(
                tenant_id=submission.tenant_id,
                idempotency_key=submission.idempotency_key,
                model=submission.model,
                task=submission.task,
                inputs=inputs,
                count=submission.count,
                band=submission.band,
                weight=submission.weight,
                attempts_max=submission.attempts_max,
            )
        )
        return parse_id("job", job.job_id, field="job_id")

    async def lease(self, offer: Offer) -> Sequence[Lease]:
        return await self.leases.lease(offer)

    async def extend(self, beats: Sequence[Beat]) -> Verdict:
        return await self.leases.extend(beats)

    async def complete(self, completion: Completion) -> None:
        await self.leases.complete(completion)

    async def fail(self, failure: Failure) -> None:
        await self.leases.fail(failure)


@dataclass(frozen=True)
class Wire:
    """One way; `connect` opens a connector of its own, as another process would."""

    name: str
    connect: Callable[[], AbstractAsyncContextManager[QueueConnector]]
    server: BrokerServer | None = None
    consumer: dict[str, str] = field(default_factory=dict)

    async def lease_and_be_killed(self) -> LeaseKey:
        """Lease a job in another process, which is killed while it holds the lease."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(CONSUMER),
            json.dumps(self.consumer),
            stdout=asyncio.subprocess.PIPE,
            env=os.environ,
        )
        try:
            assert process.stdout is not None
            line = await asyncio.wait_for(process.stdout.readline(), 180)
            job, fence = line.decode().split()
        finally:
            process.kill()
            await process.wait()
        return LeaseKey(job_id_of(job), int(fence))

    async def start_region(self, **variables: str) -> asyncio.subprocess.Process:
        """Start a region of one process, to be killed by the caller."""
        return await asyncio.create_subprocess_exec(
            sys.executable, str(REGION_WORKER), json.dumps(self.consumer | variables)
        )


@dataclass
class BrokerServers:
    """The servers of a run, each started when it is first asked for."""

    stack: AsyncExitStack
    running: dict[str, BrokerServer] = field(default_factory=dict)

    async def get(self, name: str) -> BrokerServer:
        if name not in self.running:
            self.running[name] = await self.stack.enter_async_context(broker_server(name))
        return self.running[name]


def direct_wire(jobs: Bench) -> Wire:
    @asynccontextmanager
    async def connect() -> AsyncIterator[QueueConnector]:
        yield jobs.part.queue(REGION)

    return Wire("direct", connect)


@asynccontextmanager
async def grpc_wire(jobs: Bench, folder: Path) -> AsyncIterator[Wire]:
    async with serve(*jobs.part.services(), identity=TestIdentity(folder)) as mesh:

        @asynccontextmanager
        async def connect() -> AsyncIterator[QueueConnector]:
            async with (
                mesh.as_service(pb_grpc.JobsServiceStub, "business") as stub,
                mesh.channel(f"region:{REGION}") as channel,
            ):
                yield RemoteConnector(stub, LeaseClient(channel))

        yield Wire("grpc", connect, consumer=_consumer(mesh, address=mesh.address))


@asynccontextmanager
async def broker_wire(jobs: Bench, folder: Path, server: BrokerServer) -> AsyncIterator[Wire]:
    url = server.url
    async with AsyncExitStack() as stack:
        mesh = await stack.enter_async_context(
            serve(*jobs.part.services(), identity=TestIdentity(folder))
        )
        broker = await stack.enter_async_context(
            open_broker(url, redelivery_seconds=REDELIVERY_SECONDS)
        )
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(mesh.address))
        supervisor = await stack.enter_async_context(Supervisor())
        bridge = Bridge(broker, channel)
        supervisor.start("bridge", bridge.run)
        stack.push_async_callback(bridge.drain, 0)

        @asynccontextmanager
        async def connect() -> AsyncIterator[QueueConnector]:
            async with (
                open_broker(url, redelivery_seconds=REDELIVERY_SECONDS) as own,
                queue_channel(own, mesh, "business") as business,
                queue_channel(own, mesh, f"region:{REGION}") as region,
            ):
                jobs = business.stub(pb_grpc.JobsServiceStub)
                yield RemoteConnector(jobs, QueueLeaseClient(region))

        folder.joinpath("broker_url").write_text(url)
        consumer = _consumer(mesh, url_file=str(folder / "broker_url"))
        yield Wire(urlsplit(url).scheme, connect, server, consumer)


def queue_channel(broker: Broker, mesh: ServedMesh, service: str) -> QueueChannel:
    identity = mesh.identity.service(service)
    return QueueChannel(broker, identity, timeout_seconds=CALL_SECONDS)


def _consumer(mesh: ServedMesh, *, address: str = "", url_file: str = "") -> dict[str, str]:
    return {
        "REELMESH_REGION": REGION,
        "REELMESH_INFERENCE_ADDRESS": address,
        "REELMESH_CONNECTOR_URL_FILE": url_file,
        "REELMESH_SERVICE_KEY_FILE": str(mesh.identity.service_key_file(f"region:{REGION}")),
        "REELMESH_MODELS_DIR": "models",
        "REELMESH_S3_ENDPOINT": "http://127.0.0.1:1",
        "REELMESH_S3_REGION": "us-east-1",
        "REELMESH_S3_BUCKET": "none",
        # Any file that is not empty: this consumer stores nothing.
        "REELMESH_S3_ACCESS_KEY_FILE": __file__,
        "REELMESH_S3_SECRET_KEY_FILE": __file__,
    }

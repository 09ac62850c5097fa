"""The way through a broker: late, doubled, forged and foreign messages do no harm."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from reelmesh.inference.jobs.v1 import jobs_service_pb2 as jobs_pb
from reelmesh.inference.jobs.v1 import jobs_service_pb2_grpc as jobs_grpc
from reelmesh.inference.regions.v1 import lease_service_pb2 as lease_pb
from reelmesh.inference.regions.v1 import queued_call_pb2 as pb

from inference.connectors.bridge import Bridge
from inference.connectors.brokers.postgres_table import PostgresBroker
from inference.connectors.brokers.protocol import BrokerAway, MessageTooLarge
from inference.connectors.messages import completion_message, job_text, offer_message
from inference.connectors.protocol import LeaseKey
from inference.connectors.queue_channel import QueueChannel
from inference.connectors.queue_client import QueueLeaseClient
from inference.connectors.queued_calls import (
    CALLS_QUEUE,
    LEASE_METHOD,
    MalformedCall,
    QueuedCall,
)
from inference.jobs.state import State
from inference.testing import REGION, Bench, bench, completion, offer
from meshkit.clock import utc_now, uuid7
from meshkit.interceptors.authentication import SERVICE_KEY
from meshkit.testing.databases import Databases
from meshkit.testing.identity import TestIdentity
from meshkit.testing.servers import ServedMesh, serve

COMPLETE_METHOD = "/reelmesh.inference.regions.v1.LeaseService/CompleteJob"
MAILBOX = "rm-replies-test"
PATIENCE_SECONDS = 120


@dataclass
class Road:
    """A scheduler behind a broker, with the bridge in the test's hand."""

    jobs: Bench
    mesh: ServedMesh
    broker: PostgresBroker
    bridge: Bridge

    @asynccontextmanager
    async def bridging(self) -> AsyncIterator[None]:
        running = asyncio.create_task(self.bridge.run())
        try:
            yield
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await self.bridge.drain(0)

    def channel(self, service: str, *, timeout_seconds: float = 10) -> QueueChannel:
        identity = self.mesh.identity.service(service)
        return QueueChannel(self.broker, identity, timeout_seconds=timeout_seconds)

    def call(self, method: str, request: Any, **changes: Any) -> QueuedCall:
        """Give a call of the region as it travels."""
        values = {
            "call_id": str(uuid7()),
            "method": method,
            "request": request.SerializeToString(),
            "metadata": {SERVICE_KEY: self.mesh.identity.service_token(f"region:{REGION}")},
            "reply_to": MAILBOX,
            "expires_at": utc_now() + timedelta(seconds=30),
        }
        return QueuedCall(**values | changes)

    async def put(self, call: QueuedCall, message_id: str = "") -> None:
        await self.broker.put(CALLS_QUEUE, call.encode(), message_id=message_id or call.call_id)

    async def reply(self) -> pb.QueuedReply:
        [reply] = await self.replies(1)
        return reply

    async def replies(self, count: int) -> list[pb.QueuedReply]:
        bodies: list[bytes] = []
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(bodies) < count:
                bodies += await self.broker.receive(MAILBOX, wait_seconds=1)
        return [pb.QueuedReply.FromString(body) for body in bodies]

    async def calls(self) -> Sequence[Any]:
        return await self.jobs.rows("SELECT body FROM reelmesh_queue.message")

    async def until_empty(self) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await self.calls():  # noqa: ASYNC110 - only the database knows.
                await asyncio.sleep(0.02)


@pytest.fixture
async def road(databases: Databases, jobs_template: str, tmp_path: Path) -> AsyncIterator[Road]:
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(databases.clone(jobs_template))
        live = await stack.enter_async_context(bench(url, loops=True))
        mesh = await stack.enter_async_context(
            serve(*live.part.services(), identity=TestIdentity(tmp_path))
        )
        broker = await stack.enter_async_context(PostgresBroker(url))
        await broker.declare(CALLS_QUEUE)
        scheduler = await stack.enter_async_context(grpc.aio.insecure_channel(mesh.address))
        yield Road(live, mesh, broker, Bridge(broker, scheduler))


async def test_a_grant_that_comes_too_late_is_given_back(road: Road) -> None:
    async with road.channel(f"region:{REGION}") as channel:
        client = QueueLeaseClient(channel)
        # Nobody carries the call before its caller gives up.
        asking = asyncio.create_task(client.lease(offer()))
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not (rows := await road.calls()):  # noqa: ASYNC110 - as above.
                await asyncio.sleep(0.02)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        [row] = rows
        late = QueuedCall.decode(row.body)
        job_id = await road.jobs.submit()
        reply = lease_pb.LeaseJobsResponse()
        [lease] = await road.jobs.grant(job_id)
        reply.leases.add(job_id=job_text(job_id), fence=lease.key.fence).expires_at.FromDatetime(
            lease.expires_at
        )
        answer = pb.QueuedReply(
            call_id=late.call_id, method=LEASE_METHOD, response=reply.SerializeToString()
        )
        async with road.bridging():
            for _ in range(2):  # The second changes nothing.
                await road.broker.post(late.reply_to, answer.SerializeToString())
            async with asyncio.timeout(PATIENCE_SECONDS):
                async for job in road.jobs.part.queries.watch(job_id):
                    if job.state is State.QUEUED:
                        break
    [row] = await road.jobs.rows("SELECT attempts, fence FROM jobs.ready")
    assert (row.attempts, row.fence) == (0, 1)


class FailingPosts:
    """A broker that takes no reply."""

    def __init__(self, broker: PostgresBroker, error: Exception) -> None:
        self._broker = broker
        self._error = error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._broker, name)

    async def post(self, mailbox: str, body: bytes) -> None:
        raise self._error


@pytest.mark.parametrize(
    ("error", "attempts", "reason"),
    [(BrokerAway("gone"), 0, "BROKER_AWAY"), (MessageTooLarge("huge"), 1, "LEASE_TOO_LARGE")],
)
async def test_a_grant_that_cannot_be_sent_is_given_back(
    road: Road, error: Exception, attempts: int, reason: str
) -> None:
    await road.jobs.submit()
    await road.put(road.call(LEASE_METHOD, offer_message(offer())))
    [delivery] = await road.broker.take(CALLS_QUEUE, limit=1, wait_seconds=5)
    road.bridge._broker = FailingPosts(road.broker, error)
    await road.bridge._handle(delivery)
    [row] = await road.jobs.rows("SELECT attempts, fence FROM jobs.ready")
    assert (row.attempts, row.fence) == (attempts, 1)
    [event] = await road.jobs.rows(
        "SELECT detail FROM jobs.job_event WHERE detail <> '' AND event IN ('retry', 'hand_back')"
    )
    assert event.detail == reason


async def test_an_expired_offer_is_granted_nothing(road: Road) -> None:
    await road.jobs.submit()
    over = utc_now() - timedelta(seconds=1)
    await road.put(road.call(LEASE_METHOD, offer_message(offer()), expires_at=over))
    async with road.bridging():
        await road.until_empty()
    assert len(await road.jobs.rows("SELECT 1 FROM jobs.ready")) == 1


async def test_a_completion_that_comes_twice_is_published_once(road: Road) -> None:
    lease = await road.jobs.leased()
    call = road.call(COMPLETE_METHOD, completion_message(completion(lease.key)))
    for message_id in ("once", "twice"):
        await road.put(call, message_id)
    async with road.bridging():
        replies = await road.replies(2)
        await road.until_empty()
    assert [reply.code for reply in replies] == [0, 0]
    assert len(await road.jobs.rows("SELECT 1 FROM jobs.outcome")) == 1


async def test_a_stale_completion_is_refused_with_its_reason(road: Road) -> None:
    lease = await road.jobs.leased()
    stale = LeaseKey(lease.key.job_id, 7)
    await road.put(road.call(COMPLETE_METHOD, completion_message(completion(stale))))
    async with road.bridging():
        reply = await road.reply()
    assert reply.code == grpc.StatusCode.FAILED_PRECONDITION.value[0]
    assert b"LEASE_LOST" in reply.details


async def test_a_call_survives_the_sender_and_waits_for_the_scheduler(road: Road) -> None:
    lease = await road.jobs.leased()
    await road.put(road.call(COMPLETE_METHOD, completion_message(completion(lease.key))))
    async with grpc.aio.insecure_channel("127.0.0.1:1") as nowhere:
        deaf = Bridge(road.broker, nowhere)
        [delivery] = await road.broker.take(CALLS_QUEUE, limit=1, wait_seconds=5)
        assert await deaf._answer(delivery) == "scheduler_away"
    async with road.bridging():
        assert (await road.reply()).code == 0
    assert len(await road.jobs.rows("SELECT 1 FROM jobs.outcome")) == 1


@pytest.mark.parametrize("metadata", [{}, {SERVICE_KEY: "forged"}])
async def test_a_call_without_a_good_token_is_refused(road: Road, metadata: dict[str, str]) -> None:
    await road.jobs.submit()
    await road.put(road.call(LEASE_METHOD, offer_message(offer()), metadata=metadata))
    async with road.bridging():
        reply = await road.reply()
    assert reply.code == grpc.StatusCode.UNAUTHENTICATED.value[0]
    assert len(await road.jobs.rows("SELECT 1 FROM jobs.ready")) == 1


async def test_a_region_speaks_only_for_itself(road: Road) -> None:
    await road.put(road.call(LEASE_METHOD, offer_message(offer(region="eu-west"))))
    async with road.bridging():
        reply = await road.reply()
    assert reply.code == grpc.StatusCode.PERMISSION_DENIED.value[0]
    assert b"WRONG_REGION" in reply.details


async def test_a_region_may_not_bring_work_in(road: Road) -> None:
    async with road.bridging(), road.channel(f"region:{REGION}") as channel:
        stub = channel.stub(jobs_grpc.JobsServiceStub)
        request = jobs_pb.SubmitJobRequest(
            tenant_id="org_1",
            idempotency_key="k",
            model="shapes",
            task="text-to-image",
            inputs={},
            count=1,
        )
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await stub.SubmitJob(request)
    assert refusal.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_rubbish_is_thrown_away_and_the_rest_goes_on(road: Road) -> None:
    await road.broker.put(CALLS_QUEUE, b"\xff\xff", message_id="rubbish")
    job_id = await road.jobs.submit()
    async with road.bridging(), road.channel(f"region:{REGION}") as channel:
        [lease] = await QueueLeaseClient(channel).lease(offer())
        assert lease.key == LeaseKey(job_id, 1)
        await road.until_empty()


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "/reelmesh.inference.jobs.v1.JobsService/CancelJob"},
        {"method": "/grpc.health.v1.Health/Check"},
        {"reply_to": "reelmesh.inference.jobs.job_finished"},
        {"reply_to": "rm-calls"},
        {"reply_to": "rm-replies-*"},
        {"reply_to": ""},
        {"metadata": {SERVICE_KEY: "\n"}},
    ],
    ids=str,
)
async def test_a_call_that_must_not_be_made_is_malformed(
    road: Road, changes: dict[str, Any]
) -> None:
    call = replace(road.call(LEASE_METHOD, offer_message(offer())), **changes)
    with pytest.raises(MalformedCall):
        QueuedCall.decode(call.encode())

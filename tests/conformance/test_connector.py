"""What every queue connector must do: the five verbs straight on the tables, and over gRPC."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from google.protobuf import json_format, struct_pb2
from reelmesh.inference.jobs.v1 import jobs_service_pb2 as pb
from reelmesh.inference.jobs.v1 import jobs_service_pb2_grpc as pb_grpc

from inference.connectors.client import LeaseClient
from inference.connectors.errors import LeaseLost
from inference.connectors.protocol import (
    Beat,
    Completion,
    Failure,
    Fault,
    Lease,
    LeaseKey,
    Offer,
    QueueConnector,
    Submission,
    Verdict,
)
from inference.jobs.invariants import offenders
from inference.jobs.state import State
from inference.testing import REGION, Bench, bench, completion, offer, submission
from inference.wiring import MIGRATIONS, SCHEMA
from meshkit.ids import parse_id
from meshkit.testing.databases import Databases
from meshkit.testing.identity import TestIdentity
from meshkit.testing.servers import serve


@dataclass(frozen=True)
class GrpcConnector:
    """The default connector: work comes in by JobsService and goes out by LeaseService."""

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


@pytest.fixture
async def jobs(databases: Databases) -> AsyncIterator[Bench]:
    template = await databases.template({SCHEMA: MIGRATIONS})
    async with databases.clone(template) as url, bench(url, loops=True) as made:
        yield made
        async with made.database.sessions.begin() as session:
            assert await offenders(session) == {}


@pytest.fixture(params=["direct", "grpc"])
async def connector(
    request: pytest.FixtureRequest, jobs: Bench, tmp_path: Path
) -> AsyncIterator[QueueConnector]:
    if request.param == "direct":
        yield jobs.part.queue(REGION)
        return
    async with (
        serve(*jobs.part.services(), identity=TestIdentity(tmp_path)) as mesh,
        mesh.as_service(pb_grpc.JobsServiceStub, "business") as stub,
        mesh.channel(f"region:{REGION}") as channel,
    ):
        yield GrpcConnector(stub, LeaseClient(channel))


async def take(connector: QueueConnector) -> Lease:
    [lease] = await connector.lease(offer())
    return lease


async def test_a_lease_carries_the_work(connector: QueueConnector) -> None:
    job_id = await connector.enqueue(submission(count=2))
    lease = await take(connector)
    assert lease.key == LeaseKey(job_id, 1)
    assert (lease.model, lease.task, lease.count) == ("shapes", "text-to-image", 2)
    assert lease.inputs == submission().inputs
    assert lease.expires_at.tzinfo is not None


async def test_the_same_submission_is_one_job(connector: QueueConnector) -> None:
    ids = {await connector.enqueue(submission()) for _ in range(3)}
    assert len(ids) == 1
    await take(connector)
    assert list(await connector.lease(offer(wait_seconds=0))) == []


async def test_a_parked_lease_call_gets_work_that_comes(connector: QueueConnector) -> None:
    waiting = asyncio.create_task(take(connector))
    job_id = await connector.enqueue(submission())
    assert (await waiting).key.job_id == job_id


async def test_no_more_leases_than_offered_and_in_order(connector: QueueConnector) -> None:
    ids = [await connector.enqueue(submission(str(n))) for n in range(4)]
    first = await connector.lease(offer(capacity=3))
    assert [lease.key.job_id for lease in first] == ids[:3]
    assert [lease.key.job_id for lease in await connector.lease(offer())] == ids[3:]


async def test_only_models_that_were_offered(connector: QueueConnector) -> None:
    await connector.enqueue(submission())
    assert list(await connector.lease(offer(models=frozenset({"film"}), wait_seconds=0))) == []


async def test_extending_keeps_a_lease(connector: QueueConnector) -> None:
    await connector.enqueue(submission())
    lease = await take(connector)
    beats = [Beat(lease.key), Beat(lease.key, 0, 4), Beat(lease.key, 1, 4)]
    for beat in beats:
        assert await connector.extend([beat]) == Verdict()


async def test_unknown_leases_are_lost(connector: QueueConnector) -> None:
    await connector.enqueue(submission())
    lease = await take(connector)
    stale = LeaseKey(lease.key.job_id, 9)
    unknown = LeaseKey(uuid.UUID(int=5), 1)
    verdict = await connector.extend([Beat(lease.key), Beat(unknown), Beat(stale, 1, 4)])
    assert verdict == Verdict(lost=frozenset({unknown, stale}))


async def test_a_completion_is_published_once(connector: QueueConnector, jobs: Bench) -> None:
    await connector.enqueue(submission())
    lease = await take(connector)
    await connector.complete(completion(lease.key))
    await connector.complete(completion(lease.key))
    job = await jobs.part.queries.get(lease.key.job_id)
    assert (job.state, job.outputs) == (State.SUCCEEDED, completion(lease.key).outputs)


async def test_an_old_fence_can_do_nothing(connector: QueueConnector, jobs: Bench) -> None:
    await connector.enqueue(submission())
    old = await take(connector)
    await jobs.pass_lease_time()
    await jobs.part.upkeep.look()
    new = await take(connector)
    assert (old.key.fence, new.key.fence) == (1, 2)
    refused: list[Callable[[], Awaitable[None]]] = [
        lambda: connector.complete(completion(old.key)),
        lambda: connector.fail(Failure(old.key, Fault.ATTEMPT, "BROKEN")),
    ]
    for call in refused:
        with pytest.raises(LeaseLost):
            await call()
    assert (await connector.extend([Beat(old.key)])).lost == {old.key}
    await connector.complete(completion(new.key))


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        (Fault.INPUT, State.FAILED),
        (Fault.ATTEMPT, State.QUEUED),
        (Fault.HANDED_BACK, State.QUEUED),
        (Fault.CANCELED, State.CANCELED),
    ],
)
async def test_the_fault_decides_the_job(
    connector: QueueConnector, jobs: Bench, fault: Fault, state: State
) -> None:
    await connector.enqueue(submission())
    lease = await take(connector)
    await connector.fail(Failure(lease.key, fault, "BROKEN", "it broke \x00" * 200))
    assert (await jobs.part.queries.get(lease.key.job_id)).state is state


async def test_a_cancel_reaches_the_holder(connector: QueueConnector, jobs: Bench) -> None:
    await connector.enqueue(submission())
    lease = await take(connector)
    await jobs.part.commands.cancel(lease.key.job_id)
    for beat in (Beat(lease.key), Beat(lease.key, 1, 4)):
        assert (await connector.extend([beat])).canceled == {lease.key}
    with pytest.raises(LeaseLost):
        await connector.complete(completion(lease.key))

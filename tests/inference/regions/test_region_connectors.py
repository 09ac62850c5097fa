"""A real region that reaches the scheduler only through a message broker, with deaths in it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from reelmesh.inference.jobs.v1 import jobs_service_pb2 as pb
from sqlalchemy import text

from inference.connectors.brokers.opening import open_broker
from inference.connectors.brokers.protocol import BrokerAway
from inference.connectors.messages import job_text
from inference.jobs.invariants import offenders
from inference.wiring import SCHEMA
from meshkit.object_store import S3ObjectStore
from meshkit.postgres import Database
from meshkit.testing.brokers import BrokerServer, broker_server

pytestmark = pytest.mark.slow

TERMINAL = {"succeeded", "failed", "canceled", "expired"}
MESSAGES = 12


async def until(business: Any, job_id: str, wanted: Callable[[pb.Job], bool]) -> pb.Job:
    async with asyncio.timeout(240):
        async for job in business.WatchJob(pb.WatchJobRequest(job_id=job_id)):
            if wanted(job):
                return job
    raise AssertionError(f"the job ended otherwise: {job}")


async def ended(business: Any, job_id: str) -> pb.Job:
    return await until(business, job_id, lambda job: job.state in TERMINAL)


@pytest.fixture(scope="module", params=["nats", "postgres"])
async def broker(request: pytest.FixtureRequest, region: Any) -> AsyncIterator[BrokerServer]:
    """Move the region to a broker: its agent knows no address of the scheduler any more."""
    async with broker_server(request.param) as server:
        url_file = region.folder / f"{request.param}_url"
        url_file.write_text(server.url)
        if "bridge" in region.running:
            region.kill("bridge")
        region.kill("agent")
        region.start_bridge(url_file)
        region.agent_variables = {
            "REELMESH_CONNECTOR_URL_FILE": str(url_file),
            "REELMESH_INFERENCE_ADDRESS": "",
        }
        region.start_agent()
        await region.until_open()
        yield server


async def test_jobs_go_through_the_broker_and_survive_every_kill(
    broker: BrokerServer, region: Any, business: Any, objects: S3ObjectStore, submit: Any
) -> None:
    label = _name(broker)
    victim = await submit(f"{label}-replica", steps=60)
    await until(business, victim, lambda job: job.step >= 3)
    for pid in region.replica_pids():
        os.kill(pid, signal.SIGKILL)
    killed = await ended(business, victim)
    assert (killed.state, killed.attempt) == ("succeeded", 2)

    orphan = await submit(f"{label}-orphan", steps=100)
    await until(business, orphan, lambda job: job.step >= 3)
    region.kill("bridge")
    region.kill("agent")
    region.start_bridge(region.folder / f"{label}_url")
    region.start_agent()
    others = [await submit(f"{label}-{number}", steps=3) for number in range(4)]
    jobs = [await ended(business, job_id) for job_id in (orphan, *others)]
    assert {job.state for job in jobs} == {"succeeded"}
    for job in (killed, *jobs):
        keys = [info.key async for info in objects.list(f"results/{job.job_id}/")]
        assert keys == [output.object_key for output in job.outputs]
    await demand_invariants(region)


async def test_foreign_messages_become_pictures_once(
    broker: BrokerServer, region: Any, business: Any
) -> None:
    label = _name(broker)
    source, queue = f"partner-{label}", "orders"
    message = {
        "model": "shapes",
        "task": "text-to-image",
        "inputs": {"prompt": "a red circle", "seed": 7, "steps": 2},
    }
    async with open_broker(broker.url) as sender:
        await declared(sender, queue)
        for number in range(MESSAGES):
            body = json.dumps(message).encode()
            await sender.put(queue, body, message_id=f"order-{number}")
        await sender.put(queue, b"no order", message_id="malformed")
        settings = {
            "REELMESH_INBOUND_SOURCE": source,
            "REELMESH_INBOUND_QUEUE": queue,
            "REELMESH_INBOUND_TENANT": "org_1",
            "REELMESH_INBOUND_URL_FILE": str(region.folder / f"{label}_url"),
            "REELMESH_INBOUND_REDELIVERY_SECONDS": "2",
        }
        async with jobs_database(region) as database:
            region.start_inbound(**settings)
            await until_jobs(database, source, 1)
            region.kill("inbound")
            region.start_inbound(**settings)
            await until_jobs(database, source, MESSAGES)
            letters = await sender.take(f"{queue}-dead", limit=10, wait_seconds=30)
            # Every message was handled, so whatever came twice has come by now.
            async with asyncio.timeout(60):
                while await sender.take(queue, limit=1, wait_seconds=3):
                    pass
            rows = await job_rows(database, source)
        region.kill("inbound")
    assert [json.loads(letter.body)["reason"] for letter in letters] == ["NO_JSON"]
    assert len(rows) == len({key for _, key in rows}) == MESSAGES
    jobs = [await ended(business, job_id) for job_id, _ in rows]
    assert {job.state for job in jobs} == {"succeeded"}
    await demand_invariants(region)


def _name(broker: BrokerServer) -> str:
    return "nats" if broker.url.startswith("nats:") else "postgres"


async def declared(sender: Any, queue: str) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                await sender.declare(queue)
            except BrokerAway:
                await asyncio.sleep(0.05)
            else:
                return


def jobs_database(region: Any) -> Database:
    return Database(region.variables["REELMESH_DATABASE_URL"], schema=SCHEMA, pool_size=2)


async def job_rows(database: Database, source: str) -> list[tuple[str, str]]:
    async with database.sessions.begin() as session:
        rows = await session.execute(
            text(
                "SELECT id, idempotency_key FROM jobs.job"
                " WHERE starts_with(idempotency_key, :prefix)"
            ),
            {"prefix": f"inbound/{source}/"},
        )
        return [(job_text(row.id), row.idempotency_key) for row in rows]


async def until_jobs(database: Database, source: str, count: int) -> None:
    async with asyncio.timeout(120):
        while len(await job_rows(database, source)) < count:  # noqa: ASYNC110 - as it says.
            await asyncio.sleep(0.05)


async def demand_invariants(region: Any) -> None:
    async with jobs_database(region) as database, database.sessions.begin() as session:
        assert await offenders(session) == {}

"""An inbound connector makes exactly one job of each message, whatever the broker."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from reelmesh.inference.jobs.v1 import jobs_service_pb2_grpc as pb_grpc

from inference.connectors.brokers.opening import open_broker
from inference.connectors.brokers.protocol import Broker, BrokerAway, Delivery
from inference.inbound.intake import Intake
from inference.inbound.settings import InboundSource
from inference.testing import Bench, bench
from inference.wiring import MIGRATIONS, SCHEMA
from meshkit.clock import uuid7
from meshkit.stubs import MeshChannel
from meshkit.testing import processes
from meshkit.testing.brokers import BROKERS, BrokerServer
from meshkit.testing.databases import Databases
from meshkit.testing.identity import TestIdentity
from meshkit.testing.servers import ServedMesh, serve
from tests.conformance.wires import BrokerServers

GOOD = {"model": "shapes", "task": "text-to-image", "inputs": {"prompt": "a red circle"}}
REDELIVERY_SECONDS = 2.0
PATIENCE_SECONDS = 240


@dataclass(frozen=True)
class Inlet:
    """A foreign queue, the scheduler behind it, and what connects both."""

    server: BrokerServer
    broker: Broker
    source: InboundSource
    jobs: Bench
    mesh: ServedMesh
    folder: Path

    async def send(self, message_id: str, body: Mapping[str, Any] | bytes) -> None:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        await self.broker.put(self.source.queue, raw, message_id=message_id)

    async def count(self) -> int:
        [row] = await self.jobs.rows("SELECT count(*) AS n FROM jobs.job")
        return int(row.n)

    async def until_jobs(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await self.count() < count:  # noqa: ASYNC110 - only the database knows.
                await asyncio.sleep(0.05)

    async def until_empty(self) -> None:
        """Wait until the queue has nothing left, neither waiting nor taken."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await self.broker.take(
                self.source.queue, limit=1, wait_seconds=REDELIVERY_SECONDS + 1
            ):
                pass

    async def dead_letter(self) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                letters = await self.broker.take(self.source.dead_letters, limit=1, wait_seconds=1)
                if letters:
                    await self.broker.ack(self.source.dead_letters, letters[0])
                    letter: dict[str, Any] = json.loads(letters[0].body)
                    return letter

    @asynccontextmanager
    async def taking_in(self, broker: Broker | None = None) -> AsyncIterator[Intake]:
        async with self.mesh.channel("inbound") as channel:
            stub = channel.stub(pb_grpc.JobsServiceStub)
            intake = Intake(broker or self.broker, stub, self.source)
            running = asyncio.create_task(intake.run())
            try:
                yield intake
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)


@pytest.fixture(params=BROKERS)
async def inlet(
    request: pytest.FixtureRequest, brokers: BrokerServers, databases: Databases, tmp_path: Path
) -> AsyncIterator[Inlet]:
    server = await brokers.get(request.param)
    template = await databases.template({SCHEMA: MIGRATIONS})
    source = InboundSource("partner", f"orders-{uuid7()}", "org_1", 2)
    async with (
        databases.clone(template) as url,
        bench(url) as jobs,
        serve(*jobs.part.services(), identity=TestIdentity(tmp_path)) as mesh,
        open_broker(server.url, redelivery_seconds=REDELIVERY_SECONDS) as broker,
    ):
        for queue in (source.queue, source.dead_letters):
            await _declared(broker, queue)
        yield Inlet(server, broker, source, jobs, mesh, tmp_path)


async def _declared(broker: Broker, queue: str) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            try:
                await broker.declare(queue)
            except BrokerAway:
                await asyncio.sleep(0.05)
            else:
                return


async def test_each_message_is_one_job_of_the_sources_tenant(inlet: Inlet) -> None:
    for number in range(5):
        await inlet.send(f"m-{number}", GOOD)
        await inlet.send(f"m-{number}", GOOD)  # The sender was not sure.
    async with inlet.taking_in():
        await inlet.until_jobs(5)
        await inlet.until_empty()
    rows = await inlet.jobs.rows("SELECT tenant_id, idempotency_key, band FROM jobs.job ORDER BY 2")
    assert [tuple(row) for row in rows] == [
        ("org_1", f"inbound/partner/m-{number}", 2) for number in range(5)
    ]


class ForgetfulBroker:
    """A broker that loses the first acknowledgement of every message."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self.forgotten: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._broker, name)

    async def ack(self, queue: str, delivery: Delivery) -> None:
        if delivery.message_id not in self.forgotten:
            self.forgotten.add(delivery.message_id)
            raise BrokerAway("the acknowledgement was lost")
        await self._broker.ack(queue, delivery)


async def test_a_redelivered_message_makes_no_second_job(inlet: Inlet) -> None:
    for number in range(3):
        await inlet.send(f"m-{number}", GOOD)
    forgetful = ForgetfulBroker(inlet.broker)
    async with inlet.taking_in(forgetful):
        await inlet.until_jobs(3)
        await inlet.until_empty()
    assert await inlet.count() == 3
    assert forgetful.forgotten == {"m-0", "m-1", "m-2"}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"\xffno json", "NO_JSON"),
        (json.dumps(GOOD | {"model": "none"}).encode(), "MODEL_NOT_FOUND"),
        (json.dumps(GOOD | {"count": 9}).encode(), "INVALID_REQUEST"),
    ],
    ids=["unreadable", "refused", "invalid"],
)
async def test_what_can_be_no_job_is_a_dead_letter_with_its_reason(
    inlet: Inlet, body: bytes, reason: str
) -> None:
    await inlet.send("bad", body)
    await inlet.send("good", GOOD)
    async with inlet.taking_in():
        letter = await inlet.dead_letter()
        await inlet.until_jobs(1)
    assert (letter["reason"], letter["message_id"]) == (reason, "bad")
    assert letter["detail"]
    assert base64.b64decode(letter["body_base64"]) == body


async def test_an_id_that_was_another_message_is_a_dead_letter(inlet: Inlet) -> None:
    async with inlet.taking_in():
        await inlet.send("m", GOOD)
        await inlet.until_jobs(1)
        await inlet.until_empty()
    # Postgres and NATS drop a known id themselves for a while, so it comes by another way.
    other = Delivery("m", json.dumps(GOOD | {"count": 2}).encode(), None)
    async with inlet.mesh.channel("inbound") as channel:
        broker = OneDelivery(inlet.broker, other)
        intake = Intake(broker, channel.stub(pb_grpc.JobsServiceStub), inlet.source)
        assert await intake._handle(other) == "dead_letter"
    assert (await inlet.dead_letter())["reason"] == "IDEMPOTENCY_KEY_REUSED"
    assert await inlet.count() == 1


class OneDelivery:
    """A broker whose one delivery is acknowledged without looking."""

    def __init__(self, broker: Broker, delivery: Delivery) -> None:
        self._broker = broker
        self._delivery = delivery

    def __getattr__(self, name: str) -> Any:
        return getattr(self._broker, name)

    async def ack(self, queue: str, delivery: Delivery) -> None:
        assert delivery is self._delivery


async def test_nothing_is_lost_while_the_scheduler_is_away(inlet: Inlet) -> None:
    await inlet.send("m", GOOD)
    nowhere = MeshChannel(
        f"127.0.0.1:{processes.free_ports(1)[0]}", inlet.mesh.identity.service("inbound")
    )
    async with nowhere:
        intake = Intake(inlet.broker, nowhere.stub(pb_grpc.JobsServiceStub), inlet.source)
        [delivery] = await inlet.broker.take(inlet.source.queue, limit=1, wait_seconds=10)
        assert await intake._handle(delivery) == "delayed"
    async with inlet.taking_in():
        await inlet.until_jobs(1)


def _start(inlet: Inlet) -> subprocess.Popen[bytes]:
    url_file = inlet.folder / "url"
    url_file.write_text(inlet.server.url)
    settings = {
        "REELMESH_INBOUND_SOURCE": inlet.source.name,
        "REELMESH_INBOUND_QUEUE": inlet.source.queue,
        "REELMESH_INBOUND_TENANT": inlet.source.tenant_id,
        "REELMESH_INBOUND_URL_FILE": str(url_file),
        "REELMESH_INBOUND_REDELIVERY_SECONDS": str(REDELIVERY_SECONDS),
        "REELMESH_INFERENCE_ADDRESS": inlet.mesh.address,
        "REELMESH_SERVICE_KEY_FILE": str(inlet.mesh.identity.service_key_file("inbound")),
    }
    with (inlet.folder / "inbound.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "inference.inbound"],
            env={**os.environ, **settings},
            stdout=log,
            stderr=log,
        )


async def test_killing_it_in_the_middle_neither_loses_nor_doubles(inlet: Inlet) -> None:
    count = 60
    for number in range(count):
        await inlet.send(f"m-{number}", GOOD)
    process = _start(inlet)
    try:
        await inlet.until_jobs(5)
        process.kill()
        process.wait()
        done = await inlet.count()
        assert done < count, "it was killed too late to show anything"
        process = _start(inlet)
        await inlet.until_jobs(count)
        await inlet.until_empty()
    finally:
        process.kill()
        process.wait()
    assert await inlet.count() == count

"""The real process: configured by its environment, fed by NATS, killed and started again."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from reelmesh.business.tools.v1 import tools_events_pb2 as events_pb
from reelmesh.business.tools.v1 import tools_service_pb2 as pb
from reelmesh.business.tools.v1 import tools_service_pb2_grpc as pb_grpc
from reelmesh.inference.jobs.v1 import jobs_events_pb2 as jobs_events_pb

from business_svc.tools.jobs import JOB_FINISHED
from business_svc.tools.journal import RUN_FINISHED
from meshkit.bus import EventBus
from meshkit.clock import uuid7
from meshkit.inbox import Event, EventConsumer
from meshkit.tasks import Supervisor
from meshkit.testing import processes
from meshkit.testing.identity import USER
from meshkit.testing.servers import UserChannel
from meshkit.testing.signals import Signal, eventually

from .harness import Installation, run_request

ROOT = Path(__file__).resolve().parents[3]


class BusinessProcess:
    """`python -m business_svc` on a free port."""

    def __init__(self, installation: Installation, nats_url: str, log: Path) -> None:
        self._installation = installation
        self._log = log
        self._port = processes.free_ports(1)[0]
        identity = installation.identity
        self._environment = os.environ | {
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "protos" / "gen")]),
            "REELMESH_LISTEN": self.address,
            "REELMESH_DATABASE_URL": installation.database.url,
            "REELMESH_NATS_URL": nats_url,
            "REELMESH_MIGRATE": "true",
            # Longer than `end` waits: a watcher that held the server up would fail the test.
            "REELMESH_DRAIN_SECONDS": "60",
            "REELMESH_JWKS_FILE": str(identity.jwks_file),
            "REELMESH_SERVICE_JWKS_FILE": str(identity.service_jwks_file),
            "REELMESH_SERVICE_KEY_FILE": str(identity.service_key_file("business")),
            "REELMESH_PLATFORM_ADDRESS": installation.others.address,
            "REELMESH_INFERENCE_ADDRESS": installation.others.address,
            "REELMESH_BUSINESS_ADDRESS": self.address,
        }
        self._process: asyncio.subprocess.Process | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._port}"

    async def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "business_svc", env=self._environment, cwd=ROOT, stderr=log
            )
        async with grpc.aio.insecure_channel(self.address) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            reply = await stub.Check(
                health_pb2.HealthCheckRequest(), wait_for_ready=True, timeout=120
            )
        assert reply.status == health_pb2.HealthCheckResponse.SERVING

    async def end(self, how: signal.Signals) -> int:
        assert self._process is not None
        if self._process.returncode is None:
            self._process.send_signal(how)
        async with asyncio.timeout(20):
            return await self._process.wait()

    @asynccontextmanager
    async def stub(self) -> AsyncIterator[Any]:
        async with UserChannel(self.address, self._installation.identity, USER) as channel:
            yield channel.stub(pb_grpc.ToolsServiceStub)


@pytest.fixture
async def business(
    installation: Installation, nats_url: str, tmp_path: Path
) -> AsyncIterator[BusinessProcess]:
    business = BusinessProcess(installation, nats_url, tmp_path / "business.log")
    try:
        await business.start()
        yield business
    finally:
        await business.end(signal.SIGKILL)


@asynccontextmanager
async def hearing(bus: EventBus) -> AsyncIterator[Signal[events_pb.RunFinished]]:
    """Give the RunFinished events of this test."""
    heard: Signal[events_pb.RunFinished] = Signal()

    async def hear(event: Event) -> None:
        heard.emit(event.parse(events_pb.RunFinished))

    name = f"test-{uuid7().hex}"
    consumer = EventConsumer(bus, subject=RUN_FINISHED, name=name, handler=hear)
    async with Supervisor() as supervisor:
        supervisor.start(name, consumer.run)
        yield heard


async def tell(bus: EventBus, installation: Installation, run_id: str) -> None:
    job = await installation.inference.finish(run_id)
    data = jobs_events_pb.JobFinished(job=job).SerializeToString()
    await bus.publish(JOB_FINISHED, data, event_id=uuid7())


@pytest.mark.slow
async def test_a_batch_survives_kills_and_is_charged_once(
    business: BusinessProcess, installation: Installation, bus: EventBus
) -> None:
    request = run_request()
    keys = [(("idempotency-key", f"k{index}"),) for index in range(6)]
    async with hearing(bus) as heard:
        async with business.stub() as stub:
            calls = [stub.RunTool(request, metadata=key) for key in keys]
            first = await calls[0]
            await tell(bus, installation, first.run_id)
            await business.end(signal.SIGKILL)
            await asyncio.gather(*calls, return_exceptions=True)
        await business.start()
        async with business.stub() as stub:
            runs = [await stub.RunTool(request, metadata=key) for key in keys]
        assert runs[0].run_id == first.run_id
        for run in runs[1:3]:
            await tell(bus, installation, run.run_id)
        await business.end(signal.SIGKILL)
        for run in runs[3:]:
            await tell(bus, installation, run.run_id)
        await business.start()
        finished: set[str] = set()
        while not finished >= {run.run_id for run in runs}:
            finished.add((await heard.wait(60)).run_id)
        async with business.stub() as stub:
            listed = (await stub.ListRuns(pb.ListRunsRequest())).runs
    assert {(run.state, run.credits_charged) for run in listed} == {("succeeded", 2)}
    assert installation.platform.available[runs[0].org_id] == 500 - 12
    assert len(installation.inference.jobs) == len(installation.platform.ready) == 6


async def test_the_process_drains_on_sigterm_and_ends_its_watches(
    business: BusinessProcess, installation: Installation
) -> None:
    async with business.stub() as stub:
        run = await stub.RunTool(run_request())
        stream = stub.WatchRun(pb.WatchRunRequest(run_id=run.run_id))
        assert (await stream.read()).state == "queued"

        async def followed() -> bool:
            return installation.inference.watchers == 1

        await eventually(followed)
        ended = asyncio.create_task(business.end(signal.SIGTERM))
        with pytest.raises(grpc.aio.AioRpcError) as broken:
            await stream.read()
        assert broken.value.code() is grpc.StatusCode.UNAVAILABLE
        assert "watch again" in str(broken.value.details())
        assert await ended == 0

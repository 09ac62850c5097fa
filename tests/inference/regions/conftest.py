"""A whole region in processes: scheduler, Ray head and agent, on real components."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from google.protobuf import json_format, struct_pb2
from reelmesh.inference.jobs.v1 import jobs_service_pb2 as pb
from reelmesh.inference.jobs.v1 import jobs_service_pb2_grpc as pb_grpc

from inference.wiring import MIGRATIONS, SCHEMA
from meshkit.object_store import S3Settings
from meshkit.stubs import MeshChannel
from meshkit.testing import processes
from meshkit.testing.databases import Databases
from meshkit.testing.identity import TestIdentity

NODE_IP: Final = "127.0.0.57"
START_SECONDS_MAX: Final = 120
RAY_TOKEN: Final = "0" * 64
HEAD_STARTS_MAX: Final = 4
HEAD_PORTS: Final = (
    *("port", "dashboard-port", "dashboard-agent-listen-port", "dashboard-agent-grpc-port"),
    *("runtime-env-agent-port", "ray-client-server-port", "node-manager-port"),
    *("object-manager-port", "metrics-export-port"),
)


@dataclass
class RegionBench:
    """Processes of one region and of the scheduler that it dials."""

    folder: Path
    identity: TestIdentity
    variables: dict[str, str]
    head: dict[str, int]
    address: str
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    metrics_port: int = 0
    agent_variables: dict[str, str] = field(default_factory=dict)

    def start(self, name: str, *command: str, **variables: str) -> None:
        log = self.folder / f"{name}.log"
        env = {**os.environ, **self.variables, **variables}
        with log.open("ab") as output:
            self.running[name] = subprocess.Popen(
                command,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd=self.folder,
            )

    def start_head(self) -> None:
        self.start(
            "head",
            *(processes.binary("ray"), "start", "--head", "--block", "--disable-usage-stats"),
            f"--node-ip-address={NODE_IP}",
            *(f"--{name}={port}" for name, port in self.head.items()),
            *("--num-cpus=2", "--object-store-memory=80000000", "--include-log-monitor=false"),
            *("--dashboard-host=127.0.0.1", f"--temp-dir={self.folder / 'ray'}"),
            RAY_enable_worker_prestart="0",
        )

    def start_scheduler(self, **variables: str) -> None:
        command = (sys.executable, "-m", "inference")
        self.start("scheduler", *command, REELMESH_LISTEN=self.address, **variables)

    def start_agent(self) -> None:
        self.start(
            "agent",
            *(sys.executable, "-m", "inference.regions.agent"),
            REELMESH_METRICS_LISTEN=f"127.0.0.1:{self.metrics_port}",
            REELMESH_SERVICE_KEY_FILE=str(self.identity.service_key_file("region:us-east")),
            **self.agent_variables,
        )

    def start_bridge(self, url_file: Path) -> None:
        self.start(
            "bridge",
            *(sys.executable, "-m", "inference.connectors"),
            REELMESH_CONNECTOR_URL_FILE=str(url_file),
        )

    def start_inbound(self, **variables: str) -> None:
        self.start(
            "inbound",
            *(sys.executable, "-m", "inference.inbound"),
            REELMESH_SERVICE_KEY_FILE=str(self.identity.service_key_file("inbound")),
            **variables,
        )

    async def until_head(self) -> None:
        """Wait until the cluster answers; on a busy machine Ray gives up and must try again."""
        url = f"http://127.0.0.1:{self.head['dashboard-port']}/api/gcs_healthz"
        starts = HEAD_STARTS_MAX
        async with asyncio.timeout(HEAD_STARTS_MAX * START_SECONDS_MAX):
            while not await asyncio.to_thread(_answers, url, RAY_TOKEN):
                if self.running["head"].poll() is not None:
                    starts -= 1
                    assert starts, (self.folder / "head.log").read_text()
                    self.start_head()
                await asyncio.sleep(0.2)

    async def until_open(self) -> None:
        """Wait until the region takes work."""
        async with asyncio.timeout(START_SECONDS_MAX):
            while not await asyncio.to_thread(self._is_open):
                for name, process in self.running.items():
                    assert process.poll() is None, (self.folder / f"{name}.log").read_text()
                await asyncio.sleep(0.1)

    def _is_open(self) -> bool:
        return _answers(f"http://127.0.0.1:{self.metrics_port}/healthz")

    def kill(self, name: str) -> None:
        process = self.running.pop(name)
        process.kill()
        process.wait()

    def replica_pids(self) -> list[int]:
        """Find the replicas' processes of this cluster, by their parent and title."""
        entries = [entry for entry in Path("/proc").iterdir() if entry.name.isdigit()]
        return sorted(int(entry.name) for entry in entries if self._is_replica(entry))

    def _is_replica(self, process: Path) -> bool:
        try:
            title = (process / "cmdline").read_bytes()
            if not title.startswith(b"ray::ServeReplica:"):
                return False
            return NODE_IP.encode() in (process / "environ").read_bytes() or self._has_session(
                process
            )
        except OSError:
            return False

    def _has_session(self, process: Path) -> bool:
        links = (process / "fd").iterdir()
        return any(str(self.folder) in str(link.readlink()) for link in links)

    def stop_all(self) -> None:
        for name in ("inbound", "agent", "head", "bridge", "scheduler"):
            if name in self.running:
                processes.stop(self.running.pop(name))


def _answers(url: str, token: str = "") -> bool:
    request = urllib.request.Request(url, headers={"authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


@contextmanager
def bench_folder() -> Iterator[Path]:
    # Ray puts sockets below it, whose paths may have 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="rm-ray-", dir="/tmp"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
async def region(
    databases: Databases, s3_settings: S3Settings, nats_url: str
) -> AsyncIterator[RegionBench]:
    template = await databases.template({SCHEMA: MIGRATIONS})
    with bench_folder() as folder:
        async with databases.clone(template) as url:
            bench = _bench(folder, url, s3_settings, nats_url)
            try:
                bench.start_head()
                await bench.until_head()
                bench.start_scheduler()
                bench.start_agent()
                await bench.until_open()
                yield bench
            finally:
                bench.stop_all()


def _bench(folder: Path, url: str, s3: S3Settings, nats_url: str) -> RegionBench:
    identity = TestIdentity(folder / "secrets")
    keys = {"access": s3.access_key, "secret": s3.secret_key}
    for name, text in keys.items():
        (folder / f"s3_{name}").write_text(text)
    (folder / "ray_token").write_text(RAY_TOKEN)
    *head_ports, port, metrics_port = processes.free_ports(len(HEAD_PORTS) + 2)
    head = dict(zip(HEAD_PORTS, head_ports, strict=True))
    variables = {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(folder / "ray_token"),
        "REELMESH_DATABASE_URL": url,
        "REELMESH_NATS_URL": nats_url,
        "REELMESH_JWKS_FILE": str(identity.jwks_file),
        "REELMESH_SERVICE_JWKS_FILE": str(identity.service_jwks_file),
        "REELMESH_SERVICE_KEY_FILE": str(identity.service_key_file("inference")),
        "REELMESH_S3_ENDPOINT": s3.endpoint,
        "REELMESH_S3_REGION": s3.region,
        "REELMESH_S3_BUCKET": s3.bucket,
        "REELMESH_S3_ACCESS_KEY_FILE": str(folder / "s3_access"),
        "REELMESH_S3_SECRET_KEY_FILE": str(folder / "s3_secret"),
        "REELMESH_INFERENCE_ADDRESS": f"127.0.0.1:{port}",
        "REELMESH_REGION": "us-east",
        "REELMESH_RAY_ADDRESS": f"{NODE_IP}:{head['port']}",
        "REELMESH_PIPELINE_FAMILY": "fake",
        "REELMESH_MODELS_DIR": str(folder / "models"),
        "REELMESH_STEP_SECONDS_MIN": "0.05",
        "REELMESH_LEASE_SECONDS": "5",
        "REELMESH_REPLICAS_MIN": "0",
    }
    return RegionBench(
        folder, identity, variables, head, f"127.0.0.1:{port}", metrics_port=metrics_port
    )


@pytest.fixture(scope="module")
async def business(region: RegionBench) -> AsyncIterator[Any]:
    channel = MeshChannel(region.address, region.identity.service("business"))
    async with channel:
        yield channel.stub(pb_grpc.JobsServiceStub)


def submit_request(key: str, *, steps: int = 4, count: int = 1) -> pb.SubmitJobRequest:
    inputs = struct_pb2.Struct()
    json_format.ParseDict({"prompt": "a red circle", "seed": 7, "steps": steps}, inputs)
    return pb.SubmitJobRequest(
        tenant_id="org_1",
        idempotency_key=key,
        model="shapes",
        task="text-to-image",
        inputs=inputs,
        count=count,
        band=1,
    )


@pytest.fixture
def submit(business: Any) -> Callable[..., Awaitable[str]]:
    """Submit a job and give its id."""

    async def call(key: str, **changes: int) -> str:
        request = submit_request(key, **changes)
        # A scheduler that a test has just started again may not listen yet.
        return (await business.SubmitJob(request, wait_for_ready=True)).job_id

    return call

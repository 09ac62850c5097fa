from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import grpc
import pytest
import sqlalchemy as sa
from google.protobuf.wrappers_pb2 import StringValue
from grpc_health.v1 import health_pb2, health_pb2_grpc
from sqlalchemy.engine import make_url

from meshkit.clock import Ambient
from meshkit.outbox import add_event, outbox_table
from meshkit.postgres import Database
from meshkit.testing.databases import Databases, PostgresServer
from meshkit.testing.identity import TestIdentity
from meshkit.testing.processes import free_ports
from meshkit.testing.seaweedfs import ACCESS_KEY, SECRET_KEY
from meshkit.testing.signals import eventually

SAMPLE_PART = Path(__file__).parent / "sample_part.py"
AMBIENT = Ambient()
INHERITED = ("PATH", "PYTHONPATH")


@pytest.fixture
async def empty_url(databases: Databases) -> AsyncIterator[str]:
    async with databases.clone(await databases.template({})) as url:
        yield url


@pytest.fixture
def variables(empty_url, nats_url, s3_settings, identity: TestIdentity, tmp_path) -> dict[str, str]:
    (tmp_path / "access").write_text(ACCESS_KEY)
    (tmp_path / "secret").write_text(SECRET_KEY)
    grpc_port, metrics_port = free_ports(2)
    return {
        "REELMESH_LISTEN": f"127.0.0.1:{grpc_port}",
        "REELMESH_METRICS_LISTEN": f"127.0.0.1:{metrics_port}",
        "REELMESH_DATABASE_URL": empty_url,
        "REELMESH_NATS_URL": nats_url,
        "REELMESH_MIGRATE": "true",
        "REELMESH_JWKS_FILE": str(identity.jwks_file),
        "REELMESH_SERVICE_JWKS_FILE": str(identity.service_jwks_file),
        "REELMESH_SERVICE_KEY_FILE": str(identity.service_key_file("platform")),
        "REELMESH_S3_ENDPOINT": s3_settings.endpoint,
        "REELMESH_S3_BUCKET": "part-under-test",
        "REELMESH_S3_ACCESS_KEY_FILE": str(tmp_path / "access"),
        "REELMESH_S3_SECRET_KEY_FILE": str(tmp_path / "secret"),
        "SAMPLE_SIZE": "3",
    }


@asynccontextmanager
async def running(variables: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(SAMPLE_PART),
        env={name: os.environ[name] for name in INHERITED if name in os.environ} | variables,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def health(address: str) -> int:
    async with grpc.aio.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        reply = await stub.Check(health_pb2.HealthCheckRequest(), wait_for_ready=True, timeout=90)
    return int(reply.status)


async def test_a_part_migrates_serves_relays_and_drains(variables: dict[str, str]) -> None:
    url = variables["REELMESH_DATABASE_URL"]
    async with running(variables) as process:
        assert await health(variables["REELMESH_LISTEN"]) == health_pb2.HealthCheckResponse.SERVING
        async with Database(url, "sample") as database:
            async with database.sessions.begin() as session:
                await add_event(
                    session,
                    "reelmesh.test.part",
                    StringValue(value="x"),
                    event_id=AMBIENT.new_id(),
                    now=AMBIENT.now(),
                )

            async def relayed() -> bool:
                async with database.sessions() as session:
                    count = sa.select(sa.func.count()).select_from(outbox_table("sample"))
                    return await session.scalar(count) == 0

            await eventually(relayed, timeout=30)
        address = f"http://{variables['REELMESH_METRICS_LISTEN']}/metrics"
        metrics = await asyncio.to_thread(
            lambda: urllib.request.urlopen(address, timeout=30).read().decode()
        )
        assert 'reelmesh_outbox_published_total{schema="sample"} 1.0' in metrics
        process.send_signal(signal.SIGTERM)
        _, log = await asyncio.wait_for(process.communicate(), 90)
    assert process.returncode == 0
    messages = [json.loads(line)["message"] for line in log.decode().splitlines()]
    assert messages[-1] == "part stopped"


class Relay:
    """A TCP port before a database that listens on a Unix socket; it can be cut and restored."""

    def __init__(self, port: int, socket: str) -> None:
        self._port = port
        self._socket = socket
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def restore(self) -> None:
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", self._port)

    async def cut(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._open:
            writer.transport.abort()
        await self._server.wait_closed()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        database, to_database = await asyncio.open_unix_connection(self._socket)
        self._open |= {writer, to_database}
        await asyncio.gather(self._pass_on(reader, to_database), self._pass_on(database, writer))

    async def _pass_on(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await source.read(65536):
                target.write(data)
        target.close()
        self._open.discard(target)


async def test_a_part_does_not_say_that_it_serves_while_its_database_is_gone(
    variables: dict[str, str], postgres: PostgresServer
) -> None:
    [port] = free_ports(1)
    relay = Relay(port, f"{postgres.folder}/.s.PGSQL.5432")
    name = make_url(variables["REELMESH_DATABASE_URL"]).database
    variables |= {"REELMESH_DATABASE_URL": f"postgresql+asyncpg://postgres@127.0.0.1:{port}/{name}"}
    status = health_pb2.HealthCheckResponse

    async def says(expected: int) -> bool:
        return await health(variables["REELMESH_LISTEN"]) == expected

    await relay.restore()
    async with running(variables) as process:
        assert await says(status.SERVING)
        await relay.cut()
        await eventually(lambda: says(status.NOT_SERVING))
        await relay.restore()
        await eventually(lambda: says(status.SERVING))
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.communicate(), 90)
    await relay.cut()
    assert process.returncode == 0


async def test_every_problem_of_the_configuration_is_told_at_once(
    variables: dict[str, str],
) -> None:
    variables |= {"SAMPLE_SIZE": "11", "REELMESH_DATABASE_URL": "mysql://x"}
    del variables["REELMESH_NATS_URL"]
    async with running(variables) as process:
        _, log = await asyncio.wait_for(process.communicate(), 90)
    assert process.returncode == 2
    assert b"3 problem(s)" in log
    for name in (b"SAMPLE_SIZE", b"REELMESH_DATABASE_URL", b"REELMESH_NATS_URL"):
        assert name in log
    assert b"Traceback" not in log


async def test_a_database_that_is_away_ends_the_start_without_a_traceback(
    variables: dict[str, str],
) -> None:
    variables |= {"REELMESH_DATABASE_URL": "postgresql+asyncpg://u@127.0.0.1:1/x"}
    async with running(variables) as process:
        _, log = await asyncio.wait_for(process.communicate(), 90)
    assert process.returncode == 1
    assert b"could not start" in log
    assert b"Traceback" not in log

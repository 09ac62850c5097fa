"""The stores are started for real, in a data folder whose path has a space."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from dataclasses import dataclass, replace
from pathlib import Path

import asyncpg
import nats as nats_client
import psutil
import pytest

from deploy.local.component import Component, NotReady
from deploy.local.layout import Layout
from deploy.local.logfiles import last_lines
from deploy.local.nats import Nats
from deploy.local.ports import Ports
from deploy.local.postgres import Postgres
from deploy.local.processes import read_identities
from deploy.local.seaweedfs import SeaweedFS
from deploy.local.secret_files import ensure_secrets
from deploy.local.status import PlatformStatus
from deploy.local.supervisor import Supervisor
from meshkit.object_store import S3ObjectStore, S3Settings
from meshkit.testing.databases import PostgresServer
from tests.deploy.conftest import Supervise
from tests.deploy.programs import Recorder
from tests.deploy.waiting import marked, until


@dataclass(frozen=True)
class Stores:
    postgres: Postgres
    nats: Nats
    seaweedfs: SeaweedFS

    def components(self) -> list[Component]:
        return [one.component() for one in (self.postgres, self.nats, self.seaweedfs)]

    def objects(self) -> S3ObjectStore:
        secrets = self.seaweedfs.secrets
        keys = (secrets.s3_access_key.read_text(), secrets.s3_secret_key.read_text())
        return S3ObjectStore(S3Settings(self.seaweedfs.endpoint, "us-east-1", "reelmesh", *keys))


def make_stores(layout: Layout) -> Stores:
    ports, secrets = Ports(), ensure_secrets(layout.secrets, [])
    return Stores(
        Postgres(layout, secrets, ports.one()),
        Nats(layout, secrets, ports.one()),
        SeaweedFS.on(layout, secrets, ports),
    )


async def write(stores: Stores) -> None:
    connection = await stores.postgres.connect()
    await connection.execute("CREATE TABLE kept (text text); INSERT INTO kept VALUES ('row')")
    await connection.close()
    async with stores.objects() as objects:
        await objects.put("kept", b"object", content_type="text/plain")
    bus = await nats_client.connect(stores.nats.url)
    await bus.jetstream().add_stream(name="KEPT", subjects=["kept"])
    await bus.jetstream().publish("kept", b"event")
    await bus.close()


async def read(stores: Stores) -> tuple[str, bytes, bytes]:
    connection = await stores.postgres.connect()
    row = await connection.fetchval("SELECT text FROM kept")
    await connection.close()
    async with stores.objects() as objects:
        data = await objects.get("kept", max_bytes=100)
    bus = await nats_client.connect(stores.nats.url)
    event = await bus.jetstream().get_msg("KEPT", seq=1)
    await bus.close()
    return row, data, event.data


@pytest.mark.slow
async def test_data_survives_a_stop_and_a_kill_on_other_ports(
    layout: Layout, supervise: Supervise
) -> None:
    first = make_stores(layout)
    supervisor = supervise(*first.components())
    await supervisor.start()
    await write(first)
    await supervisor.stop()

    second = make_stores(layout)
    supervisor = supervise(*second.components())
    await supervisor.start()
    assert await read(second) == ("row", b"object", b"event")
    for identity in read_identities(layout.pids):
        os.kill(identity.pid, signal.SIGKILL)
    await supervisor.stop()

    third = make_stores(layout)
    await supervise(*third.components()).start()
    assert await read(third) == ("row", b"object", b"event")


@pytest.mark.slow
async def test_two_platforms_run_side_by_side_and_next_to_other_servers(
    layout: Layout, supervise: Supervise, tmp_path: Path, postgres: PostgresServer, nats_url: str
) -> None:
    neighbour_layout = Layout(tmp_path / "neighbour")
    neighbour_layout.prepare()
    ours, theirs = make_stores(layout), make_stores(neighbour_layout)
    neighbour = Supervisor(
        neighbour_layout, theirs.components(), PlatformStatus("http://neighbour"), Recorder()
    )
    try:
        await asyncio.gather(supervise(*ours.components()).start(), neighbour.start())
        await asyncio.gather(write(ours), write(theirs))
    finally:
        await neighbour.stop()
        shutil.rmtree(neighbour_layout.runtime, ignore_errors=True)

    assert marked(neighbour_layout) == []
    assert {one.name for one in read_identities(layout.pids)} == {"postgres", "nats", "seaweedfs"}
    assert await read(ours) == ("row", b"object", b"event")
    # Those of nobody's platform, which ran all the time, are as they were.
    await (await postgres.connect()).close()
    await (await nats_client.connect(nats_url)).close()


@pytest.mark.slow
async def test_each_store_comes_back_after_a_kill(layout: Layout, supervise: Supervise) -> None:
    stores = make_stores(layout)
    await supervise(*stores.components()).start()
    await write(stores)
    before = {one.name: one for one in read_identities(layout.pids)}

    for identity in before.values():
        os.kill(identity.pid, signal.SIGKILL)

    def restarted() -> bool:
        now = {one.name: one for one in read_identities(layout.pids)}
        return now.keys() == before.keys() and all(now[n].pid != before[n].pid for n in now)

    await until(restarted, seconds=30)
    for component in stores.components():
        await until_ready(component)
    assert await read(stores) == ("row", b"object", b"event")


@pytest.mark.slow
async def test_a_database_initialization_that_was_cut_short_is_begun_anew(
    layout: Layout, supervise: Supervise
) -> None:
    half = layout.data / "postgres.new"
    half.mkdir()
    (half / "PG_VERSION").write_text("18\n")
    layout.data.chmod(0o700)
    postgres = make_stores(layout).postgres

    await supervise(postgres.component()).start()

    await postgres.check()
    told = f"chmod o+x {layout.data}: PostgreSQL runs as another user" in last_lines(
        layout.log("postgres"), 1000
    )
    assert told == (os.geteuid() == 0)


@pytest.mark.slow
async def test_a_database_lock_with_a_recycled_pid_does_not_keep_it_from_starting(
    layout: Layout, supervise: Supervise
) -> None:
    postgres = make_stores(layout).postgres
    supervisor = supervise(postgres.component())
    await supervisor.start()
    await supervisor.stop()
    lock = layout.data / "postgres" / "postmaster.pid"
    lock.write_text(f"{os.getpid()}\n{layout.data}/postgres\n1\n{postgres.port}\n\n\n\n")

    await supervise(postgres.component()).start()

    await postgres.check()
    assert psutil.Process(os.getpid()).is_running()


@pytest.mark.slow
async def test_the_stores_refuse_those_without_credentials(
    layout: Layout, supervise: Supervise
) -> None:
    stores = make_stores(layout)
    await supervise(*stores.components()).start()

    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(
            host="127.0.0.1", port=stores.postgres.port, user="reelmesh", password="x", ssl=False
        )
    stranger = replace(stores.nats, secrets=ensure_secrets(layout.data / "other secrets", []))
    with pytest.raises(NotReady, match="Authorization"):
        await stranger.check()


async def until_ready(component: Component) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                return await component.check()
            except NotReady:
                await asyncio.sleep(0.1)

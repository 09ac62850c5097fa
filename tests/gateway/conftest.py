"""A real Envoy with the generated configuration, in front of real servers with fake services."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from reelmesh.business.tools.v1 import tools_service_pb2
from reelmesh.platform.assets.v1 import assets_service_pb2
from reelmesh.platform.credits.v1 import credits_service_pb2
from reelmesh.platform.identity.v1 import identity_service_pb2
from reelmesh.platform.organizations.v1 import organizations_service_pb2

from gateway.envoy import write_edge
from gateway.topology import Address, Endpoint, Topology, Upstream
from meshkit.testing.fakes import FakeServicer
from meshkit.testing.identity import TestIdentity
from meshkit.testing.servers import serve

START_SECONDS = 20
ENVOY = Path(importlib.util.find_spec("envoy").origin).parent / "_bin" / "envoy"
MODULES = {
    "identity": (identity_service_pb2, "platform"),
    "organizations": (organizations_service_pb2, "platform"),
    "credits": (credits_service_pb2, "platform"),
    "assets": (assets_service_pb2, "platform"),
    "tools": (tools_service_pb2, "business"),
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def topology_of(platform_port: int, business_port: int, port: int) -> Topology:
    def upstream(part: str, port: int) -> Upstream:
        return Upstream(part, (Endpoint(Address("127.0.0.1", port)),))

    return Topology(
        listen=Address("127.0.0.1", port),
        # No test calls the third part, whose methods are for operators.
        upstreams=(
            upstream("platform", platform_port),
            upstream("business", business_port),
            upstream("inference", business_port),
        ),
    )


class Edge:
    """A running Envoy."""

    def __init__(self, topology: Topology, folder: Path) -> None:
        self.folder = folder
        self.access_log = folder / "access.log"
        self.topology = replace(topology, access_log=str(self.access_log))
        self.address = f"127.0.0.1:{topology.listen.port}"
        self.url = f"http://{self.address}"
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        config = write_edge(self.folder, self.topology)
        with (self.folder / "envoy.log").open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(ENVOY, "-c", config, "--concurrency", "1", "--use-dynamic-base-id"),
                *("--log-level", "warning", "--file-flush-interval-msec", "100"),
                stdout=log,
                stderr=log,
            )

    async def ready(self) -> None:
        """Wait until the edge says that all parts are well."""
        async with asyncio.timeout(START_SECONDS), httpx.AsyncClient(trust_env=False) as client:
            while True:
                assert self._process.returncode is None, (self.folder / "envoy.log").read_text()
                with contextlib.suppress(httpx.TransportError):
                    if (await client.get(f"{self.url}/healthz")).status_code == 200:
                        return
                await asyncio.sleep(0.05)  # Another process: there is nothing to wait on.

    async def logged(self, text: str) -> str:
        """Return the access log once it has the text; Envoy writes it in its own time."""
        async with asyncio.timeout(15):
            while True:
                log = self.access_log.read_text()
                if text in log:
                    return log
                await asyncio.sleep(0.05)  # Another process: there is nothing to wait on.

    async def stop(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            await self._process.wait()


@asynccontextmanager
async def running(edge: Edge) -> AsyncIterator[Edge]:
    await edge.start()
    try:
        yield edge
    finally:
        await edge.stop()


@pytest.fixture(scope="session")
def edge_identity(tmp_path_factory: pytest.TempPathFactory) -> TestIdentity:
    return TestIdentity(tmp_path_factory.mktemp("edge-identity"))


@pytest.fixture(scope="session")
def fakes() -> dict[str, FakeServicer]:
    """One fake per service, by its short name."""
    return {
        name: FakeServicer(next(iter(module.DESCRIPTOR.services_by_name.values())).full_name)
        for name, (module, _) in MODULES.items()
    }


@pytest.fixture(scope="session")
async def edge(
    fakes: dict[str, FakeServicer],
    edge_identity: TestIdentity,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Edge]:
    def services(part: str):
        return [fakes[name].service() for name, (_, owner) in MODULES.items() if owner == part]

    answer_jwks(fakes["identity"], edge_identity)
    async with (
        serve(*services("platform"), identity=edge_identity) as platform,
        serve(*services("business"), identity=edge_identity) as business,
    ):
        topology = topology_of(platform.server.port, business.server.port, free_port())
        # A folder with a space: paths must survive it.
        async with running(Edge(topology, tmp_path_factory.mktemp("the edge"))) as edge:
            await edge.ready()
            yield edge


def answer_jwks(fake: FakeServicer, identity: TestIdentity) -> None:
    key = dict(identity.signer.public_jwk())
    keys = [identity_service_pb2.JsonWebKey(**key)]
    fake.always("GetJwks", identity_service_pb2.JsonWebKeySet(keys=keys))


@pytest.fixture(autouse=True)
def _fresh_fakes(fakes: dict[str, FakeServicer], edge_identity: TestIdentity) -> Iterator[None]:
    yield
    for fake in fakes.values():
        fake.forget()
    answer_jwks(fakes["identity"], edge_identity)


# Making a client takes longer than most tests, because it reads the certificate store.
@pytest.fixture(scope="session")
async def http(edge: Edge) -> AsyncIterator[httpx.AsyncClient]:
    """A client without credentials."""
    async with httpx.AsyncClient(base_url=edge.url, trust_env=False) as client:
        yield client


@pytest.fixture(scope="session")
async def user_http(edge: Edge, edge_identity: TestIdentity) -> AsyncIterator[httpx.AsyncClient]:
    """A signed-in client."""
    token = edge_identity.user_token(lifetime=timedelta(minutes=15))
    headers = {"authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=edge.url, headers=headers, trust_env=False) as client:
        yield client


@pytest.fixture
def tools(fakes: dict[str, FakeServicer]) -> FakeServicer:
    return fakes["tools"]


@pytest.fixture
def identity_service(fakes: dict[str, FakeServicer]) -> FakeServicer:
    return fakes["identity"]


@pytest.fixture(scope="session")
def envoy_program() -> str:
    assert os.access(ENVOY, os.X_OK)
    return str(ENVOY)


@pytest.fixture
def edge_factory(tmp_path: Path):
    """Starts an edge in front of ports where nobody listens."""

    def start(change):
        topology = change(topology_of(free_port(), free_port(), free_port()))
        return running(Edge(topology, tmp_path / "edge"))

    return start

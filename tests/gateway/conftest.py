"""A real Envoy with the generated configuration, in front of real servers with fake services."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from reelmesh.business.tools.v1 import tools_service_pb2
from reelmesh.platform.assets.v1 import assets_service_pb2
from reelmesh.platform.billing.v1 import invoices_service_pb2, stripe_service_pb2
from reelmesh.platform.credits.v1 import credits_service_pb2
from reelmesh.platform.identity.v1 import identity_service_pb2
from reelmesh.platform.organizations.v1 import organizations_service_pb2

from meshkit.testing.fakes import FakeServicer
from meshkit.testing.identity import TestIdentity
from meshkit.testing.servers import serve

from .edges import ENVOY, Edge, free_port, running, topology_of

MODULES = {
    "identity": (identity_service_pb2, "platform"),
    "organizations": (organizations_service_pb2, "platform"),
    "credits": (credits_service_pb2, "platform"),
    "assets": (assets_service_pb2, "platform"),
    "invoices": (invoices_service_pb2, "platform"),
    "stripe": (stripe_service_pb2, "platform"),
    "tools": (tools_service_pb2, "business"),
}


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

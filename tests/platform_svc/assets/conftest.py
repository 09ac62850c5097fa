"""The assets service on a database of the test's own and the run's object store."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import httpx
import pytest
from reelmesh.platform.assets.v1 import assets_service_pb2 as pb
from reelmesh.platform.assets.v1.assets_service_pb2_grpc import AssetsServiceStub

from meshkit.clock import uuid7
from meshkit.context import UserPrincipal
from meshkit.object_store import S3ObjectStore
from meshkit.postgres import Database
from meshkit.testing.databases import Databases
from meshkit.testing.parts import PartUnderTest, serve_part
from meshkit.testing.servers import ServedMesh
from platform_svc.assets.wiring import MIGRATIONS, open_service
from tests.platform_svc.assets.factories import create_request, picture


@dataclass(frozen=True)
class Uploader:
    """A user's client: the calls and the upload between them."""

    stub: AssetsServiceStub
    http: httpx.AsyncClient
    user: UserPrincipal = field(default_factory=lambda: UserPrincipal(uuid7(), uuid7(), uuid7()))

    async def create(self, data: bytes, **options: str) -> pb.CreateAssetResponse:
        return await self.stub.CreateAsset(create_request(data, **options))

    async def send(self, created: pb.CreateAssetResponse, data: bytes) -> int:
        upload = created.upload
        answer = await self.http.put(upload.url, content=data, headers=dict(upload.headers))
        return answer.status_code

    async def upload(self, data: bytes, **options: str) -> pb.Asset:
        """Give the ready asset of the bytes."""
        created = await self.create(data, **options)
        assert await self.send(created, data) == 200
        request = pb.CompleteAssetRequest(asset_id=created.asset.asset_id)
        return await self.stub.CompleteAsset(request)


@pytest.fixture(scope="session")
async def assets_template(databases: Databases) -> str:
    return await databases.template({"assets": MIGRATIONS})


@pytest.fixture
async def database(databases: Databases, assets_template: str) -> AsyncIterator[Database]:
    async with (
        databases.clone(assets_template) as url,
        Database(url, schema="assets", pool_size=10) as database,
    ):
        yield database


@pytest.fixture
async def mesh(database, identity, bus, objects: S3ObjectStore) -> AsyncIterator[ServedMesh]:
    part = PartUnderTest("platform", database.url, identity, bus, objects=objects)
    async with serve_part(part, [open_service]) as mesh:
        yield mesh


@pytest.fixture(scope="session")
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False) as client:
        yield client


@pytest.fixture
async def uploader(mesh: ServedMesh, http: httpx.AsyncClient) -> AsyncIterator[Uploader]:
    user = UserPrincipal(uuid7(), uuid7(), uuid7())
    async with mesh.as_user(AssetsServiceStub, user) as stub:
        yield Uploader(stub, http, user)


@pytest.fixture
async def stranger(mesh: ServedMesh, http: httpx.AsyncClient) -> AsyncIterator[Uploader]:
    """A user of another organization."""
    user = UserPrincipal(uuid7(), uuid7(), uuid7())
    async with mesh.as_user(AssetsServiceStub, user) as stub:
        yield Uploader(stub, http, user)


@pytest.fixture
async def business(mesh: ServedMesh) -> AsyncIterator[AssetsServiceStub]:
    async with mesh.as_service(AssetsServiceStub, "business") as stub:
        yield stub


@pytest.fixture
def png() -> bytes:
    """A picture that no other test has."""
    return picture(color=f"#{uuid.uuid4().hex[:6]}")  # noqa: TID251 - any color.

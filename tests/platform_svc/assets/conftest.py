"""The assets service on a database of the test's own and the run's object store."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import pytest
from reelmesh.platform.assets.v1 import assets_service_pb2 as pb
from reelmesh.platform.assets.v1 import storage_service_pb2 as storage_pb
from reelmesh.platform.assets.v1 import uploads_service_pb2 as uploads_pb
from reelmesh.platform.assets.v1.assets_service_pb2_grpc import AssetsServiceStub
from reelmesh.platform.assets.v1.share_links_service_pb2_grpc import ShareLinksServiceStub
from reelmesh.platform.assets.v1.storage_service_pb2_grpc import StorageServiceStub
from reelmesh.platform.assets.v1.trash_service_pb2_grpc import TrashServiceStub
from reelmesh.platform.assets.v1.uploads_service_pb2_grpc import UploadsServiceStub

from meshkit.clock import Ambient, utc_now, uuid7
from meshkit.context import UserPrincipal
from meshkit.ids import format_id
from meshkit.multipart import MultipartUploads
from meshkit.object_store import S3ObjectStore
from meshkit.postgres import Database
from meshkit.testing.databases import Databases
from meshkit.testing.parts import PartUnderTest, serve_part
from meshkit.testing.servers import ServedMesh, UserChannel
from platform_svc.assets.jobs import Sweeper
from platform_svc.assets.promotion import Promotion
from platform_svc.assets.reconciliation import Reconciler
from platform_svc.assets.verification import Verifier
from platform_svc.assets.wiring import MIGRATIONS, open_service
from tests.platform_svc.assets.factories import create_request, picture

PART_BYTES = 5 << 20
QUOTA_BYTES = 10_000_000
STUBS = (
    AssetsServiceStub,
    UploadsServiceStub,
    TrashServiceStub,
    ShareLinksServiceStub,
    StorageServiceStub,
)


@dataclass(frozen=True)
class Uploader:
    """A user's client: the calls and the upload between them."""

    stub: AssetsServiceStub
    uploads: UploadsServiceStub
    trash: TrashServiceStub
    shares: ShareLinksServiceStub
    storage: StorageServiceStub
    http: httpx.AsyncClient
    user: UserPrincipal

    async def create(self, data: bytes, **options: Any) -> pb.CreateAssetResponse:
        return await self.stub.CreateAsset(create_request(data, **options))

    async def send(self, created: pb.CreateAssetResponse, data: bytes) -> int:
        upload = created.upload
        answer = await self.http.put(upload.url, content=data, headers=dict(upload.headers))
        return answer.status_code

    async def upload(self, data: bytes, **options: Any) -> pb.Asset:
        """Give the ready asset of the bytes."""
        created = await self.create(data, **options)
        assert await self.send(created, data) == 200
        request = pb.CompleteAssetRequest(asset_id=created.asset.asset_id)
        return await self.stub.CompleteAsset(request)

    async def send_parts(self, asset: pb.Asset, data: bytes, numbers: list[int]) -> list[int]:
        """Send parts of a file and give the statuses."""
        request = uploads_pb.PresignPartsRequest(asset_id=asset.asset_id, part_numbers=numbers)
        statuses = []
        for part in (await self.uploads.PresignParts(request)).parts:
            start = (part.part_number - 1) * PART_BYTES
            body = data[start : start + part.size_bytes]
            answer = await self.http.put(part.upload.url, content=body)
            statuses.append(answer.status_code)
        return statuses

    async def usage(self) -> storage_pb.StorageUsage:
        """Give what the organization stores."""
        org_id = format_id("org", self.user.organization_id)
        return await self.storage.GetStorageUsage(storage_pb.GetStorageUsageRequest(org_id=org_id))

    async def delete(self, asset: pb.Asset) -> None:
        await self.stub.DeleteAsset(pb.DeleteAssetRequest(asset_id=asset.asset_id))


@asynccontextmanager
async def new_uploader(
    mesh: ServedMesh, http: httpx.AsyncClient, org_id: uuid.UUID | None = None
) -> AsyncIterator[Uploader]:
    """Give the client of a new user in an organization, a new one if none is given."""
    user = UserPrincipal(uuid7(), uuid7(), org_id or uuid7())
    async with UserChannel(mesh.address, mesh.identity, user) as channel:
        stubs = map(channel.stub, STUBS)
        yield Uploader(*stubs, http, user)


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


@pytest.fixture(scope="session")
def variables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Settings of the service: parts as short as stores allow, room for ten megabytes."""
    pepper = tmp_path_factory.mktemp("assets") / "pepper"
    pepper.write_text("the pepper of these tests, and long enough")
    return {
        "REELMESH_PEPPER_FILE": str(pepper),
        "REELMESH_ASSETS_PART_BYTES": str(PART_BYTES),
        "REELMESH_ASSETS_QUOTA_BYTES": str(QUOTA_BYTES),
        "REELMESH_ASSETS_QUOTA_COUNT": "20",
    }


@pytest.fixture
async def mesh(
    database, identity, bus, objects: S3ObjectStore, variables: dict[str, str]
) -> AsyncIterator[ServedMesh]:
    part = PartUnderTest("platform", database.url, identity, bus, variables, objects=objects)
    async with serve_part(part, [open_service]) as mesh:
        yield mesh


@pytest.fixture(scope="session")
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False) as client:
        yield client


@pytest.fixture
async def uploader(mesh: ServedMesh, http: httpx.AsyncClient) -> AsyncIterator[Uploader]:
    async with new_uploader(mesh, http) as uploader:
        yield uploader


@pytest.fixture
async def stranger(mesh: ServedMesh, http: httpx.AsyncClient) -> AsyncIterator[Uploader]:
    """A user of another organization."""
    async with new_uploader(mesh, http) as uploader:
        yield uploader


@pytest.fixture
async def business(mesh: ServedMesh) -> AsyncIterator[AssetsServiceStub]:
    async with mesh.as_service(AssetsServiceStub, "business") as stub:
        yield stub


@pytest.fixture
def later(database: Database, objects: S3ObjectStore):
    """Give a sweeper whose clock is ahead of the store's."""

    def sweeper(ahead: timedelta) -> Sweeper:
        return Sweeper(
            database.sessions,
            objects,
            MultipartUploads(objects),
            Promotion(objects, Verifier(objects)),
            Ambient(now=lambda: utc_now() + ahead),
            timedelta(minutes=1),
        )

    return sweeper


@pytest.fixture
def reconciler(database: Database, objects: S3ObjectStore):
    """Give a reconciler whose clock is ahead of the store's."""

    def reconciler(ahead: timedelta) -> Reconciler:
        ambient = Ambient(now=lambda: utc_now() + ahead)
        return Reconciler(database.sessions, objects, ambient, timedelta(days=7))

    return reconciler


@pytest.fixture
def png() -> bytes:
    """A picture that no other test has."""
    return picture(color=f"#{uuid.uuid4().hex[:6]}")  # noqa: TID251 - any color.

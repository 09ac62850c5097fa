from __future__ import annotations

import asyncio
import hashlib
from datetime import timedelta

import grpc
import pytest
from reelmesh.platform.assets.v1 import assets_service_pb2 as pb
from reelmesh.platform.assets.v1 import trash_service_pb2 as trash_pb
from reelmesh.platform.assets.v1.assets_service_pb2_grpc import AssetsServiceStub
from reelmesh.platform.assets.v1.trash_service_pb2_grpc import TrashServiceStub

from meshkit.clock import uuid7
from meshkit.context import UserPrincipal
from meshkit.ids import format_id, parse_id
from meshkit.object_store import S3ObjectStore
from tests.platform_svc.assets.conftest import Uploader
from tests.platform_svc.assets.test_uploads import keys
from tests.platform_svc.refusals import refusal_of


def import_request(data: bytes, **changes: object) -> pb.ImportAssetRequest:
    values = {
        "asset_id": format_id("ast", uuid7()),
        "org_id": format_id("org", uuid7()),
        "source_key": f"results/{uuid7()}/1/0.png",
        "content_type": "image/png",
        "size_bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "filename": "result.png",
        "run_id": format_id("run", uuid7()),
    }
    return pb.ImportAssetRequest(**(values | changes))


@pytest.fixture
async def request_of_result(objects: S3ObjectStore, png: bytes) -> pb.ImportAssetRequest:
    """An import whose object lies in the store."""
    request = import_request(png)
    await objects.put(request.source_key, png, content_type="image/png")
    return request


async def test_a_result_becomes_a_ready_asset_and_the_source_goes(
    business, objects: S3ObjectStore, request_of_result, png: bytes
) -> None:
    asset = await business.ImportAsset(request_of_result)
    assert (asset.state, asset.width, asset.height) == ("ready", 8, 6)
    assert (asset.asset_id, asset.org_id, asset.run_id) == (
        request_of_result.asset_id,
        request_of_result.org_id,
        request_of_result.run_id,
    )
    assert await objects.get(keys(asset)[1], max_bytes=len(png)) == png
    assert await objects.head(request_of_result.source_key) is None


async def test_the_same_import_again_gives_the_same_asset(business, request_of_result) -> None:
    first = await business.ImportAsset(request_of_result)
    assert await business.ImportAsset(request_of_result) == first


async def test_concurrent_imports_make_one_asset(business, request_of_result) -> None:
    calls = [business.ImportAsset(request_of_result, timeout=60) for _ in range(4)]
    replies = await asyncio.gather(*calls)
    assert all(reply == replies[0] for reply in replies)


@pytest.mark.parametrize(
    "change",
    [
        {"org_id": format_id("org", uuid7())},
        {"sha256": "0" * 64},
        {"run_id": format_id("run", uuid7())},
        {"filename": "other.png"},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_an_asset_id_names_one_asset(business, request_of_result, change) -> None:
    first = await business.ImportAsset(request_of_result)
    other = pb.ImportAssetRequest()
    other.CopyFrom(request_of_result)
    for name, value in change.items():
        setattr(other, name, value)
    refusal = await refusal_of(business.ImportAsset(other))
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.ALREADY_EXISTS,
        "ASSET_ID_REUSED",
    )
    assert await business.ImportAsset(request_of_result) == first


async def test_a_missing_result_is_reported(business, png: bytes) -> None:
    refusal = await refusal_of(business.ImportAsset(import_request(png)))
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "UPLOAD_MISSING",
    )


async def test_a_result_that_is_not_what_was_said_is_rejected(
    business, objects: S3ObjectStore, png: bytes
) -> None:
    request = import_request(png, sha256="0" * 64)
    await objects.put(request.source_key, png, content_type="image/png")
    refusal = await refusal_of(business.ImportAsset(request))
    assert (refusal.reason, refusal.metadata["detail"]) == ("UPLOAD_REJECTED", "sha256_differs")
    resolve = pb.ResolveAssetRequest(org_id=request.org_id, asset_id=request.asset_id)
    assert (await refusal_of(business.ResolveAsset(resolve))).reason == "ASSET_NOT_FOUND"


@pytest.mark.parametrize(
    "key", ["results/../assets/x", "results/./x", "results//x", "results/x/", "results/a b"]
)
async def test_keys_that_a_store_might_normalize_are_refused(
    business, png: bytes, key: str
) -> None:
    refusal = await refusal_of(business.ImportAsset(import_request(png, source_key=key)))
    assert refusal.code == grpc.StatusCode.INVALID_ARGUMENT


async def test_users_cannot_import(uploader: Uploader, request_of_result) -> None:
    refusal = await refusal_of(uploader.stub.ImportAsset(request_of_result))
    assert refusal.code == grpc.StatusCode.PERMISSION_DENIED


async def test_importing_again_after_a_deletion_brings_nothing_back(
    business, mesh, identity, objects: S3ObjectStore, later, request_of_result
) -> None:
    asset = await business.ImportAsset(request_of_result)
    user = UserPrincipal(uuid7(), uuid7(), parse_id("org", asset.org_id, field=""))
    async with mesh.as_user(AssetsServiceStub, user) as stub:
        await stub.DeleteAsset(pb.DeleteAssetRequest(asset_id=asset.asset_id))
    assert (await business.ImportAsset(request_of_result)).state == "trashed"
    async with mesh.as_user(TrashServiceStub, user) as stub:
        await stub.EmptyTrash(trash_pb.EmptyTrashRequest())
    assert (await business.ImportAsset(request_of_result)).state == "deleted"
    await later(timedelta(minutes=16)).sweep()
    assert await objects.head(keys(asset)[1]) is None

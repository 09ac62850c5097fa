from __future__ import annotations

import asyncio
import hashlib

import grpc
import pytest
from reelmesh.platform.assets.v1 import assets_service_pb2 as pb

from meshkit.ids import parse_id
from meshkit.object_store import S3ObjectStore
from tests.platform_svc.assets.conftest import Uploader
from tests.platform_svc.assets.factories import bomb, create_request, picture
from tests.platform_svc.refusals import refusal_of


def keys(asset: pb.Asset) -> tuple[str, str]:
    """Give where an asset's bytes lie before and after verification."""
    org_id = parse_id("org", asset.org_id, field="")
    asset_id = parse_id("ast", asset.asset_id, field="")
    return f"quarantine/{org_id}/{asset_id}", f"assets/{org_id}/{asset_id}"


def complete(uploader: Uploader, asset: pb.Asset, **options: float):
    request = pb.CompleteAssetRequest(asset_id=asset.asset_id)
    return uploader.stub.CompleteAsset(request, **options)


async def state(uploader: Uploader, asset: pb.Asset) -> str:
    reply = await uploader.stub.GetAsset(pb.GetAssetRequest(asset_id=asset.asset_id))
    return reply.state


@pytest.mark.parametrize(
    ("kind", "content_type"),
    [("PNG", "image/png"), ("JPEG", "image/jpeg"), ("WEBP", "image/webp")],
)
async def test_an_upload_becomes_ready_with_its_dimensions(
    uploader: Uploader, objects: S3ObjectStore, kind: str, content_type: str
) -> None:
    data = picture(kind, width=31, height=17)
    asset = await uploader.upload(data, content_type=content_type, filename="Ünnamed.pic")
    assert (asset.state, asset.width, asset.height) == ("ready", 31, 17)
    assert (asset.filename, asset.content_type) == ("Ünnamed.pic", content_type)
    assert asset.sha256 == hashlib.sha256(data).hexdigest()
    quarantined, kept = keys(asset)
    assert await objects.get(kept, max_bytes=len(data)) == data
    assert await objects.head(quarantined) is None


async def test_a_new_asset_is_pending_and_the_upload_is_spelled_out(
    uploader: Uploader, png: bytes
) -> None:
    created = await uploader.create(png)
    assert created.asset.state == "pending"
    assert not created.asset.HasField("width")
    assert created.upload.method == "PUT"
    assert set(created.upload.headers) == {"content-type", "x-amz-checksum-sha256"}
    lifetime = created.upload.expires_at.seconds - created.asset.created_at.seconds
    assert lifetime == 900


async def test_completing_before_the_upload_is_refused_and_may_be_repeated(
    uploader: Uploader, png: bytes
) -> None:
    created = await uploader.create(png)
    refusal = await refusal_of(complete(uploader, created.asset))
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "UPLOAD_MISSING",
    )
    assert await state(uploader, created.asset) == "pending"
    assert await uploader.send(created, png) == 200
    assert (await complete(uploader, created.asset)).state == "ready"


async def test_completing_a_ready_asset_is_harmless(uploader: Uploader, png: bytes) -> None:
    asset = await uploader.upload(png)
    assert await complete(uploader, asset) == asset


async def test_concurrent_completions_agree(uploader: Uploader, png: bytes) -> None:
    created = await uploader.create(png)
    await uploader.send(created, png)
    replies = await asyncio.gather(*(complete(uploader, created.asset) for _ in range(4)))
    assert {reply.state for reply in replies} == {"ready"}


HOSTILE = {
    "page": (b"<html><script>alert(1)</script></html>", "image/png", "not_of_content_type"),
    "other type": (picture("JPEG"), "image/png", "not_of_content_type"),
    "only a signature": (b"\x89PNG\r\n\x1a\n", "image/png", "not_decodable"),
    "cut off": (picture(width=300, height=300)[:-40], "image/png", "not_decodable"),
    "damaged": (picture("WEBP")[:20] + b"\xff" * 30, "image/webp", "not_decodable"),
    "bomb": (bomb(), "image/png", "too_many_pixels"),
    "moving": (picture("WEBP", frames=3), "image/webp", "has_many_frames"),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_bytes_that_are_no_picture_are_rejected_and_deleted(
    uploader: Uploader, objects: S3ObjectStore, name: str
) -> None:
    data, content_type, flaw = HOSTILE[name]
    created = await uploader.create(data, content_type=content_type)
    assert await uploader.send(created, data) == 200
    for _ in range(2):  # The verdict stands.
        refusal = await refusal_of(complete(uploader, created.asset))
        assert (refusal.reason, refusal.metadata["detail"]) == ("UPLOAD_REJECTED", flaw)
    assert await state(uploader, created.asset) == "rejected"
    for key in keys(created.asset):
        assert await objects.head(key) is None


@pytest.mark.parametrize(
    ("change", "flaw"),
    [
        (lambda data: data + b"\0", "size_differs"),
        (lambda data: data[:-1], "size_differs"),
        (lambda data: data[:-1] + b"\0", "sha256_differs"),
    ],
    ids=["longer", "shorter", "other"],
)
async def test_other_bytes_are_rejected_where_a_store_lets_them_in(
    uploader: Uploader, objects: S3ObjectStore, png: bytes, change, flaw: str
) -> None:
    created = await uploader.create(png)
    await objects.put(keys(created.asset)[0], change(png), content_type="image/png")
    refusal = await refusal_of(complete(uploader, created.asset))
    assert (refusal.reason, refusal.metadata["detail"]) == ("UPLOAD_REJECTED", flaw)


async def test_only_pictures_are_taken(uploader: Uploader) -> None:
    refusal = await refusal_of(
        uploader.stub.CreateAsset(create_request(b"x", content_type="text/html"))
    )
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "UNSUPPORTED_CONTENT_TYPE",
    )


@pytest.mark.parametrize(
    "change",
    [
        {"size_bytes": 0},
        {"size_bytes": (25 << 20) + 1},
        {"sha256": "A" * 64},
        {"filename": ""},
        {"filename": "a\nb"},
        {"filename": "x" * 201},
    ],
    ids=str,
)
async def test_bad_announcements_are_refused(uploader: Uploader, png: bytes, change) -> None:
    request = create_request(png)
    for name, value in change.items():
        setattr(request, name, value)
    refusal = await refusal_of(uploader.stub.CreateAsset(request))
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_REQUEST",
    )
    assert not (await uploader.stub.ListAssets(pb.ListAssetsRequest())).assets


async def test_one_idempotency_key_makes_one_asset(uploader: Uploader, png: bytes) -> None:
    key = (("idempotency-key", "k"),)
    request = create_request(png)
    replies = await asyncio.gather(
        *(uploader.stub.CreateAsset(request, metadata=key) for _ in range(5))
    )
    assert all(reply == replies[0] for reply in replies)
    assert len((await uploader.stub.ListAssets(pb.ListAssetsRequest())).assets) == 1
    other = create_request(png, filename="other.png")
    refusal = await refusal_of(uploader.stub.CreateAsset(other, metadata=key))
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.ALREADY_EXISTS,
        "IDEMPOTENCY_KEY_REUSED",
    )


async def test_organizations_may_use_the_same_key(
    uploader: Uploader, stranger: Uploader, png: bytes
) -> None:
    key = (("idempotency-key", "k"),)
    one = await uploader.stub.CreateAsset(create_request(png), metadata=key)
    other = await stranger.stub.CreateAsset(create_request(png), metadata=key)
    assert one.asset.asset_id != other.asset.asset_id

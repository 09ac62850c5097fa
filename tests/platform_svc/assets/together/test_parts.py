"""Uploads in parts: in any order, resumed, joined once, given up and swept."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import grpc
import pytest
from reelmesh.platform.assets.v1 import assets_service_pb2 as pb
from reelmesh.platform.assets.v1 import uploads_service_pb2 as uploads_pb

from meshkit.multipart import MultipartUploads
from meshkit.object_store import S3ObjectStore
from platform_svc.assets.asset import PartsPlan
from tests.platform_svc.assets.conftest import PART_BYTES, Uploader, new_uploader
from tests.platform_svc.assets.factories import padded, video
from tests.platform_svc.assets.test_uploads import complete, keys
from tests.platform_svc.refusals import refusal_of


@pytest.fixture(scope="module")
def movie() -> bytes:
    """A video of one part and a bit."""
    return padded(video(), PART_BYTES + 1000)


async def begin(uploader: Uploader, data: bytes) -> pb.CreateAssetResponse:
    return await uploader.create(data, content_type="video/mp4", multipart=True)


async def unfinished(objects: S3ObjectStore, asset: pb.Asset) -> list[str]:
    found = MultipartUploads(objects).unfinished(keys(asset)[0])
    return [one.upload_id async for one in found]


async def arrived(uploader: Uploader, asset: pb.Asset) -> list[tuple[int, int]]:
    request = uploads_pb.ListPartsRequest(asset_id=asset.asset_id)
    parts = (await uploader.uploads.ListParts(request)).parts
    return [(part.part_number, part.size_bytes) for part in parts]


def presign(uploader: Uploader, asset: pb.Asset, *numbers: int):
    request = uploads_pb.PresignPartsRequest(asset_id=asset.asset_id, part_numbers=numbers)
    return uploader.uploads.PresignParts(request)


def abort(uploader: Uploader, asset: pb.Asset):
    return uploader.uploads.AbortUpload(uploads_pb.AbortUploadRequest(asset_id=asset.asset_id))


async def test_parts_in_any_order_become_a_ready_asset(
    uploader: Uploader, objects: S3ObjectStore, movie: bytes
) -> None:
    created = await begin(uploader, movie)
    assert not created.HasField("upload")
    plan = created.parts_plan
    assert (plan.part_size_bytes, plan.part_count) == (PART_BYTES, 2)
    assert plan.expires_at.seconds - created.asset.created_at.seconds == 24 * 3600

    assert await arrived(uploader, created.asset) == []
    assert await uploader.send_parts(created.asset, movie, [2]) == [200]
    assert await arrived(uploader, created.asset) == [(2, 1000)]
    refusal = await refusal_of(complete(uploader, created.asset))
    assert (refusal.reason, refusal.metadata["missing"]) == ("UPLOAD_INCOMPLETE", "1")
    assert await uploader.send_parts(created.asset, movie, [1]) == [200]

    asset = await complete(uploader, created.asset)
    assert (asset.state, asset.width, asset.height, asset.duration_ms) == ("ready", 64, 48, 3000)
    assert await objects.get(keys(asset)[1], max_bytes=len(movie)) == movie
    assert await objects.head(keys(asset)[0]) is None
    assert await unfinished(objects, asset) == []
    assert await complete(uploader, asset) == asset
    assert (await refusal_of(presign(uploader, asset, 1))).reason == "UPLOAD_OVER"
    assert (await refusal_of(abort(uploader, asset))).reason == "UPLOAD_OVER"


async def test_concurrent_completions_join_once(uploader: Uploader, movie: bytes) -> None:
    created = await begin(uploader, movie)
    await uploader.send_parts(created.asset, movie, [1, 2])
    replies = await asyncio.gather(*(complete(uploader, created.asset) for _ in range(3)))
    assert {reply.state for reply in replies} == {"ready"}


async def test_concurrent_first_parts_begin_one_upload(
    uploader: Uploader, objects: S3ObjectStore, movie: bytes
) -> None:
    asset = (await begin(uploader, movie)).asset
    await asyncio.gather(*(presign(uploader, asset, 1) for _ in range(4)))
    assert len(await unfinished(objects, asset)) == 1


async def test_a_completion_that_was_cut_off_after_joining_is_finished(
    uploader: Uploader, objects: S3ObjectStore, movie: bytes
) -> None:
    asset = (await begin(uploader, movie)).asset
    await uploader.send_parts(asset, movie, [1, 2])
    [upload_id] = await unfinished(objects, asset)
    multiparts = MultipartUploads(objects)
    key = keys(asset)[0]
    await multiparts.complete(key, upload_id, await multiparts.parts(key, upload_id))
    assert (await complete(uploader, asset)).state == "ready"


async def test_a_part_has_the_length_that_was_signed(uploader: Uploader, movie: bytes) -> None:
    asset = (await begin(uploader, movie)).asset
    [part] = (await presign(uploader, asset, 2)).parts
    assert part.size_bytes == 1000
    for body in (movie[:999], movie[:1001]):
        assert (await uploader.http.put(part.upload.url, content=body)).status_code == 403
    assert await arrived(uploader, asset) == []


async def test_other_bytes_in_the_parts_are_rejected(
    uploader: Uploader, objects: S3ObjectStore, movie: bytes
) -> None:
    asset = (await begin(uploader, movie)).asset
    await uploader.send_parts(asset, movie[:-1] + b"!", [1, 2])
    refusal = await refusal_of(complete(uploader, asset))
    assert (refusal.reason, refusal.metadata["detail"]) == ("UPLOAD_REJECTED", "sha256_differs")
    assert await objects.head(keys(asset)[0]) is None
    assert (await uploader.usage()).used_bytes == 0


async def test_an_aborted_upload_leaves_nothing(
    uploader: Uploader, objects: S3ObjectStore, movie: bytes
) -> None:
    asset = (await begin(uploader, movie)).asset
    await uploader.send_parts(asset, movie, [1])
    for _ in range(2):
        await abort(uploader, asset)
    assert await unfinished(objects, asset) == []
    assert (await uploader.usage()).used_bytes == 0
    assert (await refusal_of(presign(uploader, asset, 1))).reason == "ASSET_NOT_FOUND"


async def test_uploads_that_nobody_completes_end_after_a_day(
    uploader: Uploader, objects: S3ObjectStore, later, movie: bytes
) -> None:
    asset = (await begin(uploader, movie)).asset
    await uploader.send_parts(asset, movie, [1])
    await later(timedelta(hours=23)).sweep()
    assert await arrived(uploader, asset) == [(1, PART_BYTES)]
    await later(timedelta(hours=24, minutes=16)).sweep()
    assert (await uploader.usage()).used_bytes == 0
    await later(timedelta(hours=24, minutes=32)).sweep()
    assert await unfinished(objects, asset) == []


async def test_uploads_of_the_store_that_no_asset_knows_are_dropped(
    uploader: Uploader, objects: S3ObjectStore, later, movie: bytes
) -> None:
    asset = (await begin(uploader, movie)).asset
    await uploader.send_parts(asset, movie, [1])
    [known] = await unfinished(objects, asset)
    await MultipartUploads(objects).begin(keys(asset)[0], content_type="video/mp4")
    assert len(await unfinished(objects, asset)) == 2
    await later(timedelta(hours=2)).sweep()
    assert await unfinished(objects, asset) == [known]


async def test_parts_that_there_are_not_are_refused(uploader: Uploader, movie, png: bytes) -> None:
    asset = (await begin(uploader, movie)).asset
    for numbers in ((3,), (0,), (1, 1), ()):
        refusal = await refusal_of(presign(uploader, asset, *numbers))
        assert (refusal.code, refusal.reason) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            "INVALID_REQUEST",
        )
    whole = (await uploader.create(png)).asset
    assert (await refusal_of(presign(uploader, whole, 1))).reason == "UPLOAD_NOT_IN_PARTS"


async def test_parts_of_others_do_not_exist(
    uploader: Uploader, stranger: Uploader, movie: bytes
) -> None:
    asset = (await begin(uploader, movie)).asset
    for call in (presign(stranger, asset, 1), abort(stranger, asset), arrived(stranger, asset)):
        assert (await refusal_of(call)).reason == "ASSET_NOT_FOUND"


async def test_members_go_on_with_each_others_uploads(
    uploader: Uploader, mesh, http, movie: bytes
) -> None:
    asset = (await begin(uploader, movie)).asset
    await uploader.send_parts(asset, movie, [1])
    async with new_uploader(mesh, http, uploader.user.organization_id) as colleague:
        await colleague.send_parts(asset, movie, [2])
        assert (await complete(colleague, asset)).state == "ready"


@pytest.mark.parametrize(
    ("content_type", "size"), [("image/png", 25 << 20), ("video/mp4", 512 << 20)]
)
async def test_types_have_their_own_bounds(
    uploader: Uploader, content_type: str, size: int
) -> None:
    request = pb.CreateAssetRequest(
        filename="a",
        content_type=content_type,
        size_bytes=size + 1,
        sha256="0" * 64,
        multipart=True,
    )
    assert (await refusal_of(uploader.stub.CreateAsset(request))).reason == "INVALID_REQUEST"
    request.size_bytes = (25 << 20) + 1
    request.multipart = False
    assert (await refusal_of(uploader.stub.CreateAsset(request))).reason == "INVALID_REQUEST"


@pytest.mark.parametrize(("size", "lengths"), [(1, [1]), (10, [10]), (11, [10, 1]), (20, [10, 10])])
def test_a_plan_cuts_a_file_without_rest(size: int, lengths: list[int]) -> None:
    plan = PartsPlan(10)
    assert plan.count(size) == len(lengths)
    assert [plan.size_of(number + 1, size) for number in range(len(lengths))] == lengths

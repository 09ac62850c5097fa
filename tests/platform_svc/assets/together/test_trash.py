"""The trash: into it, out of it, and for good."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import grpc
from reelmesh.platform.assets.v1 import assets_service_pb2 as pb
from reelmesh.platform.assets.v1 import trash_service_pb2 as trash_pb

from meshkit.object_store import S3ObjectStore
from tests.platform_svc.assets.conftest import Uploader
from tests.platform_svc.assets.test_uploads import keys
from tests.platform_svc.refusals import refusal_of

MONTH = timedelta(days=30)


async def trash(uploader: Uploader) -> list[str]:
    listed = (await uploader.trash.ListTrash(trash_pb.ListTrashRequest())).assets
    return [asset.asset_id for asset in listed]


def restore(uploader: Uploader, asset: pb.Asset):
    return uploader.trash.RestoreAsset(trash_pb.RestoreAssetRequest(asset_id=asset.asset_id))


def purge(uploader: Uploader, asset: pb.Asset):
    return uploader.trash.PurgeAsset(trash_pb.PurgeAssetRequest(asset_id=asset.asset_id))


def get(uploader: Uploader, asset: pb.Asset):
    return uploader.stub.GetAsset(pb.GetAssetRequest(asset_id=asset.asset_id))


async def test_a_deleted_asset_lies_in_the_trash_and_comes_back_as_it_was(
    uploader: Uploader, business, objects: S3ObjectStore, png: bytes
) -> None:
    asset = await uploader.upload(png)
    await uploader.delete(asset)
    [trashed] = (await uploader.trash.ListTrash(trash_pb.ListTrashRequest())).assets
    assert (trashed.asset_id, trashed.state) == (asset.asset_id, "trashed")
    assert trashed.purge_at.seconds - trashed.trashed_at.seconds == MONTH.total_seconds()
    assert await objects.get(keys(asset)[1], max_bytes=len(png)) == png
    resolve = pb.ResolveAssetRequest(org_id=asset.org_id, asset_id=asset.asset_id)
    for call in (get(uploader, asset), business.ResolveAsset(resolve)):
        assert (await refusal_of(call)).reason == "ASSET_NOT_FOUND"

    for _ in range(2):
        assert await restore(uploader, asset) == asset
    assert await get(uploader, asset) == asset
    assert await trash(uploader) == []


async def test_purging_removes_bytes_and_previews_at_once(
    uploader: Uploader, objects: S3ObjectStore, png: bytes
) -> None:
    asset = await uploader.upload(png)
    refusal = await refusal_of(purge(uploader, asset))
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "ASSET_NOT_IN_TRASH",
    )
    await uploader.delete(asset)
    for _ in range(2):
        await purge(uploader, asset)
    preview = keys(asset)[1].replace("assets/", "previews/")
    assert await objects.head(keys(asset)[1]) is None
    assert [info.key async for info in objects.list(preview)] == []
    assert (await refusal_of(restore(uploader, asset))).reason == "ASSET_NOT_FOUND"


async def test_emptying_takes_everything_and_nothing_else(
    uploader: Uploader, stranger: Uploader, objects: S3ObjectStore, later, png: bytes
) -> None:
    kept, foreign = await uploader.upload(png), await stranger.upload(png)
    gone = [await uploader.upload(png) for _ in range(2)]
    for asset in gone:
        await uploader.delete(asset)
    await stranger.delete(foreign)
    request = trash_pb.EmptyTrashRequest()
    assert (await uploader.trash.EmptyTrash(request)).purged_count == 2
    assert (await uploader.trash.EmptyTrash(request)).purged_count == 0
    assert await trash(stranger) == [foreign.asset_id]
    await later(timedelta(minutes=31)).sweep()
    assert [await objects.head(keys(asset)[1]) is None for asset in (*gone, kept, foreign)] == [
        True,
        True,
        False,
        False,
    ]


async def test_what_lies_in_the_trash_goes_after_a_month(
    uploader: Uploader, objects: S3ObjectStore, later, png: bytes
) -> None:
    asset = await uploader.upload(png)
    await uploader.delete(asset)
    await later(MONTH - timedelta(minutes=1)).sweep()
    assert await trash(uploader) == [asset.asset_id]
    await later(MONTH + timedelta(minutes=1)).sweep()
    assert await trash(uploader) == []
    assert (await uploader.usage()).used_bytes == 0
    await later(MONTH + timedelta(minutes=18)).sweep()
    assert await objects.head(keys(asset)[1]) is None


async def test_pages_go_through_the_trash_last_deleted_first(
    uploader: Uploader, png: bytes
) -> None:
    assets = [await uploader.upload(png) for _ in range(3)]
    for asset in (assets[1], assets[0], assets[2]):
        await uploader.delete(asset)
    first = await uploader.trash.ListTrash(trash_pb.ListTrashRequest(page_size=2))
    token = first.next_page_token
    rest = await uploader.trash.ListTrash(trash_pb.ListTrashRequest(page_token=token))
    listed = [asset.asset_id for asset in (*first.assets, *rest.assets)]
    assert listed == [assets[number].asset_id for number in (2, 0, 1)]
    other_list = uploader.stub.ListAssets(pb.ListAssetsRequest(page_token=token))
    assert (await refusal_of(other_list)).reason == "INVALID_PAGE_TOKEN"


async def test_racing_deletions_and_restorations_leave_one_state(
    uploader: Uploader, png: bytes
) -> None:
    asset = await uploader.upload(png)
    await asyncio.gather(
        *(call for _ in range(4) for call in (uploader.delete(asset), restore(uploader, asset)))
    )
    usage = await uploader.usage()
    assert (usage.used_bytes, usage.assets_count) == (len(png), 1)
    assert (usage.trashed_bytes == len(png)) == (await trash(uploader) == [asset.asset_id])


async def test_the_trash_of_others_does_not_exist(
    uploader: Uploader, stranger: Uploader, png: bytes
) -> None:
    asset = await uploader.upload(png)
    await uploader.delete(asset)
    assert await trash(stranger) == []
    for call in (restore(stranger, asset), purge(stranger, asset)):
        assert (await refusal_of(call)).reason == "ASSET_NOT_FOUND"

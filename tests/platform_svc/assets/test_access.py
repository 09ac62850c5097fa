from __future__ import annotations

import asyncio
from datetime import timedelta

import grpc
import httpx
import pytest
from reelmesh.platform.assets.v1 import assets_service_pb2 as pb
from reelmesh.platform.assets.v1 import trash_service_pb2 as trash_pb

from meshkit.clock import uuid7
from meshkit.ids import format_id
from meshkit.object_store import S3ObjectStore
from tests.platform_svc.assets.conftest import Uploader
from tests.platform_svc.assets.factories import picture
from tests.platform_svc.assets.test_uploads import keys
from tests.platform_svc.refusals import refusal_of


def delete(uploader: Uploader, asset: pb.Asset):
    return uploader.stub.DeleteAsset(pb.DeleteAssetRequest(asset_id=asset.asset_id))


async def test_a_download_redirects_to_the_bytes(
    uploader: Uploader, http: httpx.AsyncClient, png: bytes
) -> None:
    asset = await uploader.upload(png, filename='my "cat".png')
    call = uploader.stub.DownloadAsset(pb.DownloadAssetRequest(asset_id=asset.asset_id))
    reply = await call
    metadata = dict(await call.initial_metadata())
    assert (metadata["x-http-code"], metadata["location"]) == ("302", reply.url)
    answer = await http.get(reply.url)
    assert (answer.status_code, answer.content) == (200, png)
    assert answer.headers["content-type"] == "image/png"
    assert 'filename="my _cat_.png"' in answer.headers["content-disposition"]


async def test_what_is_not_ready_cannot_be_downloaded(
    uploader: Uploader, business, png: bytes
) -> None:
    asset = (await uploader.create(png)).asset
    request = pb.DownloadAssetRequest(asset_id=asset.asset_id)
    refusal = await refusal_of(uploader.stub.DownloadAsset(request))
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "ASSET_NOT_READY",
    )
    resolve = pb.ResolveAssetRequest(org_id=asset.org_id, asset_id=asset.asset_id)
    assert (await refusal_of(business.ResolveAsset(resolve))).reason == "ASSET_NOT_READY"


async def test_deleting_hides_an_asset_and_may_be_repeated(uploader: Uploader, png: bytes) -> None:
    asset = await uploader.upload(png)
    for _ in range(2):
        await delete(uploader, asset)
    request = pb.GetAssetRequest(asset_id=asset.asset_id)
    refusal = await refusal_of(uploader.stub.GetAsset(request))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "ASSET_NOT_FOUND")
    assert not (await uploader.stub.ListAssets(pb.ListAssetsRequest())).assets


async def test_deleting_during_a_completion_leaves_no_bytes(
    uploader: Uploader, objects: S3ObjectStore, later, png: bytes
) -> None:
    created = await uploader.create(png)
    await uploader.send(created, png)
    request = pb.CompleteAssetRequest(asset_id=created.asset.asset_id)
    completing = asyncio.ensure_future(uploader.stub.CompleteAsset(request))
    await asyncio.sleep(0)
    await delete(uploader, created.asset)
    await asyncio.gather(completing, return_exceptions=True)
    refusal = await refusal_of(uploader.stub.CompleteAsset(request))
    assert refusal.reason == "ASSET_NOT_FOUND"
    # Whichever came first: it may lie in the trash now.
    await uploader.trash.EmptyTrash(trash_pb.EmptyTrashRequest())
    await later(timedelta(minutes=31)).sweep()
    for key in keys(created.asset):
        assert await objects.head(key) is None


@pytest.mark.parametrize("method", ["Get", "Complete", "Download", "Delete"])
async def test_assets_of_other_organizations_do_not_exist(
    uploader: Uploader, stranger: Uploader, png: bytes, method: str
) -> None:
    asset = await uploader.upload(png)
    request = getattr(pb, f"{method}AssetRequest")(asset_id=asset.asset_id)
    refusal = await refusal_of(getattr(stranger.stub, f"{method}Asset")(request))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "ASSET_NOT_FOUND")
    assert await uploader.stub.GetAsset(pb.GetAssetRequest(asset_id=asset.asset_id)) == asset


async def test_malformed_ids_are_refused(uploader: Uploader) -> None:
    refusal = await refusal_of(uploader.stub.GetAsset(pb.GetAssetRequest(asset_id="run_x")))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ID")


async def test_pages_go_through_all_assets_newest_first(
    uploader: Uploader, stranger: Uploader, png: bytes
) -> None:
    await stranger.create(png)
    created = [(await uploader.create(png)).asset.asset_id for _ in range(5)]
    listed: list[str] = []
    token = ""
    sizes = []
    while True:
        request = pb.ListAssetsRequest(page_size=2, page_token=token)
        page = await uploader.stub.ListAssets(request)
        sizes.append(len(page.assets))
        listed += [asset.asset_id for asset in page.assets]
        token = page.next_page_token
        if not token:
            break
    assert listed == created[::-1]
    assert sizes == [2, 2, 1]


async def test_a_page_begins_after_an_asset_that_was_deleted_since(
    uploader: Uploader, png: bytes
) -> None:
    created = [(await uploader.create(png)).asset for _ in range(3)]
    first = await uploader.stub.ListAssets(pb.ListAssetsRequest(page_size=2))
    await delete(uploader, created[1])
    request = pb.ListAssetsRequest(page_size=2, page_token=first.next_page_token)
    rest = await uploader.stub.ListAssets(request)
    assert [asset.asset_id for asset in rest.assets] == [created[0].asset_id]


async def test_forged_page_tokens_are_refused(uploader: Uploader) -> None:
    request = pb.ListAssetsRequest(page_token="AAAA")
    refusal = await refusal_of(uploader.stub.ListAssets(request))
    assert refusal.reason == "INVALID_PAGE_TOKEN"


async def test_presigned_downloads_leave_out_what_is_not_there(
    uploader: Uploader, stranger: Uploader, business, http: httpx.AsyncClient, png: bytes
) -> None:
    ready = await uploader.upload(png)
    pending = (await uploader.create(png)).asset
    foreign = await stranger.upload(picture(color="blue"))
    ids = [ready.asset_id, pending.asset_id, foreign.asset_id, format_id("ast", uuid7())]
    request = pb.PresignDownloadsRequest(org_id=ready.org_id, asset_ids=ids)
    reply = await business.PresignDownloads(request)
    assert set(reply.urls) == {ready.asset_id}
    answer = await http.get(reply.urls[ready.asset_id])
    assert answer.content == png
    assert answer.headers["content-disposition"].startswith("inline")


async def test_a_service_resolves_an_asset_to_its_object(
    uploader: Uploader, business, objects: S3ObjectStore, png: bytes
) -> None:
    asset = await uploader.upload(png)
    request = pb.ResolveAssetRequest(org_id=asset.org_id, asset_id=asset.asset_id)
    reply = await business.ResolveAsset(request)
    assert await objects.get(reply.object_key, max_bytes=reply.size_bytes) == png
    assert (reply.content_type, reply.sha256) == ("image/png", asset.sha256)
    request.org_id = format_id("org", uuid7())
    assert (await refusal_of(business.ResolveAsset(request))).reason == "ASSET_NOT_FOUND"

"""Published assets: what a service may learn of them, show of them and copy of them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from reelmesh.platform.assets.v1 import assets_service_pb2, publications_service_pb2_grpc
from reelmesh.platform.assets.v1 import publications_service_pb2 as pb

from meshkit.clock import uuid7
from meshkit.ids import format_id
from tests.platform_svc.assets.conftest import Uploader
from tests.platform_svc.assets.factories import picture
from tests.platform_svc.refusals import refusal_of

NOT_FOUND = "ASSET_NOT_FOUND"


@pytest.fixture
async def publications(mesh):
    stub_class = publications_service_pb2_grpc.PublicationsServiceStub
    async with mesh.as_service(stub_class, "business") as stub:
        yield stub


def copy_request(source: assets_service_pb2.Asset, **changes: str) -> pb.CopyAssetRequest:
    fields = {
        "source_org_id": source.org_id,
        "source_asset_id": source.asset_id,
        "org_id": format_id("org", uuid7()),
        "asset_id": format_id("ast", uuid7()),
    }
    return pb.CopyAssetRequest(**(fields | changes))


async def test_a_ready_asset_is_described(publications, uploader: Uploader, png) -> None:
    asset = await uploader.upload(png)
    request = pb.DescribeAssetRequest(org_id=asset.org_id, asset_id=asset.asset_id)
    described = await publications.DescribeAsset(request)
    assert described == pb.DescribeAssetResponse(content_type="image/png", width=8, height=6)


async def test_a_picture_is_shown_in_place_for_a_minute(
    publications, uploader: Uploader, png
) -> None:
    asset = await uploader.upload(png)
    request = pb.PresignPictureRequest(org_id=asset.org_id, asset_id=asset.asset_id)
    shown = await publications.PresignPicture(request)
    answer = await uploader.http.get(shown.url)
    assert answer.content == png
    assert answer.headers["content-disposition"].startswith("inline")
    left = shown.expires_at.ToDatetime(tzinfo=UTC) - datetime.now(UTC)  # noqa: TID251 - the store's.
    assert left <= timedelta(minutes=1)


async def test_a_copy_has_bytes_of_its_own(
    publications, uploader: Uploader, stranger: Uploader, png
) -> None:
    asset = await uploader.upload(png)
    request = copy_request(asset, org_id=format_id("org", stranger.user.organization_id))
    made = await publications.CopyAsset(request)
    assert await publications.CopyAsset(request) == made
    await uploader.stub.DeleteAsset(assets_service_pb2.DeleteAssetRequest(asset_id=asset.asset_id))
    shown = await publications.PresignPicture(
        pb.PresignPictureRequest(org_id=request.org_id, asset_id=made.asset_id)
    )
    assert (await uploader.http.get(shown.url)).content == png
    copied = await stranger.stub.GetAsset(
        assets_service_pb2.GetAssetRequest(asset_id=made.asset_id)
    )
    assert (copied.state, copied.sha256, copied.run_id) == ("ready", asset.sha256, "")


async def test_copies_at_once_are_one(publications, uploader: Uploader, png) -> None:
    request = copy_request(await uploader.upload(png))
    made = await asyncio.gather(*(publications.CopyAsset(request) for _ in range(4)))
    assert {one.asset_id for one in made} == {request.asset_id}


async def test_an_id_that_names_another_asset_is_refused(
    publications, uploader: Uploader, png
) -> None:
    first, second = await uploader.upload(png), await uploader.upload(picture(color="#123456"))
    request = copy_request(first)
    await publications.CopyAsset(request)
    other = copy_request(second, org_id=request.org_id, asset_id=request.asset_id)
    assert (await refusal_of(publications.CopyAsset(other))).reason == "ASSET_ID_REUSED"


async def test_another_organizations_asset_is_not_found(
    publications, uploader: Uploader, stranger: Uploader, png
) -> None:
    asset = await uploader.upload(png)
    org = format_id("org", stranger.user.organization_id)
    for call in (
        publications.DescribeAsset(pb.DescribeAssetRequest(org_id=org, asset_id=asset.asset_id)),
        publications.PresignPicture(pb.PresignPictureRequest(org_id=org, asset_id=asset.asset_id)),
        publications.CopyAsset(copy_request(asset, source_org_id=org)),
    ):
        assert (await refusal_of(call)).reason == NOT_FOUND


async def test_only_business_may_ask(mesh, uploader: Uploader, png) -> None:
    asset = await uploader.upload(png)
    request = pb.DescribeAssetRequest(org_id=asset.org_id, asset_id=asset.asset_id)
    stub_class = publications_service_pb2_grpc.PublicationsServiceStub
    async with mesh.as_user(stub_class) as user, mesh.as_service(stub_class, "inference") as other:
        for stub in (user, other):
            refusal = await refusal_of(stub.DescribeAsset(request))
            assert refusal.code is grpc.StatusCode.PERMISSION_DENIED

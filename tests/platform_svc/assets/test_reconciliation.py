"""Rows and objects that have lost each other: found, told, and settled with care."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reelmesh.platform.assets.v1 import assets_service_pb2 as pb
from reelmesh.platform.assets.v1 import storage_service_pb2 as storage_pb
from reelmesh.platform.assets.v1.storage_service_pb2_grpc import StorageServiceStub

from meshkit.clock import uuid7
from meshkit.context import UserPrincipal
from meshkit.object_store import ObjectInfo, S3ObjectStore
from meshkit.postgres import Database
from platform_svc.assets.asset import Asset, Contents, State
from platform_svc.assets.comparison import Claim, merged
from platform_svc.assets.invariants import ready_without_object
from platform_svc.assets.orphan import OrphanKind, is_suspicious
from platform_svc.assets.orphan_store import OrphanStore
from tests.platform_svc.assets.conftest import Uploader
from tests.platform_svc.assets.factories import picture
from tests.platform_svc.assets.test_uploads import keys
from tests.platform_svc.refusals import refusal_of

HOURS = [timedelta(hours=n) for n in range(24)]
WEEK = timedelta(days=7)


@pytest.fixture
async def empty(objects: S3ObjectStore) -> S3ObjectStore:
    """The run's store without what other tests have left."""
    for prefix in ("assets/", "previews/"):
        for key in [info.key async for info in objects.list(prefix)]:
            await objects.delete(key)
    return objects


@pytest.fixture
async def operator(mesh) -> AsyncIterator[StorageServiceStub]:
    user = UserPrincipal(uuid7(), uuid7(), uuid7(), is_operator=True)
    async with mesh.as_user(StorageServiceStub, user) as stub:
        yield stub


async def orphans(database: Database) -> dict[str, str]:
    async with database.sessions() as session:
        found = await OrphanStore(session).page(after="", count=1000)
    return {orphan.finding.key: orphan.finding.kind for orphan in found}


async def state(uploader: Uploader, asset: pb.Asset) -> str:
    return (await uploader.stub.GetAsset(pb.GetAssetRequest(asset_id=asset.asset_id))).state


def preview_key(asset: pb.Asset) -> str:
    return keys(asset)[1].replace("assets/", "previews/") + "/thumbnail.webp"


async def test_whole_assets_are_no_orphans(
    uploader: Uploader, database: Database, reconciler, empty: S3ObjectStore, png: bytes
) -> None:
    ready, trashed = await uploader.upload(png), await uploader.upload(png)
    await uploader.delete(trashed)
    report = await reconciler(HOURS[2]).reconcile()
    assert (report.compared.objects_count, report.compared.claims_count) == (4, 4)
    assert await orphans(database) == {}
    assert await reconciler(HOURS[2]).offenders() == {}
    assert await state(uploader, ready) == "ready"


async def test_a_stray_object_is_told_once_old_and_removed_after_a_week(
    uploader: Uploader, database: Database, reconciler, empty: S3ObjectStore, png: bytes
) -> None:
    asset = await uploader.upload(png)
    strays = [f"assets/{uuid7()}/{uuid7()}", f"assets/{uuid7()}/x", keys(asset)[1] + "/y"]
    strays.append(preview_key(asset).replace("thumbnail", "other"))
    for stray in strays:
        await empty.put(stray, b"x", content_type="image/png")
    await reconciler(timedelta(0)).reconcile()
    assert await orphans(database) == {}
    found = await reconciler(HOURS[2]).offenders()
    assert set(found) == {"object_without_asset"}
    assert sorted(found["object_without_asset"]) == sorted(strays)
    assert await orphans(database) == dict.fromkeys(strays, "object")
    await reconciler(HOURS[1] + WEEK).reconcile()
    assert [await empty.head(stray) is None for stray in strays] == [False] * 4
    report = await reconciler(HOURS[3] + WEEK).reconcile()
    assert (report.objects_removed, report.orphans_count) == (4, 0)
    assert [await empty.head(stray) is None for stray in strays] == [True] * 4
    assert await empty.get(keys(asset)[1], max_bytes=len(png)) == png


async def test_a_lost_object_makes_its_asset_lost_until_it_is_back(
    uploader: Uploader, database: Database, reconciler, empty: S3ObjectStore, png: bytes
) -> None:
    asset, key = await uploader.upload(png), ""
    key = keys(asset)[1]
    await empty.delete(key)
    assert await ready_without_object(database.sessions, empty) == [key]
    assert (await reconciler(timedelta(0)).offenders())["ready_without_object"] == [key]
    assert await state(uploader, asset) == "ready"
    report = await reconciler(HOURS[2]).reconcile()
    assert report.assets_lost == 1
    assert await state(uploader, asset) == "lost"
    assert (await uploader.usage()).used_bytes == 0
    request = pb.DownloadAssetRequest(asset_id=asset.asset_id)
    assert (await refusal_of(uploader.stub.DownloadAsset(request))).reason == "ASSET_NOT_READY"
    assert await reconciler(HOURS[2]).offenders() == {}

    await empty.put(key, png, content_type="image/png")
    report = await reconciler(HOURS[3]).reconcile()
    assert report.assets_found == 1
    assert await state(uploader, asset) == "ready"
    assert (await uploader.usage()).ready_bytes == len(png)


async def test_an_object_of_another_length_is_no_object(
    uploader: Uploader, database: Database, reconciler, empty: S3ObjectStore, png: bytes
) -> None:
    asset = await uploader.upload(png)
    await empty.put(keys(asset)[1], png[:-1], content_type="image/png")
    await reconciler(timedelta(0)).reconcile()
    assert await orphans(database) == {keys(asset)[1]: "asset"}


async def test_a_lost_preview_is_made_anew(
    uploader: Uploader, reconciler, later, empty: S3ObjectStore, png: bytes
) -> None:
    asset = await uploader.upload(png)
    await empty.delete(preview_key(asset))
    found = await reconciler(timedelta(0)).offenders()
    assert found == {"preview_without_object": [preview_key(asset)]}
    assert await later(timedelta(0)).make_previews() == 1
    assert await empty.head(preview_key(asset)) is not None
    assert await reconciler(timedelta(0)).offenders() == {}


async def test_nothing_is_settled_while_there_are_suspiciously_many(
    uploader: Uploader, database: Database, reconciler, empty: S3ObjectStore
) -> None:
    # As after the database was restored from a backup: it knows nothing of what came since.
    strays = [f"assets/{uuid7()}/{uuid7()}" for _ in range(11)]
    for stray in strays:
        await empty.put(stray, b"x", content_type="image/png")
    await reconciler(HOURS[2]).reconcile()
    report = await reconciler(HOURS[3] + WEEK).reconcile()
    assert (report.objects_removed, report.is_withheld) == (0, True)
    assert await empty.head(strays[0]) is not None
    await empty.delete(strays[0])
    report = await reconciler(HOURS[4] + WEEK).reconcile()
    assert (report.objects_removed, report.is_withheld) == (10, False)


async def test_a_store_that_lost_everything_loses_no_assets(
    uploader: Uploader, reconciler, empty: S3ObjectStore, png: bytes
) -> None:
    assets = [await uploader.upload(png) for _ in range(11)]
    for asset in assets:
        await empty.delete(keys(asset)[1])
    for hours in HOURS[:3]:
        report = await reconciler(hours).reconcile()
        assert (report.assets_lost, report.is_withheld) == (0, True)
    assert await state(uploader, assets[0]) == "ready"


async def test_operators_see_orphans_and_reconcile(
    uploader: Uploader, operator, empty: S3ObjectStore, png: bytes
) -> None:
    assets = [await uploader.upload(picture(color=color)) for color in ("red", "blue", "lime")]
    lost = sorted(keys(asset)[1] for asset in assets[:2])
    for key in lost:
        await empty.delete(key)
    done = await operator.ReconcileStorage(storage_pb.ReconcileStorageRequest())
    assert (done.objects_count, done.orphans_count) == (4, 2)
    first = await operator.ListOrphans(storage_pb.ListOrphansRequest(page_size=1))
    token = first.next_page_token
    rest = await operator.ListOrphans(storage_pb.ListOrphansRequest(page_token=token))
    assert [(one.key, one.kind) for one in (*first.orphans, *rest.orphans)] == [
        (key, "asset") for key in lost
    ]
    assert not rest.next_page_token
    for call in (
        uploader.storage.ListOrphans(storage_pb.ListOrphansRequest()),
        uploader.storage.ReconcileStorage(storage_pb.ReconcileStorageRequest()),
    ):
        assert (await refusal_of(call)).code == grpc.StatusCode.PERMISSION_DENIED


@given(st.sets(st.integers(0, 30)), st.sets(st.integers(0, 30)))
async def test_a_merge_gives_every_key_once_and_pairs_what_belongs_together(
    objects_at: set[int], claims_at: set[int]
) -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    contents = Contents("a", "image/png", 1, "0" * 64)
    asset = Asset(uuid7(), uuid7(), contents, State.READY, moment)

    async def infos() -> AsyncIterator[ObjectInfo]:
        for number in sorted(objects_at):
            yield ObjectInfo(f"{number:02}", 1, "", "", moment)

    async def claims() -> AsyncIterator[Claim]:
        for number in sorted(claims_at):
            yield Claim(f"{number:02}", OrphanKind.ASSET, asset, 1)

    pairs = [
        (info and int(info.key), claim and int(claim.key))
        async for info, claim in merged(infos(), claims())
    ]
    assert pairs == [
        (number if number in objects_at else None, number if number in claims_at else None)
        for number in sorted(objects_at | claims_at)
    ]


@pytest.mark.parametrize(
    ("orphans_count", "total", "expected"),
    [(0, 0, False), (10, 10, False), (11, 11, True), (11, 110, False), (100, 999, True)],
)
def test_many_is_more_than_ten_and_than_a_tenth(orphans_count, total, expected) -> None:
    assert is_suspicious(orphans_count, total) is expected

"""What the sweeper removes."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa
from reelmesh.platform.assets.v1 import assets_service_pb2 as pb
from reelmesh.platform.assets.v1 import trash_service_pb2 as trash_pb

from meshkit.clock import uuid7
from meshkit.migrations import downgrade, drift, upgrade
from meshkit.object_store import S3ObjectStore
from meshkit.postgres import Database
from platform_svc.assets.invariants import miscounted
from platform_svc.assets.tables import AssetRow, Base
from platform_svc.assets.wiring import MIGRATIONS
from tests.platform_svc.assets.conftest import Uploader
from tests.platform_svc.assets.test_uploads import keys
from tests.platform_svc.refusals import refusal_of


async def rows(database: Database) -> list[tuple[str, bool]]:
    async with database.sessions() as session:
        found = await session.execute(
            sa.select(AssetRow.state, AssetRow.bytes_removed_at.is_not(None))
        )
        return [(row[0], row[1]) for row in found]


async def test_uploads_that_never_came_are_removed(
    uploader: Uploader, database: Database, objects: S3ObjectStore, later, png: bytes
) -> None:
    created = await uploader.create(png)
    await uploader.send(created, png)  # Uploaded, never completed.
    await later(timedelta(minutes=29)).sweep()
    assert await rows(database) == [("pending", False)]
    await later(timedelta(minutes=31)).sweep()
    request = pb.GetAssetRequest(asset_id=created.asset.asset_id)
    assert (await refusal_of(uploader.stub.GetAsset(request))).reason == "ASSET_NOT_FOUND"
    await later(timedelta(minutes=47)).sweep()
    assert await rows(database) == [("deleted", True)]
    assert await objects.head(keys(created.asset)[0]) is None


async def test_bytes_that_come_back_by_an_old_signature_are_removed(
    uploader: Uploader, objects: S3ObjectStore, later, png: bytes
) -> None:
    created = await uploader.create(png)
    await uploader.stub.DeleteAsset(pb.DeleteAssetRequest(asset_id=created.asset.asset_id))
    assert await uploader.send(created, png) == 200  # The signature still lives.
    await later(timedelta(minutes=31)).sweep()
    assert await objects.head(keys(created.asset)[0]) is None


async def test_a_second_upload_after_completion_leaves_quarantine(
    uploader: Uploader, objects: S3ObjectStore, later, png: bytes
) -> None:
    created = await uploader.create(png)
    await uploader.send(created, png)
    request = pb.CompleteAssetRequest(asset_id=created.asset.asset_id)
    await uploader.stub.CompleteAsset(request)
    await uploader.send(created, png)
    quarantined, kept = keys(created.asset)
    await later(timedelta(minutes=76)).sweep()
    assert await objects.head(quarantined) is None
    assert await objects.get(kept, max_bytes=len(png)) == png


async def test_old_results_that_nobody_imported_are_removed(
    database: Database, objects: S3ObjectStore, later
) -> None:
    key = f"results/{uuid7()}/1/0.png"
    await objects.put(key, b"x", content_type="image/png")
    await later(timedelta(hours=47)).sweep()
    assert await objects.head(key) is not None
    await later(timedelta(hours=49)).sweep()
    assert await objects.head(key) is None


async def test_tombstones_go_after_a_month(
    uploader: Uploader, database: Database, later, png: bytes
) -> None:
    asset = await uploader.upload(png)
    await uploader.stub.DeleteAsset(pb.DeleteAssetRequest(asset_id=asset.asset_id))
    await uploader.trash.PurgeAsset(trash_pb.PurgeAssetRequest(asset_id=asset.asset_id))
    await later(timedelta(days=29)).sweep()
    assert await rows(database) == [("deleted", True)]
    await later(timedelta(days=31)).sweep()
    assert await rows(database) == []


async def test_ready_assets_are_left_alone(
    uploader: Uploader, objects: S3ObjectStore, later, png: bytes
) -> None:
    asset = await uploader.upload(png)
    await later(timedelta(days=365)).sweep()
    request = pb.GetAssetRequest(asset_id=asset.asset_id)
    assert await uploader.stub.GetAsset(request) == asset
    assert await objects.get(keys(asset)[1], max_bytes=len(png)) == png


async def test_counters_of_older_assets_come_with_the_migration(
    uploader: Uploader, stranger: Uploader, database: Database, png: bytes
) -> None:
    ready = await uploader.upload(png)
    await uploader.create(png)
    await stranger.delete(await stranger.upload(png))
    await downgrade(database.url, "assets", MIGRATIONS, "2026_11_20_0900")
    await upgrade(database.url, "assets", MIGRATIONS)
    usage = await uploader.usage()
    assert (usage.ready_bytes, usage.reserved_bytes, usage.assets_count) == (
        len(png),
        len(png),
        2,
    )
    assert (await stranger.usage()).used_bytes == 0
    assert await miscounted(database.sessions) == []
    request = pb.GetAssetRequest(asset_id=ready.asset_id)
    assert (await uploader.stub.GetAsset(request)).state == "ready"


async def test_declared_tables_and_migrations_agree(database: Database) -> None:
    assert await drift(database.url, Base.metadata) == []

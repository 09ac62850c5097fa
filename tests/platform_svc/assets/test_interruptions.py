"""Calls that are cut off at any step, meet others, or find the store away: nothing is lost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from reelmesh.platform.assets.v1 import assets_service_pb2 as pb
from reelmesh.platform.assets.v1 import trash_service_pb2 as trash_pb
from reelmesh.platform.assets.v1.assets_service_pb2_grpc import AssetsServiceStub
from reelmesh.platform.assets.v1.trash_service_pb2_grpc import TrashServiceStub

from meshkit.clock import uuid7
from meshkit.context import UserPrincipal
from meshkit.ids import parse_id
from meshkit.object_store import S3ObjectStore
from meshkit.testing.parts import PartUnderTest, serve_part
from meshkit.testing.servers import ServedMesh
from platform_svc.assets.probing import PROBE
from platform_svc.assets.wiring import open_service
from tests.platform_svc.assets.conftest import Uploader
from tests.platform_svc.assets.faults import STEPS, FaultyStore, Step, cut_off, held_at
from tests.platform_svc.assets.test_imports import import_request
from tests.platform_svc.assets.test_uploads import complete, keys

EVERYWHERE = [(step, when) for step in STEPS for when in ("before", "after")]
everywhere = pytest.mark.parametrize("step", EVERYWHERE, ids=" ".join)
BEFORE_THE_COMMIT = EVERYWHERE[:4]
CRASH_ONCE = """
import os, pathlib, runpy, signal, sys
crashed = pathlib.Path({crashed!r})
if not crashed.exists():
    crashed.touch()
    os.kill(os.getpid(), signal.SIGSEGV)
runpy.run_path({probe!r}, run_name="__main__")
"""


@pytest.fixture
def store(objects: S3ObjectStore) -> FaultyStore:
    return FaultyStore(objects)


@pytest.fixture
async def mesh(
    database, identity, bus, store: FaultyStore, variables: dict[str, str]
) -> AsyncIterator[ServedMesh]:
    part = PartUnderTest("platform", database.url, identity, bus, variables, objects=store)
    async with serve_part(part, [open_service]) as mesh:
        yield mesh


@pytest.fixture
async def result(objects: S3ObjectStore, png: bytes) -> pb.ImportAssetRequest:
    """An import whose object lies in the store."""
    request = import_request(png)
    await objects.put(request.source_key, png, content_type="image/png")
    return request


@pytest.fixture
def crashing_probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the next probe crash before it comes to the picture."""
    program = tmp_path / "probe.py"
    program.write_text(CRASH_ONCE.format(crashed=str(tmp_path / "crashed"), probe=str(PROBE)))
    monkeypatch.setattr("platform_svc.assets.probing.PROBE", program)


async def uploaded(uploader: Uploader, png: bytes) -> pb.Asset:
    created = await uploader.create(png)
    assert await uploader.send(created, png) == 200
    return created.asset


async def assert_kept(objects: S3ObjectStore, asset: pb.Asset, png: bytes, *, source: str) -> None:
    assert asset.state == "ready"
    assert await objects.get(keys(asset)[1], max_bytes=len(png)) == png
    assert await objects.head(source) is None


@everywhere
async def test_an_import_that_was_cut_off_is_made_by_the_next_call(
    business, store: FaultyStore, objects: S3ObjectStore, result, png: bytes, step: Step
) -> None:
    await cut_off(store, step, lambda: business.ImportAsset(result))
    asset = await business.ImportAsset(result)
    await assert_kept(objects, asset, png, source=result.source_key)
    assert await business.ImportAsset(result) == asset


@everywhere
async def test_an_import_outlasts_a_store_that_is_away_for_a_moment(
    business, store: FaultyStore, objects: S3ObjectStore, result, png: bytes, step: Step
) -> None:
    store.fail(step)
    asset = await business.ImportAsset(result)
    assert await business.ImportAsset(result) == asset
    await assert_kept(objects, asset, png, source=result.source_key)


@pytest.mark.parametrize("step", BEFORE_THE_COMMIT, ids=" ".join)
async def test_an_import_that_is_overtaken_gives_the_same_asset(
    business, store: FaultyStore, objects: S3ObjectStore, result, png: bytes, step: Step
) -> None:
    late = await held_at(store, step, lambda: business.ImportAsset(result, timeout=60))
    first = await business.ImportAsset(result)
    assert await late.go_on() == first
    await assert_kept(objects, first, png, source=result.source_key)


async def test_what_was_imported_stands_whatever_a_late_call_reads(
    business, store: FaultyStore, objects: S3ObjectStore, result, png: bytes
) -> None:
    late = await held_at(
        store, ("download", "before"), lambda: business.ImportAsset(result, timeout=60)
    )
    first = await business.ImportAsset(result)
    await objects.put(result.source_key, png[:-1], content_type="image/png")
    assert await late.go_on() == first
    await assert_kept(objects, first, png, source=result.source_key)


async def test_an_import_that_is_overtaken_by_a_deletion_leaves_no_bytes(
    business, mesh, store: FaultyStore, objects: S3ObjectStore, result
) -> None:
    late = await held_at(
        store, ("put_file", "before"), lambda: business.ImportAsset(result, timeout=60)
    )
    asset = await business.ImportAsset(result)
    user = UserPrincipal(uuid7(), uuid7(), parse_id("org", asset.org_id, field=""))
    async with mesh.as_user(AssetsServiceStub, user) as stub:
        await stub.DeleteAsset(pb.DeleteAssetRequest(asset_id=asset.asset_id))
    async with mesh.as_user(TrashServiceStub, user) as stub:
        await stub.EmptyTrash(trash_pb.EmptyTrashRequest())
    assert (await late.go_on()).state == "deleted"
    assert await objects.head(keys(asset)[1]) is None


async def test_a_crash_that_is_not_the_pictures_rejects_no_import(
    business, objects: S3ObjectStore, result, png: bytes, crashing_probe: None
) -> None:
    asset = await business.ImportAsset(result)
    await assert_kept(objects, asset, png, source=result.source_key)


@everywhere
async def test_a_completion_that_was_cut_off_is_made_by_the_next_call(
    uploader: Uploader, store: FaultyStore, objects: S3ObjectStore, png: bytes, step: Step
) -> None:
    asset = await uploaded(uploader, png)
    await cut_off(store, step, lambda: complete(uploader, asset))
    asset = await complete(uploader, asset)
    assert asset.state == "ready"
    assert await objects.get(keys(asset)[1], max_bytes=len(png)) == png


@everywhere
async def test_a_completion_outlasts_a_store_that_is_away_for_a_moment(
    uploader: Uploader, store: FaultyStore, objects: S3ObjectStore, png: bytes, step: Step
) -> None:
    asset = await uploaded(uploader, png)
    store.fail(step)
    asset = await complete(uploader, asset)
    assert asset.state == "ready"
    assert await objects.get(keys(asset)[1], max_bytes=len(png)) == png


@pytest.mark.parametrize("step", BEFORE_THE_COMMIT, ids=" ".join)
async def test_a_completion_that_is_overtaken_gives_the_same_asset(
    uploader: Uploader, store: FaultyStore, objects: S3ObjectStore, png: bytes, step: Step
) -> None:
    asset = await uploaded(uploader, png)
    late = await held_at(store, step, lambda: complete(uploader, asset, timeout=60))
    first = await complete(uploader, asset)
    assert await late.go_on() == first
    await assert_kept(objects, first, png, source=keys(asset)[0])


async def test_a_crash_that_is_not_the_pictures_rejects_no_upload(
    uploader: Uploader, objects: S3ObjectStore, png: bytes, crashing_probe: None
) -> None:
    asset = await complete(uploader, await uploaded(uploader, png))
    await assert_kept(objects, asset, png, source=keys(asset)[0])


@pytest.mark.parametrize("step", EVERYWHERE[4:], ids=" ".join)
async def test_a_deletion_that_was_cut_off_is_finished_by_the_sweeper(
    uploader: Uploader, store: FaultyStore, objects: S3ObjectStore, later, png: bytes, step: Step
) -> None:
    asset = await uploader.upload(png)
    await uploader.stub.DeleteAsset(pb.DeleteAssetRequest(asset_id=asset.asset_id))
    request = trash_pb.PurgeAssetRequest(asset_id=asset.asset_id)
    await cut_off(store, step, lambda: uploader.trash.PurgeAsset(request))
    assert not (await uploader.trash.ListTrash(trash_pb.ListTrashRequest())).assets
    await uploader.trash.PurgeAsset(request)
    await later(timedelta(minutes=31)).sweep()
    for key in keys(asset):
        assert await objects.head(key) is None

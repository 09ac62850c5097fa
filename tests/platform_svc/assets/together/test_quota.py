"""What an organization may store, counted exactly whatever happens at once."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from datetime import timedelta

import grpc
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from reelmesh.platform.assets.v1 import assets_service_pb2 as pb
from reelmesh.platform.assets.v1 import publications_service_pb2 as publications_pb
from reelmesh.platform.assets.v1 import storage_service_pb2 as storage_pb
from reelmesh.platform.assets.v1.publications_service_pb2_grpc import PublicationsServiceStub
from reelmesh.platform.assets.v1.storage_service_pb2_grpc import StorageServiceStub

from meshkit.clock import uuid7
from meshkit.context import UserPrincipal
from meshkit.ids import format_id
from meshkit.object_store import S3ObjectStore
from meshkit.postgres import Database
from platform_svc.assets.asset import State
from platform_svc.assets.invariants import miscounted
from platform_svc.assets.tables import UsageRow
from platform_svc.assets.usage import COUNTERS, Usage
from tests.platform_svc.assets.conftest import QUOTA_BYTES, Uploader
from tests.platform_svc.assets.test_imports import import_request
from tests.platform_svc.refusals import read_refusal, refusal_of

THIRD = QUOTA_BYTES // 3


def reserve(uploader: Uploader, size_bytes: int):
    return uploader.stub.CreateAsset(
        pb.CreateAssetRequest(
            filename="a", content_type="image/png", size_bytes=size_bytes, sha256="0" * 64
        )
    )


async def bound(mesh, uploader: Uploader, **bounds: int) -> storage_pb.StorageUsage:
    operator = UserPrincipal(uuid7(), uuid7(), uuid7(), is_operator=True)
    org_id = format_id("org", uploader.user.organization_id)
    async with mesh.as_user(StorageServiceStub, operator) as stub:
        return await stub.SetStorageQuota(
            storage_pb.SetStorageQuotaRequest(org_id=org_id, **bounds)
        )


async def test_usage_follows_an_asset_through_its_life(uploader: Uploader, png: bytes) -> None:
    async def counted() -> tuple[int, int, int, int]:
        usage = await uploader.usage()
        assert usage.used_bytes == usage.reserved_bytes + usage.ready_bytes + usage.trashed_bytes
        return (
            usage.reserved_bytes,
            usage.ready_bytes,
            usage.trashed_bytes,
            usage.assets_count,
        )

    size = len(png)
    assert await counted() == (0, 0, 0, 0)
    created = await uploader.create(png)
    assert await counted() == (size, 0, 0, 1)
    await uploader.send(created, png)
    await uploader.stub.CompleteAsset(pb.CompleteAssetRequest(asset_id=created.asset.asset_id))
    assert await counted() == (0, size, 0, 1)
    await uploader.delete(created.asset)
    assert await counted() == (0, 0, size, 1)


async def test_a_full_organization_is_refused_and_others_are_not(
    uploader: Uploader, stranger: Uploader
) -> None:
    await reserve(uploader, QUOTA_BYTES - 1)
    refusal = await refusal_of(reserve(uploader, 2))
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "STORAGE_QUOTA_EXCEEDED",
    )
    assert refusal.metadata["used_bytes"] == str(QUOTA_BYTES - 1)
    await reserve(uploader, 1)
    await reserve(stranger, 1)


async def test_a_copy_needs_room_as_an_upload_does(
    mesh, uploader: Uploader, stranger: Uploader, png: bytes
) -> None:
    asset = await uploader.upload(png)
    await reserve(stranger, QUOTA_BYTES)
    request = publications_pb.CopyAssetRequest(
        source_org_id=asset.org_id,
        source_asset_id=asset.asset_id,
        org_id=format_id("org", stranger.user.organization_id),
        asset_id=format_id("ast", uuid7()),
    )
    async with mesh.as_service(PublicationsServiceStub, "business") as publications:
        refusal = await refusal_of(publications.CopyAsset(request))
    assert refusal.reason == "STORAGE_QUOTA_EXCEEDED"
    assert (await stranger.usage()).used_bytes == QUOTA_BYTES


async def test_racing_uploads_never_exceed_the_quota(uploader: Uploader) -> None:
    replies = await asyncio.gather(
        *(reserve(uploader, THIRD) for _ in range(8)), return_exceptions=True
    )
    refused = [read_refusal(reply).reason for reply in replies if isinstance(reply, Exception)]
    assert refused == ["STORAGE_QUOTA_EXCEEDED"] * 5
    assert (await uploader.usage()).used_bytes == 3 * THIRD


async def test_the_number_of_files_is_bounded_too(uploader: Uploader) -> None:
    await asyncio.gather(*(reserve(uploader, 1) for _ in range(20)))
    assert (await refusal_of(reserve(uploader, 1))).metadata["assets_max"] == "20"


async def test_a_repeated_call_reserves_once(uploader: Uploader) -> None:
    request = pb.CreateAssetRequest(
        filename="a", content_type="image/png", size_bytes=THIRD, sha256="0" * 64
    )
    for _ in range(4):
        await uploader.stub.CreateAsset(request, metadata=(("idempotency-key", "k"),))
    assert (await uploader.usage()).used_bytes == THIRD


async def test_an_operator_gives_an_organization_bounds_of_its_own(
    mesh, uploader: Uploader
) -> None:
    assert (await bound(mesh, uploader, bytes_max=5)).bytes_max == 5
    assert (await refusal_of(reserve(uploader, 6))).metadata["bytes_max"] == "5"
    usage = await bound(mesh, uploader)
    assert (usage.bytes_max, usage.assets_max) == (QUOTA_BYTES, 20)
    await reserve(uploader, 6)
    request = storage_pb.SetStorageQuotaRequest(org_id=usage.org_id, bytes_max=10**12)
    refusal = await refusal_of(uploader.storage.SetStorageQuota(request))
    assert refusal.code == grpc.StatusCode.PERMISSION_DENIED


async def test_results_of_runs_are_kept_without_room(
    mesh, uploader: Uploader, business, objects: S3ObjectStore, png: bytes
) -> None:
    usage = await bound(mesh, uploader, bytes_max=0)
    request = import_request(png, org_id=usage.org_id)
    await objects.put(request.source_key, png, content_type="image/png")
    await business.ImportAsset(request)
    assert (await uploader.usage()).ready_bytes == len(png)


async def test_usage_of_others_is_not_shown(uploader: Uploader, stranger: Uploader) -> None:
    org_id = format_id("org", uploader.user.organization_id)
    request = storage_pb.GetStorageUsageRequest(org_id=org_id)
    refusal = await refusal_of(stranger.storage.GetStorageUsage(request))
    assert refusal.code == grpc.StatusCode.PERMISSION_DENIED


async def test_wrong_counters_are_offenders_and_counted_anew(
    uploader: Uploader, database: Database, reconciler, png: bytes
) -> None:
    await uploader.upload(png)
    assert await miscounted(database.sessions) == []
    org_id = uploader.user.organization_id
    async with database.sessions.begin() as session:
        mine = UsageRow.org_id == org_id
        await session.execute(sa.update(UsageRow).where(mine).values(ready_bytes=1))
    assert await miscounted(database.sessions) == [str(org_id)]
    found = await reconciler(timedelta(0)).offenders()
    assert found["usage_is_the_sum_of_the_assets"] == [str(org_id)]
    assert await miscounted(database.sessions) == []
    assert (await uploader.usage()).ready_bytes == len(png)


@given(
    st.lists(
        st.tuples(
            st.integers(min_value=1, max_value=10**9),
            st.lists(st.sampled_from(list(State)), min_size=1, max_size=6),
        ),
        max_size=8,
    )
)
def test_the_counters_are_always_the_sums(
    lives: Sequence[tuple[int, Sequence[State]]],
) -> None:
    usage = Usage(uuid.UUID(int=0))
    for size, states in lives:
        before = None
        for state in states:
            usage = usage.moved(before, state, size)
            before = state
    last = [(states[-1], size) for size, states in lives]
    for state, counter in COUNTERS.items():
        assert getattr(usage, counter) == sum(size for one, size in last if one is state)
    assert usage.assets_count == sum(state in COUNTERS for state, _ in last)


@pytest.mark.parametrize("state", list(State))
def test_an_asset_that_stays_as_it_is_counts_once(state: State) -> None:
    usage = Usage(uuid.UUID(int=0)).moved(None, state, 5)
    assert usage.moved(state, state, 5) == usage

"""RegionsService: operators take regions out of service and put them back."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from reelmesh.inference.regions.v1 import regions_service_pb2 as pb
from reelmesh.inference.regions.v1 import regions_service_pb2_grpc as pb_grpc
from reelmesh.platform.audit.v1.audit_events_pb2 import ChangeRecorded

from inference.connectors.protocol import Beat
from inference.testing import REGION, Bench, offer
from meshkit.audit import CHANGE_RECORDED
from meshkit.context import UserPrincipal
from meshkit.ids import format_id
from meshkit.stubs import remote_reason
from meshkit.testing.identity import TestIdentity
from meshkit.testing.servers import ServedMesh, serve

USER = UserPrincipal(uuid.UUID(int=1), uuid.UUID(int=2), uuid.UUID(int=3))
OPERATOR = replace(USER, is_operator=True)
OTHER = "eu-west"


@pytest.fixture
async def mesh(live: Bench, tmp_path: Path) -> AsyncIterator[ServedMesh]:
    async with serve(*live.part.services(), identity=TestIdentity(tmp_path)) as served:
        yield served


@pytest.fixture
async def stub(mesh: ServedMesh) -> AsyncIterator[Any]:
    async with mesh.as_user(pb_grpc.RegionsServiceStub, OPERATOR) as made:
        yield made


async def ask(live: Bench, region: str, wait_seconds: float = 0.0, capacity: int = 1) -> list:
    """Ask for work as a region does."""
    wanted = offer(region=region, wait_seconds=wait_seconds, capacity=capacity)
    return list(await live.part.queue(region).lease(wanted))


async def known(live: Bench, *regions: str) -> None:
    """Let each region take a job."""
    for region in regions:
        await live.submit(f"first {region}")
        assert await ask(live, region, wait_seconds=20)


@pytest.mark.parametrize(
    ("method", "request_class"),
    [
        ("ListRegions", pb.ListRegionsRequest),
        ("CordonRegion", pb.CordonRegionRequest),
        ("DrainRegion", pb.DrainRegionRequest),
        ("UncordonRegion", pb.UncordonRegionRequest),
        ("ListPlacements", pb.ListPlacementsRequest),
    ],
)
async def test_only_operators_may_call(mesh: ServedMesh, method: str, request_class: Any) -> None:
    async with (
        mesh.as_user(pb_grpc.RegionsServiceStub, USER) as user,
        mesh.as_service(pb_grpc.RegionsServiceStub, "business") as service,
        mesh.as_anyone(pb_grpc.RegionsServiceStub) as anyone,
    ):
        for caller, code in (
            (user, grpc.StatusCode.PERMISSION_DENIED),
            (service, grpc.StatusCode.PERMISSION_DENIED),
            (anyone, grpc.StatusCode.UNAUTHENTICATED),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await getattr(caller, method)(request_class())
            assert refused.value.code() is code


async def test_a_region_that_asks_is_known_before_there_is_work(live: Bench, stub: Any) -> None:
    assert await ask(live, REGION) == []
    [region] = (await stub.ListRegions(pb.ListRegionsRequest())).regions
    assert (region.name, region.state, region.waiting_leases) == (REGION, "active", 0)


async def test_a_drained_region_says_so(live: Bench, stub: Any) -> None:
    await ask(live, REGION)
    drained = await stub.DrainRegion(pb.DrainRegionRequest(region=REGION))
    assert drained.state == "drained"


async def test_an_unknown_region_is_refused(stub: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.CordonRegion(pb.CordonRegionRequest(region="moon"))
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    assert remote_reason(refused.value) == "REGION_NOT_FOUND"


async def test_a_cordoned_region_gets_nothing_until_it_is_uncordoned(
    live: Bench, stub: Any
) -> None:
    await known(live, REGION, OTHER)
    changed = await stub.CordonRegion(pb.CordonRegionRequest(region=REGION, note="new driver"))
    assert (changed.state, changed.note) == ("cordoned", "new driver")
    assert changed.changed_by == format_id("usr", OPERATOR.user_id)

    waiting = asyncio.create_task(ask(live, REGION, wait_seconds=30))
    job_id = await live.submit("while cordoned")
    [lease] = await ask(live, OTHER, wait_seconds=20)
    assert lease.key.job_id == job_id
    assert not waiting.done()

    after = await live.submit("for the other")
    assert (await stub.UncordonRegion(pb.UncordonRegionRequest(region=REGION))).state == "active"
    [lease] = await waiting
    assert lease.key.job_id == after


async def test_what_operators_do_is_in_the_audit_log(live: Bench, stub: Any) -> None:
    await ask(live, REGION)
    await stub.CordonRegion(pb.CordonRegionRequest(region=REGION))
    await stub.UncordonRegion(pb.UncordonRegionRequest(region=REGION))
    with pytest.raises(grpc.aio.AioRpcError):
        await stub.CordonRegion(pb.CordonRegionRequest(region="moon"))
    rows = await live.rows(f"SELECT payload FROM jobs.outbox WHERE subject = '{CHANGE_RECORDED}'")
    entries = [ChangeRecorded.FromString(row.payload) for row in rows]
    assert [one.action for one in entries] == ["region.cordoned", "region.uncordoned"]
    for one in entries:
        assert (one.actor_id, list(one.target_ids)) == (
            format_id("usr", OPERATOR.user_id),
            [REGION],
        )


async def test_draining_takes_back_only_what_has_not_begun(live: Bench, stub: Any) -> None:
    await known(live, OTHER)
    ids = [await live.submit(f"k{n}") for n in range(2)]
    leases = [(await ask(live, REGION, wait_seconds=20))[0] for _ in ids]
    begun, untouched = leases
    await live.part.queue(REGION).extend([Beat(begun.key, 0, 4)])

    region = await stub.DrainRegion(pb.DrainRegionRequest(region=REGION))
    assert (region.state, region.waiting_leases, region.running_leases) == ("draining", 0, 1)

    [again] = await ask(live, OTHER, wait_seconds=20)
    assert again.key.job_id == untouched.key.job_id
    assert again.key.fence == untouched.key.fence + 1
    verdict = await live.part.queue(REGION).extend([Beat(one.key) for one in leases])
    assert verdict.lost == {untouched.key}


async def test_regions_are_listed_with_what_they_hold(live: Bench, stub: Any) -> None:
    await known(live, OTHER, REGION)
    regions = (await stub.ListRegions(pb.ListRegionsRequest())).regions
    assert [(one.name, one.state, one.waiting_leases) for one in regions] == [
        (OTHER, "active", 1),
        (REGION, "active", 1),
    ]
    assert all(list(one.models) == ["shapes"] and one.HasField("seen_at") for one in regions)
    assert all(one.price == 1 and one.backlog_seconds > 0 for one in regions)


async def test_placements_come_with_their_reasons(live: Bench, stub: Any) -> None:
    await known(live, OTHER, REGION)
    newest, first = (await stub.ListPlacements(pb.ListPlacementsRequest())).placements
    assert f"{REGION} is warm" in newest.reason
    assert f"{OTHER} is warm" in first.reason
    assert newest.fence == 1
    assert newest.job_id.startswith("job_")
    only = await stub.ListPlacements(pb.ListPlacementsRequest(page_size=1))
    assert list(only.placements) == [newest]


async def test_no_placement_follows_the_answer_to_a_cordon(live: Bench, stub: Any) -> None:
    """Work keeps coming while the region is cordoned; its history must end before the answer."""
    await known(live, REGION)
    asking = [asyncio.create_task(ask(live, REGION, wait_seconds=3, capacity=2)) for _ in range(4)]
    submits = [asyncio.create_task(live.submit(f"k{n}")) for n in range(8)]
    await stub.CordonRegion(pb.CordonRegionRequest(region=REGION))
    await asyncio.gather(*asking, *submits)
    late = await live.rows(
        "SELECT e.job_id FROM jobs.job_event e, jobs.region r "
        "WHERE e.event = 'grant' AND e.at > r.changed_at"
    )
    assert late == []

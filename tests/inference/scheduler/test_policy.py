"""Laws of one decision."""

from __future__ import annotations

import uuid
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.scheduler.policy import decide
from inference.scheduler.snapshot import Placement, ReadyJob, RegionDemand, RegionLoad, Snapshot
from tests.inference.scheduler.factories import FAR, NOW, demand, job, order

# A busy machine says nothing about the law.
UNHURRIED = settings(deadline=None)
MODELS = ("shapes", "film", "voice")
REGIONS = ("us", "eu", "ap")

models = st.sampled_from(MODELS)
some_models = st.frozensets(models)


@st.composite
def ready_jobs(draw: st.DrawFn, number: int) -> ReadyJob:
    deadlines = st.none() | st.sampled_from([NOW - timedelta(1), NOW, NOW + timedelta(1)])
    return ReadyJob(
        job_id=uuid.UUID(int=number),
        model=draw(models),
        tenant_id=draw(st.sampled_from("abc")),
        band=draw(st.integers(0, 2)),
        order=draw(st.sampled_from([order(NOW) - 1, FAR, FAR + 1])),
        start_deadline=draw(deadlines),
        weight=draw(st.sampled_from([0.5, 1.0, 4.0])),
        cost_seconds=draw(st.floats(0.1, 100)),
        regions=draw(st.frozensets(st.sampled_from(REGIONS), max_size=2)),
    )


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    jobs = tuple(draw(ready_jobs(n)) for n in range(draw(st.integers(0, 12))))
    demands = tuple(
        RegionDemand(
            demand_id=n,
            region=draw(st.sampled_from(REGIONS)),
            agent_id="a",
            capacity=draw(st.integers(1, 4)),
            models=draw(some_models),
            warm_models=draw(some_models),
            price=draw(st.sampled_from([0.5, 1.0, 3.0])),
        )
        for n in range(draw(st.integers(0, 4)))
    )
    loads = {
        region: RegionLoad(draw(st.booleans()), draw(st.floats(0, 50)), draw(st.integers(0, 3)))
        for region in draw(st.frozensets(st.sampled_from(REGIONS)))
    }
    return Snapshot(jobs, demands, loads)


def is_open(snapshot: Snapshot, region: str) -> bool:
    load = snapshot.regions.get(region)
    return load is None or load.is_open


def could_run(snapshot: Snapshot, one: ReadyJob, at: RegionDemand) -> bool:
    alive = one.start_deadline is None or one.start_deadline > NOW
    allowed = not one.regions or at.region in one.regions
    return alive and allowed and one.model in at.models and is_open(snapshot, at.region)


def room_left(snapshot: Snapshot, placements: list[Placement]) -> dict[int, int]:
    used = Counter(placement.demand_id for placement in placements)
    return {d.demand_id: d.capacity - used[d.demand_id] for d in snapshot.demands}


@given(snapshots())
@UNHURRIED
def test_never_over_capacity(snapshot: Snapshot) -> None:
    assert all(room >= 0 for room in room_left(snapshot, decide(snapshot, NOW)).values())


@given(snapshots())
@UNHURRIED
def test_never_two_placements_of_one_job(snapshot: Snapshot) -> None:
    placed = [placement.job_id for placement in decide(snapshot, NOW)]
    assert len(placed) == len(set(placed))


@given(snapshots())
@UNHURRIED
def test_residency_model_deadline_and_cordon_are_always_kept(snapshot: Snapshot) -> None:
    jobs = {one.job_id: one for one in snapshot.ready}
    demands = {one.demand_id: one for one in snapshot.demands}
    for placement in decide(snapshot, NOW):
        at = demands[placement.demand_id]
        assert could_run(snapshot, jobs[placement.job_id], at)
        assert (placement.region, placement.agent_id) == (at.region, at.agent_id)
        assert placement.region in placement.reason


@given(snapshots())
@UNHURRIED
def test_work_conserving(snapshot: Snapshot) -> None:
    placements = decide(snapshot, NOW)
    room = room_left(snapshot, placements)
    placed = {placement.job_id for placement in placements}
    for one in snapshot.ready:
        if one.job_id not in placed:
            assert not any(
                room[d.demand_id] and could_run(snapshot, one, d) for d in snapshot.demands
            )


@given(snapshots())
@UNHURRIED
def test_equal_jobs_of_a_tenant_go_by_when_they_are_due(snapshot: Snapshot) -> None:
    placed = {placement.job_id for placement in decide(snapshot, NOW)}
    alive = [one for one in snapshot.ready if one.start_deadline in {None, NOW + timedelta(1)}]
    for kind in {(one.model, one.tenant_id, one.band, one.regions) for one in alive}:
        lane = [one for one in alive if (one.model, one.tenant_id, one.band, one.regions) == kind]
        lane.sort(key=lambda one: (one.order, one.job_id.int))
        served = [one.job_id in placed for one in lane]
        assert served == sorted(served, reverse=True)


@given(snapshots())
@UNHURRIED
def test_the_order_of_the_input_does_not_matter(snapshot: Snapshot) -> None:
    turned = replace(snapshot, ready=snapshot.ready[::-1], demands=snapshot.demands[::-1])
    assert decide(snapshot, NOW) == decide(turned, NOW)


def test_a_lower_band_goes_first() -> None:
    snapshot = Snapshot((job(1), job(2, band=0)), (demand(1),))
    assert [p.job_id.int for p in decide(snapshot, NOW)] == [2]


def test_a_warm_region_goes_before_a_cold_one_with_more_room() -> None:
    cold, warm = demand(1, capacity=9), demand(2, warm_models={"shapes"})
    [placement] = decide(Snapshot((job(1),), (cold, warm)), NOW)
    assert placement.region == "r2"
    assert "r2 is warm, wait 0.0 s, price 1" in placement.reason


def test_equal_regions_share_by_room() -> None:
    snapshot = Snapshot(
        tuple(job(n) for n in range(4)), (demand(1, capacity=4), demand(2, capacity=4))
    )
    assert Counter(p.region for p in decide(snapshot, NOW)) == {"r1": 2, "r2": 2}


@pytest.mark.parametrize(("backlog", "region"), [(5.0, "r1"), (30.0, "r2")])
def test_a_dear_region_is_taken_only_when_it_starts_much_sooner(
    backlog: float, region: str
) -> None:
    cheap, dear = demand(1, price=1.0), demand(2, price=3.0)
    loads = {"r1": RegionLoad(backlog_seconds=backlog, running=1)}
    [placement] = decide(Snapshot((job(1, cost_seconds=5.0),), (cheap, dear), loads), NOW)
    # Twice the price for five seconds is worth ten seconds of waiting; two servers share the queue.
    assert placement.region == region


def test_a_closed_region_is_named_in_the_reason() -> None:
    loads = {"r1": RegionLoad(is_open=False)}
    [placement] = decide(Snapshot((job(1),), (demand(1), demand(2)), loads), NOW)
    assert placement.region == "r2"
    assert placement.reason.endswith("closed: r1")


def test_a_region_that_a_job_may_not_use_stays_empty() -> None:
    snapshot = Snapshot((job(1, regions=frozenset({"r2"})),), (demand(1),))
    assert decide(snapshot, NOW) == []


def test_the_nearer_deadline_of_a_tenant_goes_first() -> None:
    soon = job(2, order=order(NOW + timedelta(minutes=1)))
    snapshot = Snapshot((job(1), soon), (demand(1),))
    assert [p.job_id.int for p in decide(snapshot, NOW)] == [2]

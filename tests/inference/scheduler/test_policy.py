"""Laws of the placement policy."""

from __future__ import annotations

import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from inference.scheduler.policy import decide
from inference.scheduler.snapshot import Placement, ReadyJob, RegionDemand, Snapshot

NOW = datetime(2030, 1, 1, tzinfo=UTC)
MODELS = ("shapes", "film", "voice")

models = st.sampled_from(MODELS)
some_models = st.frozensets(models)


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    deadlines = st.none() | st.sampled_from([NOW - timedelta(1), NOW, NOW + timedelta(1)])
    jobs = tuple(
        ReadyJob(
            job_id=uuid.UUID(int=n),
            model=draw(models),
            tenant_id="t",
            band=draw(st.integers(0, 2)),
            order=draw(st.integers(0, 5)),
            start_deadline=draw(deadlines),
        )
        for n in range(draw(st.integers(0, 12)))
    )
    demands = tuple(
        RegionDemand(
            demand_id=n,
            region=f"r{n % 2}",
            agent_id="a",
            capacity=draw(st.integers(1, 4)),
            models=draw(some_models),
            warm_models=draw(some_models),
        )
        for n in range(draw(st.integers(0, 4)))
    )
    return Snapshot(jobs, demands)


def room_left(snapshot: Snapshot, placements: list[Placement]) -> dict[int, int]:
    used = Counter(placement.demand_id for placement in placements)
    return {d.demand_id: d.capacity - used[d.demand_id] for d in snapshot.demands}


def rank(job: ReadyJob) -> tuple[int, int, int]:
    return (job.band, job.order, job.job_id.int)


@given(snapshots())
def test_never_over_capacity(snapshot: Snapshot) -> None:
    assert all(room >= 0 for room in room_left(snapshot, decide(snapshot, NOW)).values())


@given(snapshots())
def test_never_two_placements_of_one_job(snapshot: Snapshot) -> None:
    placed = [placement.job_id for placement in decide(snapshot, NOW)]
    assert len(placed) == len(set(placed))


@given(snapshots())
def test_only_where_the_model_runs_and_before_the_deadline(snapshot: Snapshot) -> None:
    jobs = {job.job_id: job for job in snapshot.ready}
    demands = {demand.demand_id: demand for demand in snapshot.demands}
    for placement in decide(snapshot, NOW):
        job, demand = jobs[placement.job_id], demands[placement.demand_id]
        assert job.model in demand.models
        assert (placement.region, placement.agent_id) == (demand.region, demand.agent_id)
        assert job.start_deadline is None or job.start_deadline > NOW
        assert placement.reason


@given(snapshots())
def test_work_conserving(snapshot: Snapshot) -> None:
    placements = decide(snapshot, NOW)
    room = room_left(snapshot, placements)
    placed = {placement.job_id for placement in placements}
    for job in snapshot.ready:
        alive = job.start_deadline is None or job.start_deadline > NOW
        if alive and job.job_id not in placed:
            assert not any(room[d.demand_id] and job.model in d.models for d in snapshot.demands)


@given(snapshots())
def test_order_is_respected_among_jobs_of_a_model(snapshot: Snapshot) -> None:
    placed = {placement.job_id for placement in decide(snapshot, NOW)}
    for model in MODELS:
        queue = sorted(
            (
                job
                for job in snapshot.ready
                if job.model == model and (job.start_deadline is None or job.start_deadline > NOW)
            ),
            key=rank,
        )
        served = [job.job_id in placed for job in queue]
        assert served == sorted(served, reverse=True)


@given(snapshots())
def test_the_order_of_the_input_does_not_matter(snapshot: Snapshot) -> None:
    turned = Snapshot(snapshot.ready[::-1], snapshot.demands[::-1])
    assert decide(snapshot, NOW) == decide(turned, NOW)


def demand(demand_id: int, **changes: object) -> RegionDemand:
    fields = {"region": f"r{demand_id}", "agent_id": "a", "capacity": 1, "models": {"shapes"}}
    return RegionDemand(demand_id=demand_id, **(fields | changes))


def job(number: int, **changes: object) -> ReadyJob:
    fields = {"model": "shapes", "tenant_id": "t", "band": 1, "order": number}
    return ReadyJob(job_id=uuid.UUID(int=number), **(fields | changes))


def test_a_lower_band_goes_first() -> None:
    snapshot = Snapshot((job(1), job(2, band=0)), (demand(1),))
    assert [p.job_id.int for p in decide(snapshot, NOW)] == [2]


def test_a_warm_region_goes_before_a_cold_one_with_more_room() -> None:
    cold, warm = demand(1, capacity=9), demand(2, warm_models={"shapes"})
    [placement] = decide(Snapshot((job(1),), (cold, warm)), NOW)
    assert placement.region == "r2"
    assert "warm" in placement.reason


def test_equal_regions_share_by_room() -> None:
    snapshot = Snapshot(
        tuple(job(n) for n in range(4)), (demand(1, capacity=4), demand(2, capacity=4))
    )
    assert Counter(p.region for p in decide(snapshot, NOW)) == {"r1": 2, "r2": 2}

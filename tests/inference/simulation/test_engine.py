"""Laws of the simulation: every job ends once, and devices do one thing at a time."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.simulation.contenders import contenders
from inference.simulation.engine import Outcome, Simulation
from inference.simulation.fleet import LOAD_SECONDS, Change, FleetPlan, spot_fleet, steady_fleet
from inference.simulation.traces import Availability
from inference.simulation.workload import Request, generate

NAMES = tuple(contenders())
REGIONS = ("us-east", "eu-west")


def simulate(requests: Sequence[Request], plan: FleetPlan, name: str = "live") -> Outcome:
    return Simulation(requests, plan, contenders()[name]).run()


@st.composite
def requests(draw: st.DrawFn) -> list[Request]:
    at = 0.0
    made = []
    for number in range(draw(st.integers(1, 25))):
        at += draw(st.sampled_from([0.0, 0.5, 20.0]))
        run = draw(st.floats(0.1, 60))
        made.append(
            Request(
                number=number,
                at=at,
                tenant_id=draw(st.sampled_from("abc")),
                model=draw(st.sampled_from("xyz")),
                band=draw(st.integers(0, 2)),
                weight=1.0,
                cost_seconds=run,
                run_seconds=run,
                deadline=draw(st.none() | st.floats(at, at + 100)),
                regions=draw(st.sampled_from([frozenset(), frozenset({"eu-west"})])),
            )
        )
    return made


@st.composite
def plans(draw: st.DrawFn) -> FleetPlan:
    regions = tuple((name, draw(st.integers(1, 2)), 1.0) for name in REGIONS)
    devices = sum(count for _, count, _ in regions)
    changes = []
    for device in range(devices):
        for begin in sorted(draw(st.sets(st.integers(0, 20), max_size=3))):
            changes += [
                Change(begin * 30.0, device, is_present=False),
                Change(begin * 30.0 + 29, device, is_present=True),
            ]
    changes.sort(key=lambda one: (one.at, one.device))
    return FleetPlan(regions, draw(st.integers(1, 2)), tuple(changes))


@settings(max_examples=30, deadline=None)
@given(requests(), plans(), st.sampled_from(NAMES))
def test_every_job_ends_once_and_in_time(jobs: list[Request], plan: FleetPlan, name: str) -> None:
    outcome = simulate(jobs, plan, name)
    assert sorted(one.request.number for one in outcome.ended) == [one.number for one in jobs]
    for one in outcome.ended:
        job = one.request
        if one.started_at is None:
            assert one.finished_at == job.deadline
            assert one.attempts == 0
            continue
        assert one.started_at >= job.at
        assert not job.regions or one.region in job.regions
        assert one.finished_at >= one.started_at + job.run_seconds - 1e-6
        if one.attempts == 1 and job.deadline is not None:
            assert one.started_at <= job.deadline
    # Time in, time out: what devices did is what the jobs took, loads and losses apart.
    ran = sum(one.request.run_seconds for one in outcome.ended if one.started_at is not None)
    assert outcome.run_seconds == pytest.approx(ran)
    busy = outcome.run_seconds + outcome.load_seconds
    assert busy <= outcome.present_seconds + 1e-6


@pytest.mark.parametrize("name", NAMES)
def test_a_device_does_one_job_at_a_time(name: str) -> None:
    plan = steady_fleet(2, 2)
    outcome = simulate(generate(80, seed=3, regions=REGIONS), plan, name)
    # One device in each region, so the jobs of a region follow each other.
    by_region = defaultdict(list)
    for one in outcome.ended:
        if one.started_at is not None:
            by_region[one.region].append((one.started_at, one.finished_at))
    assert set(by_region) == set(REGIONS)
    for spans in by_region.values():
        spans.sort()
        assert all(after[0] >= before[1] for before, after in itertools.pairwise(spans))


def test_the_first_job_loads_its_model_and_the_next_finds_it() -> None:
    first, second = generate(2, seed=1)
    pair = [first, Request(1, 1000.0, "t", first.model, 1, 1.0, 5.0, 5.0)]
    outcome = simulate(pair, steady_fleet(1, 1))
    assert outcome.swaps == 1
    assert outcome.load_seconds == pytest.approx(LOAD_SECONDS)
    assert second.number == 1


def test_work_on_a_device_that_goes_away_is_done_again() -> None:
    zone = Availability("z-1a", 10.0, (True, False, True))
    job = Request(0, 0.0, "t", "m", 1, 1.0, 30.0, 30.0)
    [ended] = simulate([job], spot_fleet([zone], 1, 1)).ended
    assert (ended.attempts, ended.started_at) == (2, 20.0)
    assert ended.finished_at == pytest.approx(20.0 + LOAD_SECONDS + 30.0)

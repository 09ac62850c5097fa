"""The plan of replicas: large enough for what waits, within its bounds, and slow to shrink."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.scheduler.planner import Fleet, PlannerSettings, plan

NOW = datetime(2030, 1, 1, tzinfo=UTC)
RULES = PlannerSettings(drain_seconds=10, keep_seconds=60, run_seconds=1)
EAST = Fleet("us-east", running=0, minimum=0, maximum=4)
WEST = Fleet("us-west", running=0, minimum=0, maximum=4, price=2)


def targets(waiting: int, *fleets: Fleet, now: datetime = NOW) -> dict[str, int]:
    return {one.region: one.replicas for one in plan(waiting, fleets, now, RULES)}


@pytest.mark.parametrize(
    ("waiting", "wanted"), [(0, 0), (1, 1), (10, 1), (11, 2), (39, 4), (1000, 4)]
)
def test_what_waits_is_worked_off_within_the_accepted_wait(waiting: int, wanted: int) -> None:
    assert targets(waiting, EAST) == {"us-east": wanted}


def test_measured_times_count_more_than_the_assumed_one() -> None:
    assert targets(4, replace(EAST, run_seconds=10)) == {"us-east": 4}
    assert targets(4, replace(EAST, run_seconds=0.1)) == {"us-east": 1}


def test_a_cheap_region_is_filled_before_a_dear_one() -> None:
    assert targets(60, EAST, WEST) == {"us-east": 4, "us-west": 2}


def test_what_runs_already_counts_before_price() -> None:
    assert targets(20, EAST, replace(WEST, running=2, target=2)) == {"us-east": 0, "us-west": 2}


def test_a_closed_region_keeps_what_it_has_begun_and_gets_no_more() -> None:
    closed = replace(EAST, is_open=False, running=3, busy=2, target=2)
    assert targets(20, closed, WEST) == {"us-east": 2, "us-west": 3}


def test_a_surplus_is_kept_for_a_while() -> None:
    large = replace(EAST, running=3, target=3)
    [first] = plan(0, [large], NOW, RULES)
    assert (first.replicas, first.surplus_since) == (3, NOW)
    assert "kept for 60 s" in first.reason

    waiting = replace(large, surplus_since=first.surplus_since)
    assert targets(0, waiting, now=NOW + timedelta(seconds=59)) == {"us-east": 3}
    [last] = plan(0, [waiting], NOW + timedelta(seconds=60), RULES)
    assert (last.replicas, last.surplus_since) == (0, None)


def test_work_in_between_starts_the_time_anew() -> None:
    large = replace(EAST, running=3, target=3, surplus_since=NOW - timedelta(seconds=59))
    [needed] = plan(30, [large], NOW, RULES)
    assert (needed.replicas, needed.surplus_since) == (3, None)


def test_the_reason_names_the_facts() -> None:
    [target] = plan(12, [replace(EAST, busy=1, maximum=9)], NOW, RULES)
    assert target.reason == ("12 wait, 1 run, 1.0 s each: 2 wanted in all, 2 here (0 to 9 allowed)")


FLEETS = st.lists(
    st.builds(
        Fleet,
        region=st.uuids().map(str),
        running=st.integers(0, 9),
        minimum=st.integers(0, 3),
        maximum=st.integers(3, 9),
        busy=st.integers(0, 9),
        run_seconds=st.floats(0, 100, allow_nan=False),
        price=st.floats(0, 9, allow_nan=False),
        is_open=st.booleans(),
        target=st.integers(0, 9),
        surplus_since=st.none() | st.just(NOW - timedelta(hours=1)),
    ),
    max_size=5,
    unique_by=lambda fleet: fleet.region,
)


@settings(deadline=None)  # A busy machine is no failure.
@given(waiting=st.integers(0, 10_000), fleets=FLEETS)
def test_every_target_is_within_its_bounds_and_the_order_does_not_matter(
    waiting: int, fleets: list[Fleet]
) -> None:
    planned = targets(waiting, *fleets)
    for fleet in fleets:
        assert fleet.minimum <= planned[fleet.region] <= fleet.maximum
    assert targets(waiting, *reversed(fleets)) == planned


@settings(deadline=None)  # A busy machine is no failure.
@given(waiting=st.integers(0, 1000), more=st.integers(0, 1000), fleets=FLEETS)
def test_more_work_never_means_fewer_replicas(waiting: int, more: int, fleets: list[Fleet]) -> None:
    few, many = targets(waiting, *fleets), targets(waiting + more, *fleets)
    assert sum(few.values()) <= sum(many.values())

"""The marts as functions of events."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_svc.etl.config import MartSettings
from platform_svc.etl.marts.creator_earnings import CreatorEarnings
from platform_svc.etl.marts.fold import Mart, Row
from platform_svc.etl.marts.funnel import STAGES, Funnel
from platform_svc.etl.marts.unit_economics import UnitEconomics
from platform_svc.etl.records import Event

from .factories import DAY, job, opened_tool, post, run, signed_up

SETTINGS = MartSettings(
    credit_micros=1_000,
    device_hour_micros=4_000,
    region_prices={"eu-west": 0.5},
    royalty_percent=10,
    grace=timedelta(0),
)
MAKERS: Sequence[Callable[[], Mart]] = (
    Funnel,
    lambda: UnitEconomics(SETTINGS),
    lambda: CreatorEarnings(SETTINGS),
)
USERS = ("usr_a", "usr_b", "usr_c")
STORY = [
    *(signed_up(user, day=number) for number, user in enumerate(USERS)),
    *(opened_tool(user) for user in USERS[:2]),
    *(run(f"run_{n}", USERS[n % 3], day=n % 4, credits_charged=n) for n in range(9)),
    *(job(f"run_{n}", ("us-east", "eu-west", "")[n % 3], run_ms=n * 1000) for n in range(8)),
    *(post(f"p{n}", USERS[n % 3], f"run_{n}", f"p{n // 2}", f"p{n // 3}") for n in range(9)),
]


def made(mart: Mart, events: Sequence[Event]) -> Sequence[Row]:
    for event in events:
        if event.name in mart.events:
            mart.add(event)
    return mart.rows()


@pytest.mark.parametrize("make", MAKERS)
@given(events=st.permutations(STORY))
def test_the_order_of_events_does_not_matter(make, events) -> None:
    assert made(make(), events) == made(make(), STORY)


@given(st.lists(st.sampled_from(STORY), unique_by=lambda event: event.event_id))
def test_the_mart_has_each_credit_of_each_run_once(events) -> None:
    economics = UnitEconomics(SETTINGS)
    rows = made(economics, events)
    charged = sum(row["credits_charged"] for row in rows)
    assert charged == sum(economics.charges().values())
    assert sum(row["runs"] for row in rows) == sum(e.event_id.startswith("run-") for e in events)


@given(st.lists(st.sampled_from(STORY), unique_by=lambda event: event.event_id))
def test_a_funnel_only_narrows(events) -> None:
    rows = made(Funnel(), events)
    for day in {row["day"] for row in rows}:
        users = [row["users"] for row in rows if row["day"] == day]
        assert len(users) == len(STAGES)
        assert users == sorted(users, reverse=True)
        assert users[0] == next(row["cohort"] for row in rows if row["day"] == day)


@given(st.lists(st.sampled_from(STORY), unique_by=lambda event: event.event_id))
def test_creators_never_get_more_than_their_share(events) -> None:
    rows = made(CreatorEarnings(SETTINGS), events)
    earned = sum(row["earned_millicredits"] for row in rows)
    charged = sum(made_of.values()) if (made_of := _charges(events)) else 0
    assert earned <= charged * 1000 * SETTINGS.royalty_percent // 100


def test_users_get_as_far_as_they_came() -> None:
    rows = made(
        Funnel(),
        [
            *(signed_up(user) for user in ("a", "b", "c", "d")),
            opened_tool("b"),
            run("r1", "c", state="failed", credits_charged=0),
            run("r2", "d", day=1),
            run("r3", "nobody knows"),
        ],
    )
    assert [(row["stage"], row["users"]) for row in rows] == [
        ("signed_up", 4),
        ("opened_tool", 3),
        ("ran", 2),
        ("got_result", 1),
        ("came_back", 1),
    ]
    assert rows[1]["share"] == 0.75


def test_a_run_costs_what_its_region_costs() -> None:
    events = [run("r1"), job("r1"), run("r2"), job("r2", "eu-west"), run("r3")]
    rows = made(UnitEconomics(SETTINGS), events)
    costs = {row["region"]: (row["cost_micros"], row["margin_micros"]) for row in rows}
    assert costs == {"us-east": (4_000, 6_000), "eu-west": (2_000, 8_000), "none": (0, 10_000)}
    assert {row["day"] for row in rows} == {DAY.date()}


def test_the_authors_of_a_remix_share_its_royalty() -> None:
    events = [
        post("p1", "ada"),
        post("p2", "bob"),
        post("p3", "cy", "r1", "p1", "p2", "p1"),
        run("r1", "cy", credits_charged=10),
        post("p4", "ada", "r2", "p1"),  # One's own picture earns nothing,
        run("r2", "ada"),
        post("p5", "dee", "r3", "p1"),  # nor does a run that was free,
        run("r3", "dee", credits_charged=0),
        post("p6", "dee", "r1", "p1", day=1),  # nor a second post of a run.
    ]
    rows = made(CreatorEarnings(SETTINGS), events)
    assert [(row["creator_user_id"], row["earned_millicredits"]) for row in rows] == [
        ("ada", 500),
        ("bob", 500),
    ]
    assert rows[0]["month"] == DAY.date().replace(day=1)
    assert rows[0]["earned_micros"] == 500


def _charges(events: Sequence[Event]) -> dict[str, int]:
    economics = UnitEconomics(SETTINGS)
    made(economics, events)
    return dict(economics.charges())

"""Terms, credits and proration as pure values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from platform_svc.billing.invoice import term_lines, upgrade_lines
from platform_svc.billing.months import add_months
from platform_svc.billing.subscription import (
    State,
    begin_term,
    next_term,
    order_due_credits,
    plan_at,
    top_up,
)

from .factories import (
    CATALOGUE,
    CREATOR,
    CREATOR_YEARLY,
    NOW,
    STUDIO,
    active,
    incomplete,
    overdue,
)

GRACE = timedelta(days=7)
MOMENTS = st.datetimes(
    datetime(2020, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    datetime(2080, 1, 1),  # noqa: DTZ001 - as above
    timezones=st.just(UTC),
)


@given(MOMENTS, st.integers(0, 240), st.integers(0, 240))
def test_months_keep_their_order_and_never_skip_one(moment, few, more) -> None:
    first, second = sorted((few, more))
    assert add_months(moment, first) <= add_months(moment, second)
    there = add_months(moment, second)
    assert (there.year * 12 + there.month) - (moment.year * 12 + moment.month) == second
    assert there.day in {moment.day, 28, 29, 30}


def test_terms_are_counted_from_the_first_day_over_short_months() -> None:
    subscription = active()  # From 31 January.
    ends = [subscription.term.end]
    for _ in range(3):
        subscription = begin_term(subscription, next_term(subscription, CREATOR, NOW))
        ends.append(subscription.term.end)
    assert [f"{end:%m-%d}" for end in ends] == ["02-28", "03-31", "04-30", "05-31"]
    assert [end.day for end in ends] == [28, 31, 30, 31]


def test_a_term_gives_its_credits_once() -> None:
    subscription, orders = order_due_credits(active(), CATALOGUE, NOW)
    assert [(order.amount_credits, order.expires_at) for order in orders] == [
        (2000, add_months(NOW, 1))
    ]
    assert order_due_credits(subscription, CATALOGUE, NOW + timedelta(days=27))[1] == []


def test_credits_last_until_the_next_ones_over_short_months() -> None:
    subscription, ends = active(), []  # From 31 January.
    for _ in range(4):
        subscription, [order] = order_due_credits(subscription, CATALOGUE, subscription.term.start)
        assert order.expires_at == subscription.term.end
        ends.append(order.expires_at.day)
        subscription = begin_term(subscription, next_term(subscription, CREATOR, NOW))
    assert ends == [28, 31, 30, 31]


def test_a_yearly_term_gives_credits_month_by_month() -> None:
    subscription, keys = active(CREATOR_YEARLY), []
    for month in range(13):
        subscription, orders = order_due_credits(subscription, CATALOGUE, add_months(NOW, month))
        keys += [order.key for order in orders]
    assert len(keys) == len(set(keys)) == 12


def test_of_months_slept_through_only_what_would_not_have_expired_is_given() -> None:
    late = add_months(NOW, 5) + timedelta(days=1)
    subscription, orders = order_due_credits(active(CREATOR_YEARLY), CATALOGUE, late)
    assert [order.expires_at for order in orders] == [add_months(NOW, 6)]
    assert subscription.credit_months == 6


def test_nothing_unpaid_gives_credits() -> None:
    for subscription in (incomplete(), overdue()):
        assert order_due_credits(subscription, CATALOGUE, NOW)[1] == []


def test_half_a_month_of_a_larger_plan_costs_and_gives_half_of_the_difference() -> None:
    subscription, _ = order_due_credits(active(), CATALOGUE, NOW)
    half = NOW + (subscription.term.end - NOW) / 2
    lines = upgrade_lines(subscription, STUDIO, CATALOGUE, half)
    assert [line.amount_cents for line in lines] == [2400, -600]
    [order] = top_up(subscription, STUDIO, CATALOGUE, half)
    assert order.amount_credits == 4000


@given(st.integers(0, 28 * 86400))
def test_an_upgrade_never_costs_more_than_the_difference_or_less_than_nothing(seconds) -> None:
    subscription, _ = order_due_credits(active(), CATALOGUE, NOW)
    moment = NOW + timedelta(seconds=seconds)
    total = sum(one.amount_cents for one in upgrade_lines(subscription, STUDIO, CATALOGUE, moment))
    assert 0 <= total <= 4800 - 1200
    orders = top_up(subscription, STUDIO, CATALOGUE, moment)
    assert sum(order.amount_credits for order in orders) <= 8000


def test_the_plan_counts_until_the_grace_is_over() -> None:
    end = active().term.end

    def counts(subscription, moment) -> str:
        return plan_at(subscription, CATALOGUE, moment, GRACE).name

    assert counts(None, NOW) == counts(incomplete(), NOW) == "free"
    assert counts(active(), end + GRACE - timedelta(seconds=1)) == "creator"
    assert counts(active(), end + GRACE) == "free"
    # Who canceled is owed no grace.
    assert counts(active(cancel_at_end=True), end) == "free"
    assert counts(active(state=State.ENDED, ended_at=NOW), NOW) == "free"


def test_a_yearly_term_costs_its_price_at_once() -> None:
    [line] = term_lines(CREATOR_YEARLY, CATALOGUE)
    assert (line.description, line.amount_cents) == ("Creator, one year", 12000)

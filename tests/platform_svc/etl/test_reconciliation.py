"""The comparison of the books, without a lake."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from meshkit.testing.clock import START
from platform_svc.etl.reconciliation import (
    NOT_IN_LEDGER,
    NOT_IN_MART,
    TOTALS_DIFFER,
    Books,
    Capture,
    compare,
)

HOUR = timedelta(hours=1)
CHARGES = st.dictionaries(st.integers(0, 30).map("run_{}".format), st.integers(1, 100))


def capture(run_id: str, amount: int, *, hours: float = 0) -> Capture:
    return Capture(run_id, amount, START + hours * HOUR)


def books(
    charges: dict[str, int], captures: list[Capture], mart_credits: int | None = None
) -> Books:
    total = sum(charges.values()) if mart_credits is None else mart_credits
    return Books(charges, total, captures, START - 10 * HOUR, START + HOUR)


@given(CHARGES)
def test_equal_books_agree(charges) -> None:
    comparison = compare(books(charges, [capture(*one) for one in charges.items()]))
    assert comparison.offenders == {}
    assert comparison.mart_credits == comparison.ledger_credits


@given(CHARGES, CHARGES)
def test_books_that_differ_are_told_run_by_run(charges, ledger) -> None:
    comparison = compare(books(charges, [capture(*one) for one in ledger.items()]))
    offenders = {run for ids in comparison.offenders.values() for run in ids if run[:4] == "run_"}
    assert offenders == {run for run in charges | ledger if charges.get(run) != ledger.get(run)}


def test_what_is_on_its_way_is_no_offender() -> None:
    comparison = compare(books({"run_1": 5}, [capture("run_1", 5), capture("run_2", 7, hours=2)]))
    assert comparison.offenders == {}
    assert (comparison.ledger_credits, comparison.pending_credits) == (12, 7)


def test_what_came_before_the_lake_is_no_offender() -> None:
    early = [capture("run_1", 5, hours=-12), capture("run_0", 9, hours=-11)]
    comparison = compare(books({"run_1": 5}, early))
    assert comparison.offenders == {}
    assert comparison.ledger_credits == 5


def test_other_captures_are_not_of_runs() -> None:
    comparison = compare(books({}, [capture("sub_1", 5)]))
    assert (comparison.offenders, comparison.ledger_credits) == ({}, 0)


def test_each_side_is_missed() -> None:
    comparison = compare(books({"run_1": 5}, [capture("run_2", 5)]))
    assert comparison.offenders == {NOT_IN_MART: ["run_2"], NOT_IN_LEDGER: ["run_1"]}


def test_a_mart_that_is_not_the_sum_of_its_runs_is_told() -> None:
    comparison = compare(books({"run_1": 5}, [capture("run_1", 5)], mart_credits=6))
    assert list(comparison.offenders) == [TOTALS_DIFFER]

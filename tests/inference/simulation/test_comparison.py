"""The comparison: the same input gives the same bytes, and the live policy is worth having."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.simulation.comparison import compare, document_text
from inference.simulation.fleet import steady_fleet
from inference.simulation.measures import jain, quantile
from inference.simulation.report import page, rows
from inference.simulation.workload import generate

REGIONS = ("us-east", "eu-west")
SOURCE = "a <generated> workload"


def document(count: int, seed: int) -> dict:
    return compare(generate(count, seed, REGIONS), steady_fleet(8, 2), source=SOURCE)


@pytest.fixture(scope="module")
def sample() -> dict:
    """Give what `reelmesh simulate` shows by default, with fewer jobs."""
    return document(700, seed=1)


def test_the_same_seed_gives_the_same_bytes() -> None:
    first, again, other = document(120, 5), document(120, 5), document(120, 6)
    assert document_text(first) == document_text(again)
    assert page(first) == page(again)
    assert document_text(first) != document_text(other)


def test_the_live_policy_beats_fifo_where_it_promises_to(sample: dict) -> None:
    live, fifo = sample["policies"]["live"], sample["policies"]["fifo"]
    assert live["wait_seconds"]["p50"] < 0.5 * fifo["wait_seconds"]["p50"]
    interactive = [one["wait_seconds_by_band"]["0"]["p95"] for one in (live, fifo)]
    assert interactive[0] < 0.5 * interactive[1]
    assert live["deadline_misses"] < fifo["deadline_misses"]
    assert live["fairness_jain"] > fifo["fairness_jain"] + 0.1
    assert live["model_swaps"] < 0.9 * fifo["model_swaps"]
    assert live["cost"] < fifo["cost"]


def test_the_live_policy_does_not_starve_the_lowest_band(sample: dict) -> None:
    live, strict = sample["policies"]["live"], sample["policies"]["strict_priority"]
    assert live["wait_seconds_by_band"]["2"]["p99"] < strict["wait_seconds_by_band"]["2"]["p99"]


def test_all_policies_do_the_same_work(sample: dict) -> None:
    for figures in sample["policies"].values():
        assert figures["jobs"] == 700
        assert figures["succeeded"] + figures["deadline_misses"] == 700
        assert 0 < figures["utilisation"] <= 1


def test_the_page_stands_alone_and_escapes_what_it_shows(sample: dict) -> None:
    text = page(sample)
    assert "a &lt;generated&gt; workload" in text
    assert "<generated>" not in text
    assert text.count("<svg") == 2
    assert "http" not in text
    assert all(name in text for name in sample["policies"])
    assert len(rows(sample)) == 1 + len(sample["policies"])


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=20))
def test_jain_is_between_one_share_and_one(values: list[float]) -> None:
    assert 1 / len(values) - 1e-9 <= jain(values) <= 1 + 1e-9
    assert jain([3.0] * len(values)) == pytest.approx(1)


def test_quantiles() -> None:
    assert [quantile([1.0, 2.0, 3.0, 4.0], share) for share in (0.5, 0.95, 0.25)] == [2, 4, 1]
    assert quantile([], 0.5) == 0

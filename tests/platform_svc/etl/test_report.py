"""The page of plots."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from meshkit.testing.clock import START
from platform_svc.etl.plots import WIDTH, Bar, bars, columns
from platform_svc.etl.reconciliation import NOT_IN_MART
from platform_svc.etl.report import render
from platform_svc.etl.run import Outcome

from .test_marts import MAKERS, STORY, made

EMPTY = {"funnel": [], "unit_economics": [], "creator_earnings": []}


def rows() -> dict[str, object]:
    return {mart.name: made(mart, STORY) for mart in (make() for make in MAKERS)}


def test_the_report_shows_every_mart_and_needs_nothing_else() -> None:
    html = render(rows(), Outcome(), made_at=START)
    assert html.count("<svg") == 3
    assert "usr_b" in html
    assert "t, us-east" in html
    for foreign in ("http:", "https:", "<script", "src=", "href="):
        assert foreign not in html


def test_a_broken_check_is_red_and_names_are_harmless() -> None:
    outcome = Outcome({}, {NOT_IN_MART: ["run_<b>"]})
    html = render(EMPTY, outcome, made_at=START)
    assert '<span class="bad">broken: run_&lt;b&gt;</span>' in html
    assert html.count("holds") == 4
    assert html.count("Nothing yet") == 4


def test_bars_are_as_long_as_their_values() -> None:
    root = ET.fromstring(
        bars([Bar("a & b", 10, "ten"), Bar("c" * 50, 5, "five"), Bar("d", 0, "0")])
    )
    lengths = [float(bar.get("width", "")) for bar in root.iter("rect")]
    assert lengths[0] == 2 * lengths[1] > lengths[2] == 0
    assert max(lengths) < WIDTH


def test_columns_stand_on_one_line() -> None:
    root = ET.fromstring(columns(["1", "2"], {"x": [1, 2], "y": [0, 1.5]}))
    feet = {float(one.get("y", "")) + float(one.get("height", "")) for one in root.iter("rect")} - {
        14.0
    }
    assert len(feet) == 1
    assert columns([], {"x": []}).startswith("<svg")

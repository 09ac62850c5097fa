"""The price formula is exact, monotonous and free of side effects."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from business_svc.tools.catalog import load_catalog
from business_svc.tools.pricing import PriceFormula, Term, run_credits, unit_credits

PER_STEP = PriceFormula("", (Term(1_000_000), Term(40_000, ("steps",))))
IMAGE = load_catalog().find("image-to-image")
STEPS = st.integers(4, 50)


@pytest.mark.parametrize(("steps", "price"), [(4, 2), (25, 2), (26, 3), (50, 3)])
def test_a_picture_costs_a_credit_and_a_part_of_one_per_step(steps: int, price: int) -> None:
    assert unit_credits(PER_STEP, {"steps": steps}) == price


def test_a_tenth_is_a_tenth() -> None:
    formula = PriceFormula("", (Term(10_000_000, ("strength",)),))
    # 10 x 0.1 in doubles is 1 exactly, 10 x 0.7 is not 7 and must not cost 8.
    assert unit_credits(formula, {"strength": 0.1}) == 1
    assert unit_credits(formula, {"strength": 0.7}) == 7


def test_nothing_is_free() -> None:
    assert unit_credits(PriceFormula("", ()), {}) == 1


@settings(deadline=None)  # A busy machine is no failure.
@given(steps=STEPS, count=st.integers(1, 8))
def test_a_run_costs_its_pictures(steps: int, count: int) -> None:
    inputs = {"steps": steps}
    assert run_credits(PER_STEP, inputs, count=count) == count * unit_credits(PER_STEP, inputs)


@settings(deadline=None)  # A busy machine is no failure.
@given(fewer=STEPS, more=STEPS)
def test_more_steps_never_cost_less(fewer: int, more: int) -> None:
    fewer, more = sorted((fewer, more))
    assert unit_credits(PER_STEP, {"steps": fewer}) <= unit_credits(PER_STEP, {"steps": more})


@settings(deadline=None)  # A busy machine is no failure.
@given(steps=STEPS, strength=st.floats(0.1, 1, allow_nan=False))
def test_taking_part_of_the_steps_never_costs_more_than_all(steps: int, strength: float) -> None:
    part = unit_credits(IMAGE.price, {"steps": steps, "strength": strength})
    assert part <= unit_credits(IMAGE.price, {"steps": steps, "strength": 1})


@pytest.mark.parametrize("name", ["text-to-image", "image-to-image"])
def test_the_words_name_the_price_of_the_defaults(name: str) -> None:
    tool = load_catalog().find(name)
    assert f"{unit_credits(tool.price, tool.defaults)} credits with 20 steps" in tool.price.words

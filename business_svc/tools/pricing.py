"""What a run costs: a formula kept as data, evaluated exactly and without side effects."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

MICRO_CREDITS_PER_CREDIT = 1_000_000
# The ledger's limit for one hold.
PRICE_CREDITS_MAX = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Term:
    """One part of a price: micro-credits, times the values of the named inputs."""

    micro_credits: int
    times: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PriceFormula:
    """The price of one picture, in words for people and as a sum of terms."""

    words: str
    terms: tuple[Term, ...]


def unit_credits(formula: PriceFormula, inputs: Mapping[str, object]) -> int:
    """Return the price of one picture in whole credits, rounded up and at least 1.

    Numbers are taken by their shortest decimal form, so that 0.1 costs a tenth exactly.
    """
    micro = sum((_value(term, inputs) for term in formula.terms), Fraction(0))
    credits_exact = micro / MICRO_CREDITS_PER_CREDIT
    price = max(1, math.ceil(credits_exact))
    assert price <= PRICE_CREDITS_MAX, price
    return price


def run_credits(formula: PriceFormula, inputs: Mapping[str, object], *, count: int) -> int:
    """Return the most that a run of `count` pictures can cost, in credits."""
    assert count >= 1, count
    return unit_credits(formula, inputs) * count


def _value(term: Term, inputs: Mapping[str, object]) -> Fraction:
    value = Fraction(term.micro_credits)
    for name in term.times:
        factor = inputs[name]
        assert isinstance(factor, int | float), name
        value *= Fraction(str(factor))
    return value

"""Row filters of scans and deletions."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from typing import Any, Final

import pyiceberg.expressions
from pyiceberg.expressions import BooleanExpression

# Its classes say that they take keywords, which is not how they are made.
_make: Final[Any] = pyiceberg.expressions


def among(column: str, values: Collection[str]) -> BooleanExpression:
    """Give the rows with one of the values."""
    found: BooleanExpression = _make.In(column, set(values))
    return found


def equal(column: str, value: str) -> BooleanExpression:
    """Give the rows with the value."""
    found: BooleanExpression = _make.EqualTo(column, value)
    return found


def between(column: str, above: int, upto: int) -> BooleanExpression:
    """Give the rows with a number above the first and up to the second."""
    found: BooleanExpression = _make.And(
        _make.GreaterThan(column, above), _make.LessThanOrEqual(column, upto)
    )
    return found


def before(column: str, day: date) -> BooleanExpression:
    """Give the rows of earlier days."""
    found: BooleanExpression = _make.LessThan(column, day.isoformat())
    return found


def since(column: str, day: date) -> BooleanExpression:
    """Give the rows of the day and later ones."""
    found: BooleanExpression = _make.GreaterThanOrEqual(column, day.isoformat())
    return found

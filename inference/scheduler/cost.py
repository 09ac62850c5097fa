"""Predicts how long a job keeps a device busy, before anybody has run it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

STEPS_DEFAULT: Final = 30
STEPS_MAX: Final = 1000
SIDE_DEFAULT: Final = 512
SIDE_MAX: Final = 8192
# Of a picture of 512 by 512. Only ratios matter: tenants are compared with each other.
SECONDS_PER_STEP: Final = 0.1


def cost_seconds(inputs: Mapping[str, Any], count: int) -> float:
    """Give the predicted device time of a job, by its pictures, their steps and their pixels.

    What the inputs do not say, or say in a way that the pipeline will refuse, counts as usual.
    """
    steps = _number(inputs.get("steps"), STEPS_DEFAULT, STEPS_MAX)
    width = _number(inputs.get("width"), SIDE_DEFAULT, SIDE_MAX)
    height = _number(inputs.get("height"), SIDE_DEFAULT, SIDE_MAX)
    return count * steps * SECONDS_PER_STEP * (width * height) / SIDE_DEFAULT**2


def _number(value: Any, default: int, maximum: int) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value <= maximum:
        return float(default)
    return float(value)

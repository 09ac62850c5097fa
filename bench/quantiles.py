"""Order statistics of measured samples."""

from __future__ import annotations

import math
from collections.abc import Sequence


def quantile(samples: Sequence[float], share: float) -> float:
    """Give the smallest sample that at least `share` (0 to 1) of the samples do not exceed."""
    assert samples
    assert 0 < share <= 1
    ordered = sorted(samples)
    return ordered[math.ceil(share * len(ordered)) - 1]

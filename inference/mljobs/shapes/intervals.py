"""Confidence intervals of shares."""

from __future__ import annotations

from math import sqrt

Z_95 = 1.959964


def wilson_interval(right: int, total: int) -> tuple[float, float]:
    """The 95 % interval of a share by Wilson's score method (1927), good near 0 and 1 too."""
    if total == 0:
        return 0.0, 1.0
    share = right / total
    scale = 1 + Z_95**2 / total
    centre = (share + Z_95**2 / (2 * total)) / scale
    half = Z_95 * sqrt(share * (1 - share) / total + Z_95**2 / (4 * total**2)) / scale
    return max(0.0, centre - half), min(1.0, centre + half)

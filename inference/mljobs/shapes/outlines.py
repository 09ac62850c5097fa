"""Outlines of the shapes, in units of the half extent, y downwards."""

from __future__ import annotations

import math

Point = tuple[float, float]

RING_RADIUS = 0.72
RING_HALF_WIDTH = 0.26
_HEART_POINTS = 40


def _star() -> list[Point]:
    angles = [math.pi * index / 5 for index in range(10)]
    radii = [1.0 if index % 2 == 0 else 0.45 for index in range(10)]
    return [
        (radius * math.sin(angle), 0.05 - radius * math.cos(angle))
        for angle, radius in zip(angles, radii, strict=True)
    ]


def _heart() -> list[Point]:
    points = []
    for index in range(_HEART_POINTS):
        turn = 2 * math.pi * index / _HEART_POINTS
        height = 13 * math.cos(turn) - 5 * math.cos(2 * turn)
        height -= 2 * math.cos(3 * turn) + math.cos(4 * turn)
        points.append((math.sin(turn) ** 3, -(height + 2.5) / 16))
    return points


_ARM, _SPAN, _SIDE = 0.33, 0.95, 0.86
POLYGONS: dict[str, list[Point]] = {
    "square": [(-_SIDE, -_SIDE), (_SIDE, -_SIDE), (_SIDE, _SIDE), (-_SIDE, _SIDE)],
    "triangle": [(0.0, -0.95), (1.0, 0.8), (-1.0, 0.8)],
    "diamond": [(0.0, -1.0), (0.78, 0.0), (0.0, 1.0), (-0.78, 0.0)],
    "star": _star(),
    "heart": _heart(),
    "cross": [
        (-_ARM, -_SPAN), (_ARM, -_SPAN), (_ARM, -_ARM), (_SPAN, -_ARM), (_SPAN, _ARM), (_ARM, _ARM),
        (_ARM, _SPAN), (-_ARM, _SPAN), (-_ARM, _ARM), (-_SPAN, _ARM), (-_SPAN, -_ARM),
        (-_ARM, -_ARM),
    ],
}  # fmt: skip
"""Corners of every shape but the circle (radius 1) and the ring."""

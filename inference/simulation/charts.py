"""Line charts as plain SVG, so that a report needs nothing but a browser."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

WIDTH: Final = 720
HEIGHT: Final = 300
LEFT: Final = 60
BOTTOM: Final = 40
TOP: Final = 10
RIGHT: Final = 150
TICKS: Final = 5
COLOURS: Final = ("#0b6e4f", "#c8553d", "#2d6cdf", "#8a5fbf", "#7a7a7a")

Line = Sequence[Sequence[float]]


@dataclass(frozen=True, slots=True)
class Axes:
    """The titles of a chart and of its axes; the horizontal axis may be logarithmic."""

    title: str
    across: str
    up: str
    is_logarithmic: bool = False


def line_chart(axes: Axes, lines: Mapping[str, Line]) -> str:
    """Give a chart with one line for each name."""
    points = [point for line in lines.values() for point in line]
    across_max = max((point[0] for point in points), default=1.0) or 1.0
    up_max = max((point[1] for point in points), default=1.0) or 1.0
    scale = _Scale(across_max, up_max, axes.is_logarithmic)
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(axes.title)}">',
        *_grid(axes, scale),
    ]
    for number, (name, line) in enumerate(lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        path = " ".join(f"{scale.x(x):.1f},{scale.y(y):.1f}" for x, y in line)
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
            f'<text x="{WIDTH - RIGHT + 10}" y="{TOP + 16 + 18 * number}" fill="{colour}">'
            f"{html.escape(name)}</text>"
        )
    return "".join([*parts, "</svg>"])


@dataclass(frozen=True, slots=True)
class _Scale:
    across_max: float
    up_max: float
    is_logarithmic: bool

    def x(self, value: float) -> float:
        share = value / self.across_max
        if self.is_logarithmic:
            share = math.log1p(value) / math.log1p(self.across_max)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        return HEIGHT - BOTTOM - value / self.up_max * (HEIGHT - BOTTOM - TOP)

    def tick(self, number: int) -> float:
        share = number / TICKS
        if self.is_logarithmic:
            return math.expm1(share * math.log1p(self.across_max))
        return share * self.across_max


def _grid(axes: Axes, scale: _Scale) -> list[str]:
    parts = []
    base, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    for number in range(TICKS + 1):
        across, up = scale.tick(number), number / TICKS * scale.up_max
        x, y = scale.x(across), scale.y(up)
        parts += [
            f'<line x1="{LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}" stroke="#ddd"/>',
            f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{up:.3g}</text>',
            f'<text x="{x:.1f}" y="{base + 16}" text-anchor="middle">{across:.3g}</text>',
        ]
    middle = (LEFT + right) / 2
    return [
        *parts,
        _caption(middle, HEIGHT - 6, axes.across),
        _caption(12, base / 2, axes.up, turn=f' transform="rotate(-90 12 {base / 2:.1f})"'),
    ]


def _caption(x: float, y: float, words: str, turn: str = "") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="middle"{turn}'
    return f"<text {place}>{html.escape(words)}</text>"

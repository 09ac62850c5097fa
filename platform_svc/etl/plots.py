"""Draws plots as SVG, which a page can hold without any script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

WIDTH: Final = 720
BAR_HEIGHT: Final = 22
GAP: Final = 8
LABEL_WIDTH: Final = 190
VALUE_WIDTH: Final = 120
PLOT_HEIGHT: Final = 200
AXIS_HEIGHT: Final = 24
COLOURS: Final = ("#3b6fd4", "#d4793b", "#4a9d6b")
LABEL_CHARACTERS_MAX: Final = 28


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: its length is `value`, and `text` stands beside it."""

    label: str
    value: float
    text: str


def bars(given: Sequence[Bar]) -> str:
    """Draw horizontal bars, the longest over the whole width."""
    longest = max((bar.value for bar in given), default=0) or 1
    room = WIDTH - LABEL_WIDTH - VALUE_WIDTH
    parts = []
    for number, bar in enumerate(given):
        top = number * (BAR_HEIGHT + GAP)
        length = max(bar.value, 0) / longest * room
        middle = top + BAR_HEIGHT * 0.7
        label = _short(bar.label)
        parts.append(
            f'<text x="{LABEL_WIDTH - 8}" y="{middle:.1f}" text-anchor="end">{escape(label)}</text>'
            f'<rect x="{LABEL_WIDTH}" y="{top}" width="{length:.1f}" height="{BAR_HEIGHT}"'
            f' fill="{COLOURS[0]}"/>'
            f'<text x="{LABEL_WIDTH + length + 6:.1f}" y="{middle:.1f}">{escape(bar.text)}</text>'
        )
    return _svg(len(given) * (BAR_HEIGHT + GAP), parts)


def columns(labels: Sequence[str], series: Mapping[str, Sequence[float]]) -> str:
    """Draw groups of columns, one a label, with one column for each series."""
    highest = max((value for values in series.values() for value in values), default=0) or 1
    slot = WIDTH / max(len(labels), 1)
    width = min(slot * 0.8 / max(len(series), 1), 40)
    parts = [_legend(list(series))]
    for place, label in enumerate(labels):
        left = place * slot + (slot - width * len(series)) / 2
        for number, values in enumerate(series.values()):
            height = max(values[place], 0) / highest * PLOT_HEIGHT
            top = AXIS_HEIGHT + PLOT_HEIGHT - height
            parts.append(
                f'<rect x="{left + number * width:.1f}" y="{top:.1f}"'
                f' width="{width:.1f}" height="{height:.1f}" fill="{COLOURS[number]}"/>'
            )
        parts.append(
            f'<text x="{(place + 0.5) * slot:.1f}" y="{2 * AXIS_HEIGHT + PLOT_HEIGHT - 6}"'
            f' text-anchor="middle">{escape(label)}</text>'
        )
    return _svg(PLOT_HEIGHT + 2 * AXIS_HEIGHT, parts)


def _legend(names: Sequence[str]) -> str:
    return "".join(
        f'<rect x="{number * 140}" y="2" width="12" height="12" fill="{COLOURS[number]}"/>'
        f'<text x="{number * 140 + 18}" y="13">{escape(name)}</text>'
        for number, name in enumerate(names)
    )


def _svg(height: int, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {max(height, 1)}" width="{WIDTH}" role="img">'
        f"{''.join(parts)}</svg>"
    )


def _short(text: str) -> str:
    if len(text) <= LABEL_CHARACTERS_MAX:
        return text
    return f"{text[: LABEL_CHARACTERS_MAX - 1]}…"

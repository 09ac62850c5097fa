"""Coverage masks of ideal shapes and groups of touching pixels, in numpy and Pillow only."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from inference.mljobs.shapes.outlines import POLYGONS, RING_HALF_WIDTH, RING_RADIUS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Mask = NDArray[np.float64]
    Marks = NDArray[np.bool_]

_FINE = 8
_UNIT_PX = 200


def ideal_mask(shape: str, x: float, y: float, radius: float, side_px: int) -> Mask:
    """How much of each pixel a shape covers, 0 to 1, by drawing it eight times finer."""
    picture = Image.new("L", (side_px * _FINE, side_px * _FINE))
    pen = ImageDraw.Draw(picture)
    if shape in POLYGONS:
        corners = [(x + px * radius, y + py * radius) for px, py in POLYGONS[shape]]
        pen.polygon([(px * _FINE - 0.5, py * _FINE - 0.5) for px, py in corners], fill=255)
    else:
        rings: tuple[tuple[float, int], ...] = ((1.0, 255),)
        if shape == "ring":
            rings = ((RING_RADIUS + RING_HALF_WIDTH, 255), (RING_RADIUS - RING_HALF_WIDTH, 0))
        for reach, ink in rings:
            half = reach * radius
            box = [x - half, y - half, x + half, y + half]
            pen.ellipse([it * _FINE - 0.5 for it in box], fill=ink)
    fine = np.asarray(picture, dtype=np.float64) / 255
    cover: Mask = fine.reshape(side_px, _FINE, side_px, _FINE).mean(axis=(1, 3))
    return cover


@cache
def unit_moments(shape: str) -> tuple[float, float]:
    """Area and height of the centroid of a shape of half extent 1."""
    half = 1.25 * _UNIT_PX
    mask = ideal_mask(shape, half, half, _UNIT_PX, int(2 * half))
    rows = np.arange(mask.shape[0]) + 0.5
    area = float(mask.sum())
    height = float((mask.sum(axis=1) * rows).sum() / area)
    return area / _UNIT_PX**2, (height - half) / _UNIT_PX


def spread(marks: Marks) -> Marks:
    """The marks grown by one pixel to all eight sides."""
    grown = np.pad(marks, 1)
    rows, columns = marks.shape
    shifted = [grown[i : i + rows, j : j + columns] for i in range(3) for j in range(3)]
    return np.asarray(np.logical_or.reduce(shifted))


def shrink(marks: Marks) -> Marks:
    """The marks less their outermost pixel."""
    return np.asarray(~spread(~marks))


def groups(marks: Marks) -> list[Marks]:
    """Groups of touching pixels (eight neighbours), largest first."""
    left, found = marks.copy(), []
    while left.any():
        seed = np.zeros_like(left)
        seed[np.unravel_index(int(left.argmax()), left.shape)] = True
        while True:
            grown = spread(seed) & left
            if grown.sum() == seed.sum():
                break
            seed = grown
        found.append(seed)
        left &= ~seed
    return sorted(found, key=lambda group: -int(group.sum()))

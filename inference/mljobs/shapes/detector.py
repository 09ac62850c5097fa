"""Reads a picture by classical means: which shapes of which colours lie where, on what ground.

Nothing here is learned. The ground is the commonest palette colour of the border; things are
groups of pixels that differ from it; a thing's shape is the ideal outline that, scaled to the
same area and moved to the same centroid, overlaps it best.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from inference.mljobs.shapes.masks import groups, ideal_mask, shrink, spread, unit_moments
from inference.mljobs.shapes.vocabulary import COLOURS, SHAPES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from inference.mljobs.shapes.masks import Marks, Mask
    from inference.mljobs.shapes.scenes import Scene

    Pixels = NDArray[np.uint8]

UNCLEAR = "unclear"
BORDER_PX = 1
BORDER_SHARE_MIN = 0.7
GROUND_DISTANCE_MAX = 45.0
COLOUR_DISTANCE_MAX = 60.0
SPECK_PX_MAX = 8
OVERLAP_MIN = 0.8

_NAMES = tuple(COLOURS)
_PALETTE = np.array([COLOURS[name] for name in _NAMES], dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Sighting:
    """One thing that was seen; `overlap` is how well the best outline fits, up to 1."""

    colour: str
    shape: str
    x: float
    y: float
    area_px: float
    overlap: float


@dataclass(frozen=True, slots=True)
class Reading:
    """All that was seen in a picture, the largest thing first."""

    background: str
    sightings: tuple[Sighting, ...]


def _nearest_colour(colour: NDArray[np.float64]) -> str:
    distances = np.linalg.norm(_PALETTE - colour, axis=1)
    best = int(distances.argmin())
    return _NAMES[best] if distances[best] <= COLOUR_DISTANCE_MAX else UNCLEAR


def _read_ground(pixels: NDArray[np.float64]) -> tuple[str, NDArray[np.float64]]:
    inner = np.zeros(pixels.shape[:2], dtype=bool)
    inner[BORDER_PX:-BORDER_PX, BORDER_PX:-BORDER_PX] = True
    border = pixels[~inner]
    ground = np.median(border, axis=0)
    alike = np.linalg.norm(border - ground, axis=1) <= GROUND_DISTANCE_MAX
    name = _nearest_colour(ground) if alike.mean() >= BORDER_SHARE_MIN else UNCLEAR
    return name, ground


def _window(cover: Mask) -> Mask:
    """The covered part with room around it, as a square: outlines are drawn faster in it."""
    rows, columns = np.nonzero(cover)
    top, left = int(rows.min()), int(columns.min())
    side = max(int(rows.max()) - top, int(columns.max()) - left) + 1
    part = cover[top : top + side, left : left + side]
    square = np.zeros((side, side))
    square[: part.shape[0], : part.shape[1]] = part
    return np.pad(square, 2 + side // 4)


def _best_shape(cover: Mask) -> tuple[str, float]:
    area = float(cover.sum())
    rows, columns = np.indices(cover.shape) + 0.5
    x, y = float((cover * columns).sum() / area), float((cover * rows).sum() / area)
    scores: dict[str, float] = {}
    for shape in SHAPES:
        unit_area, unit_height = unit_moments(shape)
        radius = (area / unit_area) ** 0.5
        ideal = ideal_mask(shape, x, y - unit_height * radius, radius, cover.shape[0])
        scores[shape] = float(np.minimum(ideal, cover).sum() / np.maximum(ideal, cover).sum())
    best = max(scores, key=lambda shape: scores[shape])
    return (best if scores[best] >= OVERLAP_MIN else UNCLEAR), scores[best]


def _see(pixels: NDArray[np.float64], ground: NDArray[np.float64], group: Marks) -> Sighting:
    core = shrink(group)
    ink = np.median(pixels[core if core.any() else group], axis=0)
    line = ink - ground
    cover = np.clip((pixels - ground) @ line / max(1.0, float(line @ line)), 0, 1)
    cover = np.where(spread(group), cover, 0.0)
    shape, overlap = _best_shape(_window(cover))
    rows, columns = np.nonzero(group)
    x, y = float(columns.mean() + 0.5), float(rows.mean() + 0.5)
    return Sighting(_nearest_colour(ink), shape, x, y, float(cover.sum()), overlap)


def read_picture(picture: Pixels) -> Reading:
    """What a picture of shape (height, width, 3) shows."""
    pixels = picture.astype(np.float64)
    name, ground = _read_ground(pixels)
    marks = np.linalg.norm(pixels - ground, axis=2) > GROUND_DISTANCE_MAX
    found = [group for group in groups(marks) if int(group.sum()) > SPECK_PX_MAX]
    return Reading(name, tuple(_see(pixels, ground, group) for group in found))


@dataclass(frozen=True, slots=True)
class Verdict:
    """Which parts of a prompt a picture got right."""

    background: bool
    things: bool
    relation: bool

    @property
    def right(self) -> bool:
        """Whether everything is."""
        return self.background and self.things and self.relation


def _relation(first: Sighting, second: Sighting) -> str:
    across, down = second.x - first.x, second.y - first.y
    if abs(across) > abs(down):
        return "left" if across > 0 else "right"
    return "above" if down > 0 else "below"


def judge(scene: Scene, reading: Reading) -> Verdict:
    """Compare what was asked with what was seen; no more and no fewer things may be there."""
    background = reading.background == scene.background
    asked = [(thing.colour, thing.shape) for thing in scene.things]
    seen = [(it.colour, it.shape) for it in reading.sightings]
    things = sorted(asked) == sorted(seen)
    if scene.relation is None or not things:
        return Verdict(background, things, things and scene.relation is None)
    order = list(reading.sightings) if seen == asked else list(reading.sightings[::-1])
    relations = {_relation(*order)}
    if asked[0] == asked[1]:
        relations.add(_relation(*order[::-1]))
    return Verdict(background, things, scene.relation in relations)

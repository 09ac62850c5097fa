"""What a picture holds: things, their relation and the background, drawn at random by seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from inference.mljobs.shapes.vocabulary import COLOURS, OPPOSITES, RELATIONS, SHAPES, SIZES

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

PICTURE_SIZE_PX = 64
MARGIN_PX = 2.0
GAP_PX = 3.0
GAP_MAX_PX = 9.0
WANDER_PX = 5.0
"""How far things stray from the middle of the picture, where people expect them; a narrow range
is also learned from far fewer pictures."""
TWO_THINGS_SHARE = 0.62
DEFAULT_BACKGROUND_SHARE = 0.15

_RADIUS_ALONE_PX = {"small": (8.5, 10.5), "medium": (13.0, 16.0), "large": (20.0, 24.0)}
_RADIUS_OF_TWO_PX = {"small": (8.5, 9.5), "medium": (10.5, 11.5), "large": (12.5, 13.5)}


@dataclass(frozen=True, slots=True)
class Thing:
    """One coloured shape; `size` is a word of `SIZES`."""

    colour: str
    shape: str
    size: str


@dataclass(frozen=True, slots=True)
class Scene:
    """One thing, or two whose `relation` says where the first is, seen from the second."""

    things: tuple[Thing, ...]
    background: str
    relation: str | None = None

    def mirrored(self) -> Scene:
        """The same picture, told from the other thing."""
        if self.relation is None:
            return self
        return Scene(self.things[::-1], self.background, OPPOSITES[self.relation])


@dataclass(frozen=True, slots=True)
class Placement:
    """Where one thing lies: centre and half extent in pixels from the top left corner."""

    x: float
    y: float
    radius: float


def default_background(colours: Sequence[str]) -> str:
    """The background that an unsaid one means: white, or black where a thing is white."""
    return "black" if "white" in colours else "white"


def _pick(rng: np.random.Generator, words: Sequence[str]) -> str:
    return words[int(rng.integers(len(words)))]


def draw_scene(rng: np.random.Generator, *, count: int | None = None) -> Scene:
    """A random scene of `count` things (one or two at random when None)."""
    if count is None:
        count = 2 if rng.random() < TWO_THINGS_SHARE else 1
    colours = list(COLOURS)
    things = tuple(
        Thing(_pick(rng, colours), _pick(rng, SHAPES), _pick(rng, SIZES)) for _ in range(count)
    )
    used = [thing.colour for thing in things]
    background = default_background(used)
    if rng.random() >= DEFAULT_BACKGROUND_SHARE or background in used:
        background = _pick(rng, [name for name in colours if name not in used])
    return Scene(things, background, _pick(rng, RELATIONS) if count > 1 else None)


def _uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(rng.uniform(low, max(low, high)))


def _near_middle(rng: np.random.Generator, radius: float) -> float:
    """A centre that wanders from the middle as far as `WANDER_PX` and the margin allow."""
    middle = PICTURE_SIZE_PX / 2
    wander = min(WANDER_PX, middle - MARGIN_PX - radius)
    return _uniform(rng, middle - wander, middle + wander)


def place(scene: Scene, rng: np.random.Generator) -> tuple[Placement, ...]:
    """Random positions around the middle that keep the relation, a gap and a margin around."""
    if len(scene.things) == 1:
        radius = _uniform(rng, *_RADIUS_ALONE_PX[scene.things[0].size])
        return (Placement(_near_middle(rng, radius), _near_middle(rng, radius), radius),)
    radii = [_uniform(rng, *_RADIUS_OF_TWO_PX[thing.size]) for thing in scene.things]
    first_leads = scene.relation in {"above", "left"}
    lead, follow = radii if first_leads else radii[::-1]
    room = PICTURE_SIZE_PX - 2 * MARGIN_PX - 2 * (lead + follow)
    gap = _uniform(rng, GAP_PX, min(room, GAP_MAX_PX))
    start = (room - gap) / 2
    wander = min(WANDER_PX, start)
    along_lead = MARGIN_PX + lead + _uniform(rng, start - wander, start + wander)
    distance = lead + follow + gap
    ends = [
        (along_lead, _near_middle(rng, lead), lead),
        (along_lead + distance, _near_middle(rng, follow), follow),
    ]
    if not first_leads:
        ends.reverse()
    if scene.relation in {"above", "below"}:
        return tuple(Placement(across, along, radius) for along, across, radius in ends)
    return tuple(Placement(along, across, radius) for along, across, radius in ends)

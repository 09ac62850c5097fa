"""Which combinations of attributes the model never sees while it is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zlib import crc32

from inference.mljobs.shapes.scenes import draw_scene

if TYPE_CHECKING:
    import numpy as np

    from inference.mljobs.shapes.scenes import Scene

HELD_OUT_ONE_IN = 10


def _chosen(*words: str) -> bool:
    return crc32("|".join(words).encode()) % HELD_OUT_ONE_IN == 0


def _holds_unseen_thing(scene: Scene) -> bool:
    return any(_chosen(thing.colour, thing.shape, scene.background) for thing in scene.things)


def _is_unseen_pair(scene: Scene) -> bool:
    told = scene if scene.relation in {"above", "left"} else scene.mirrored()
    words = [word for thing in told.things for word in (thing.colour, thing.shape)]
    return scene.relation is not None and _chosen(*words, told.relation or "")


def is_held_out(scene: Scene) -> bool:
    """Whether the scene is for measuring only.

    Held out are one in ten triples of colour, shape and background, in whatever picture they
    appear, and one in ten pairs of things (colours, shapes, relation), told from either side.
    """
    return _holds_unseen_thing(scene) or _is_unseen_pair(scene)


def draw_training_scene(rng: np.random.Generator, *, count: int | None = None) -> Scene:
    """A random scene that training may show."""
    while True:
        scene = draw_scene(rng, count=count)
        if not is_held_out(scene):
            return scene


def draw_held_out_scene(rng: np.random.Generator, *, count: int) -> Scene:
    """A random scene whose combination training never shows (for two things: the pair itself)."""
    while True:
        scene = draw_scene(rng, count=count)
        if _is_unseen_pair(scene) if count > 1 else _holds_unseen_thing(scene):
            return scene

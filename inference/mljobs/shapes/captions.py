"""Captions of a scene: the plain one, and many ways in which people would say it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference.mljobs.shapes import vocabulary as words
from inference.mljobs.shapes.scenes import Scene, Thing, default_background

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

PLAIN_SHARE = 0.4
_RELATION_WORDS = {"above": "above", "below": "below", "left": "left of", "right": "right of"}


def _with_article(phrase: str) -> str:
    return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"


def plain_caption(scene: Scene) -> str:
    """The full caption in standard words, such as `a small red circle on a white background`."""
    named = [_with_article(f"{it.size} {it.colour} {it.shape}") for it in scene.things]
    joint = f" {_RELATION_WORDS[scene.relation]} " if scene.relation else ""
    return f"{joint.join(named)} on {_with_article(scene.background)} background"


def _chance(rng: np.random.Generator, share: float) -> bool:
    return bool(rng.random() < share)


def _pick(rng: np.random.Generator, options: Sequence[str]) -> str:
    return options[int(rng.integers(len(options)))]


def _synonym(
    rng: np.random.Generator, table: Mapping[str, tuple[str, ...]], word: str, share: float
) -> str:
    return _pick(rng, table[word]) if word in table and _chance(rng, share) else word


def _gibberish(rng: np.random.Generator) -> str:
    letters = rng.integers(ord("a"), ord("z") + 1, size=int(rng.integers(3, 8)))
    return "".join(chr(letter) for letter in letters)


def _thing_phrase(thing: Thing, rng: np.random.Generator) -> str:
    colour = _synonym(rng, words.COLOUR_SYNONYMS, thing.colour, 0.15)
    shape = _synonym(rng, words.SHAPE_SYNONYMS, thing.shape, 0.2)
    size = _synonym(rng, words.SIZE_SYNONYMS, thing.size, 0.4)
    if _chance(rng, 0.3):
        size = ""
    if _chance(rng, 0.06):
        ending = _pick(rng, (f"that is {colour}", f"in {colour}", f"of {colour} colour"))
        parts = [size, shape, ending]
    elif _chance(rng, 0.08):
        parts = [colour, size, shape]
    else:
        parts = [size, colour, shape]
    if _chance(rng, 0.06):
        parts.insert(0, _gibberish(rng) if _chance(rng, 0.4) else _pick(rng, words.FILLERS))
    phrase = " ".join(part for part in parts if part)
    if _chance(rng, 0.2):
        return phrase
    return f"the {phrase}" if _chance(rng, 0.08) else _with_article(phrase)


def _things_phrase(scene: Scene, rng: np.random.Generator) -> str:
    if scene.relation is None:
        return _thing_phrase(scene.things[0], rng)
    told = scene.mirrored() if _chance(rng, 0.5) else scene
    relation = told.relation or ""
    first, second = (_thing_phrase(thing, rng) for thing in told.things)
    if _chance(rng, 0.05):
        return f"{first} {_pick(rng, words.JOINING_PHRASES)} {second}"
    if relation in {"left", "right"} and _chance(rng, 0.06):
        return f"{first} {_pick(rng, words.BESIDE_PHRASES)} {second}"
    if _chance(rng, 0.09):
        at_first, at_second = words.PLACED_PAIRS[relation]
        return f"{first} {at_first} and {second} {at_second}"
    options = words.RELATION_PHRASES[relation]
    phrase = options[0] if _chance(rng, 0.4) else _pick(rng, options)
    return f"{first} {'is ' if _chance(rng, 0.04) else ''}{phrase} {second}"


def _background_phrase(scene: Scene, rng: np.random.Generator) -> str:
    unsaid = default_background([thing.colour for thing in scene.things])
    if scene.background == unsaid and _chance(rng, 0.4):
        return ""
    colour = _synonym(rng, words.COLOUR_SYNONYMS, scene.background, 0.1)
    options = words.BACKGROUND_PHRASES
    phrase = (options[0] if _chance(rng, 0.4) else _pick(rng, options)).format(colour)
    return phrase if phrase.startswith(",") else f" {phrase}"


def training_caption(scene: Scene, rng: np.random.Generator) -> str:
    """The plain caption or a varied one."""
    return plain_caption(scene) if _chance(rng, PLAIN_SHARE) else varied_caption(scene, rng)


def varied_caption(scene: Scene, rng: np.random.Generator) -> str:
    """A random way of saying the scene.

    Articles, sizes and the background may be missing (see `default_background`), words may be
    synonyms, the second thing may come first, and openings or unknown words may be mixed in.
    """
    caption = _things_phrase(scene, rng)
    background = _background_phrase(scene, rng)
    if background.startswith(",") and _chance(rng, 0.3):
        caption = f"{background[2:]}, {caption}"
    else:
        caption += background
    if _chance(rng, 0.2):
        caption = f"{_pick(rng, words.OPENINGS)} {caption}"
    return caption + ("." if _chance(rng, 0.05) else "")

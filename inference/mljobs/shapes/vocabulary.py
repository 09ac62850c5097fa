"""The words of the `shapes` model and what each of them means."""

from __future__ import annotations

from types import MappingProxyType

COLOURS: MappingProxyType[str, tuple[int, int, int]] = MappingProxyType(
    {
        "red": (220, 30, 40),
        "green": (30, 160, 60),
        "blue": (35, 70, 220),
        "yellow": (250, 215, 30),
        "orange": (250, 130, 20),
        "purple": (130, 40, 170),
        "pink": (250, 130, 190),
        "cyan": (50, 205, 225),
        "brown": (120, 70, 35),
        "black": (15, 15, 15),
        "white": (250, 250, 250),
        "gray": (130, 130, 130),
    }
)
"""Colour name to sRGB; far enough apart that the nearest one is never in doubt."""

SHAPES = ("circle", "square", "triangle", "star", "diamond", "heart", "cross", "ring")
SIZES = ("small", "medium", "large")
RELATIONS = ("above", "below", "left", "right")
OPPOSITES = MappingProxyType({"above": "below", "below": "above", "left": "right", "right": "left"})

COLOUR_SYNONYMS = MappingProxyType(
    {"gray": ("grey",), "purple": ("violet",), "cyan": ("aqua", "turquoise"), "red": ("scarlet",)}
)
SHAPE_SYNONYMS = MappingProxyType(
    {
        "circle": ("disc", "dot", "ball", "disk"),
        "square": ("box",),
        "diamond": ("rhombus",),
        "cross": ("plus",),
        "ring": ("donut", "hoop"),
    }
)
SIZE_SYNONYMS = MappingProxyType(
    {
        "small": ("tiny", "little", "mini"),
        "medium": ("medium-sized", "mid-sized"),
        "large": ("big", "huge", "giant"),
    }
)
RELATION_PHRASES = MappingProxyType(
    {
        "above": ("above", "over", "on top of", "higher than"),
        "below": ("below", "under", "beneath", "underneath"),
        "left": ("left of", "to the left of", "on the left of", "on the left side of"),
        "right": ("right of", "to the right of", "on the right of", "on the right side of"),
    }
)
BESIDE_PHRASES = ("next to", "beside", "by")
JOINING_PHRASES = ("and", "with", "and also")
PLACED_PAIRS = MappingProxyType(
    {
        "above": ("at the top", "at the bottom"),
        "below": ("at the bottom", "at the top"),
        "left": ("on the left", "on the right"),
        "right": ("on the right", "on the left"),
    }
)
BACKGROUND_PHRASES = (
    "on a {} background",
    "on {}",
    "against a {} background",
    "with a {} background",
    "on a {} backdrop",
    "in front of a {} background",
    "on the {} background",
    ", {} background",
    ", {} backdrop",
)
OPENINGS = (
    "a picture of",
    "an image of",
    "a drawing of",
    "a photo of",
    "an illustration of",
    "a painting of",
    "picture of",
    "image of",
    "draw",
    "please draw",
    "show me",
    "paint",
    "make",
    "create",
    "generate",
    "i want",
    "there is",
)
FILLERS = ("nice", "cute", "simple", "beautiful", "bright", "flat", "plain", "solid", "clean")
EXTRA_WORDS = (
    "that", "is", "in", "coloured", "colored", "colour", "color", "shape", "shaped", "the", "an",
    "one", "two", "of", "it", "its", "and", "background", "backdrop", "canvas", "scene", "for",
    "me", "side", "top", "bottom", "center", "centre", "middle", "to", "at", "my", "some", "from",
    "dark", "light", "has", "objects", "shapes", "are", "as", "style", "art", "high", "quality",
)  # fmt: skip


def known_words() -> tuple[str, ...]:
    """Every word and mark that the tokenizer holds as one token, sorted."""
    phrases: list[str] = [*COLOURS, *SHAPES, *SIZES, *FILLERS, *EXTRA_WORDS, *OPENINGS]
    phrases += [*BESIDE_PHRASES, *JOINING_PHRASES, *BACKGROUND_PHRASES]
    for table in (COLOUR_SYNONYMS, SHAPE_SYNONYMS, SIZE_SYNONYMS, RELATION_PHRASES, PLACED_PAIRS):
        phrases += [phrase for group in table.values() for phrase in group]
    words = {word for phrase in phrases for word in phrase.replace("-", " ").split()}
    return tuple(sorted(word for word in words if word.isalpha()))

"""Pictures in a terminal: half blocks in colour, or shades where there is none."""

from __future__ import annotations

import io
from typing import Final

from PIL import Image
from rich.color import Color
from rich.console import Console
from rich.style import Style
from rich.text import Text

SHADES: Final = " ░▒▓█"
COLUMNS_MAX: Final = 96
MARGIN_COLUMNS: Final = 2
# The lower half of a character cell; its upper half shows the background.
LOWER_HALF: Final = "▄"


class NotAPicture(Exception):
    """The bytes are no complete picture of the format that they should be."""


def decode_png(data: bytes) -> Image.Image:
    """Give the picture, with every pixel read.

    Raises:
        NotAPicture: it is no PNG, or not a whole one.
    """
    try:
        picture = Image.open(io.BytesIO(data))
        picture.load()
    except (OSError, SyntaxError, ValueError) as error:
        raise NotAPicture(f"the download is no picture: {error}") from error
    if picture.format != "PNG":
        raise NotAPicture(f"the download is {picture.format}, not PNG")
    return picture


def render(picture: Image.Image, console: Console) -> Text:
    """Give the picture as characters that fit the console; one cell shows two pixels."""
    columns = min(COLUMNS_MAX, picture.width, max(1, console.width - MARGIN_COLUMNS))
    rows = max(1, round(picture.height * columns / picture.width / 2))
    pixels = picture.convert("RGB").resize((columns, rows * 2), Image.Resampling.LANCZOS)
    if console.color_system is None:
        return _shaded(pixels)
    text = Text()
    for row in range(rows):
        for column in range(columns):
            upper = _color(pixels, column, 2 * row)
            lower = _color(pixels, column, 2 * row + 1)
            text.append(LOWER_HALF, Style(color=lower, bgcolor=upper))
        text.append("\n")
    return text


def _shaded(pixels: Image.Image) -> Text:
    gray = pixels.convert("L").resize((pixels.width, pixels.height // 2))
    lines = []
    for row in range(gray.height):
        values = [gray.getpixel((column, row)) for column in range(gray.width)]
        shades = (SHADES[int(value) * (len(SHADES) - 1) // 255] for value in values)  # type: ignore[arg-type]  # "L" has one channel.
        lines.append("".join(shades).rstrip())
    return Text("\n".join(lines) + "\n")


def _color(pixels: Image.Image, column: int, row: int) -> Color:
    value = pixels.getpixel((column, row))
    assert isinstance(value, tuple)
    red, green, blue = (int(channel) for channel in value)
    return Color.from_rgb(red, green, blue)

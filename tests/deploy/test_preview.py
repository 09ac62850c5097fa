from __future__ import annotations

import io

import pytest
from PIL import Image
from rich.console import Console

from deploy.preview import NotAPicture, decode_png, render


def encoded(format_name: str = "PNG") -> bytes:
    picture = Image.new("RGB", (64, 64), "white")
    picture.paste((255, 0, 0), (0, 0, 64, 32))
    buffer = io.BytesIO()
    picture.save(buffer, format_name)
    return buffer.getvalue()


def drawn(console: Console) -> str:
    with console.capture() as capture:
        console.print(render(decode_png(encoded()), console))
    return capture.get()


def test_a_whole_png_is_a_picture() -> None:
    assert decode_png(encoded()).size == (64, 64)


@pytest.mark.parametrize(
    "data",
    [b"", b"<html>", encoded()[:-40], encoded()[:60], encoded("JPEG")],
    ids=["empty", "a page", "cut short", "cut at its head", "a JPEG"],
)
def test_anything_else_is_not(data: bytes) -> None:
    with pytest.raises(NotAPicture):
        decode_png(data)


def test_a_terminal_gets_colours_two_pixels_a_cell() -> None:
    console = Console(width=100, force_terminal=True, color_system="truecolor", file=io.StringIO())

    lines = drawn(console).rstrip("\n").splitlines()

    assert len(lines) == 32
    assert lines[0].count("▄") == 64
    assert "38;2;255;0;0" in lines[0]
    assert "38;2;255;255;255" in lines[-1]


def test_a_file_gets_shades() -> None:
    lines = drawn(Console(width=100, file=io.StringIO())).splitlines()

    assert "\x1b" not in "".join(lines)
    assert lines[0] != lines[31]
    assert len(lines[31]) == 64


def test_a_narrow_terminal_gets_a_small_picture() -> None:
    lines = drawn(Console(width=22, file=io.StringIO())).splitlines()

    assert max(map(len, lines)) == 20

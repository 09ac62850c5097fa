"""Hostile and odd pictures are refused with a reason, cheaply."""

import io
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from inference.pipelines.input_image import BYTES_MAX, PIXELS_MAX, decode_image
from inference.pipelines.protocol import InvalidPictureRequest
from platform_svc.assets.asset import PIXELS_MAX as UPLOAD_PIXELS_MAX
from platform_svc.assets.asset import SIZE_BYTES_MAX

PICTURES = [name for name in SIZE_BYTES_MAX if name.startswith("image/")]


def chunk(name, data):
    body = name + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def png_claiming(width, height):
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\x00" * 1000)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", pixels), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def encoded(image, file_format="PNG", **options):
    out = io.BytesIO()
    image.save(out, file_format, **options)
    return out.getvalue()


@pytest.mark.parametrize("side", [6325, 30_000, 2**31 - 1])
def test_a_picture_of_too_many_pixels_is_refused_by_its_header(side):
    with pytest.raises(InvalidPictureRequest) as refusal:
        decode_image(png_claiming(side, side), 64, 64)
    assert refusal.value.reason in {"IMAGE_TOO_LARGE", "IMAGE_UNREADABLE"}


def test_a_file_of_too_many_bytes_is_refused():
    with pytest.raises(InvalidPictureRequest) as refusal:
        decode_image(b"\x00" * (BYTES_MAX + 1), 64, 64)
    assert refusal.value.reason == "IMAGE_TOO_LARGE"


@pytest.mark.parametrize("file_format", ["GIF", "BMP", "TIFF"])
def test_other_formats_are_refused(file_format):
    with pytest.raises(InvalidPictureRequest) as refusal:
        decode_image(encoded(Image.new("RGB", (8, 8)), file_format), 64, 64)
    assert refusal.value.reason == "IMAGE_UNREADABLE"


@pytest.mark.parametrize("content_type", PICTURES)
def test_whatever_picture_may_be_uploaded_can_be_an_input(content_type):
    name = content_type.removeprefix("image/").upper()
    image = decode_image(encoded(Image.new("RGB", (640, 480), "red"), name), 64, 64)
    red, green, blue = image.getpixel((32, 32))
    assert (red > 240, green < 15, blue < 15) == (True, True, True)
    assert (SIZE_BYTES_MAX[content_type], UPLOAD_PIXELS_MAX) == (BYTES_MAX, PIXELS_MAX)


def test_the_largest_upload_can_be_an_input():
    width, height = 8000, 5000
    assert width * height == UPLOAD_PIXELS_MAX
    assert decode_image(encoded(Image.new("L", (width, height), 255)), 64, 64).size == (64, 64)


@given(st.binary(max_size=200), st.integers(0, 120))
def test_damaged_files_are_refused_or_decoded_but_never_crash(noise, at):
    good = encoded(Image.new("RGB", (16, 16), "red"))
    try:
        image = decode_image(good[:at] + noise + good[at + len(noise) :], 64, 64)
    except InvalidPictureRequest:
        return
    assert image.size == (64, 64)


def test_a_text_chunk_that_unpacks_to_much_is_refused_or_ignored():
    bomb = chunk(b"zTXt", b"a\x00\x00" + zlib.compress(b"\x00" * 80_000_000))
    good = encoded(Image.new("RGB", (16, 16), "red"))
    try:
        image = decode_image(good[:33] + bomb + good[33:], 64, 64)
    except InvalidPictureRequest:
        return
    assert image.getpixel((5, 5)) == (255, 0, 0)


def test_transparent_parts_become_white():
    image = decode_image(encoded(Image.new("RGBA", (8, 8), (0, 0, 0, 0))), 64, 64)
    assert image.getpixel((32, 32)) == (255, 255, 255)


def test_the_orientation_of_a_photo_is_applied():
    photo = Image.new("RGB", (64, 64), "red")
    photo.paste("blue", (0, 0, 64, 32))
    exif = Image.Exif()
    exif[0x0112] = 3
    upright = decode_image(encoded(photo, exif=exif), 64, 64)
    assert upright.getpixel((32, 60)) == (0, 0, 255)

"""Safe decoding of pictures that users send."""

from __future__ import annotations

import io
import warnings

from PIL import Image, ImageOps, UnidentifiedImageError

from inference.pipelines.protocol import InvalidPictureRequest

# As much as an upload may be, so that every ready asset can be an input.
BYTES_MAX = 25 << 20
PIXELS_MAX = 40_000_000
FORMATS = ("PNG", "JPEG", "WEBP")
# What Pillow's decoders raise on damaged or hostile files.
_DECODE_ERRORS = (
    UnidentifiedImageError,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    OverflowError,
)


def decode_image(data: bytes, width: int, height: int) -> Image.Image:
    """The picture as RGB, cut to the proportions asked for and resized.

    Transparent parts become white. The size is read from the header and refused before a pixel
    is decoded, so a small file that unpacks to gigabytes costs nothing.

    Raises:
        InvalidPictureRequest: Not a readable PNG, JPEG or WebP, or too large.
    """
    if len(data) > BYTES_MAX:
        raise InvalidPictureRequest("IMAGE_TOO_LARGE", f"an image has at most {BYTES_MAX} bytes")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                _check_pixels(image)
                image.load()
                picture = _on_white(ImageOps.exif_transpose(image))
    except InvalidPictureRequest:
        raise
    except _DECODE_ERRORS as error:
        raise InvalidPictureRequest(
            "IMAGE_UNREADABLE", "the image is not a readable PNG, JPEG or WebP"
        ) from error
    return ImageOps.fit(picture, (width, height), Image.Resampling.LANCZOS)


def _check_pixels(image: Image.Image) -> None:
    if image.width * image.height > PIXELS_MAX:
        raise InvalidPictureRequest("IMAGE_TOO_LARGE", f"an image has at most {PIXELS_MAX} pixels")


def _on_white(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    ground = Image.new("RGBA", layer.size, "white")
    return Image.alpha_composite(ground, layer).convert("RGB")

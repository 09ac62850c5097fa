"""A short video that the tour uploads."""

from __future__ import annotations

import io
import struct
from typing import Final

import av
from PIL import Image, ImageDraw

WIDTH: Final = 320
HEIGHT: Final = 180
FRAMES: Final = 20
FRAMES_PER_SECOND: Final = 10


def clip(size_bytes: int) -> bytes:
    """Give two seconds of a ball that rolls, as an MP4 of this length.

    What is missing is filled with a box that players skip (ISO/IEC 14496-12, section 8.1.2).
    """
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as media:
        stream = media.add_stream("libx264", rate=FRAMES_PER_SECOND)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(FRAMES):
            frame = av.VideoFrame.from_image(_picture(number))  # type: ignore[no-untyped-call]
            media.mux(stream.encode(frame))
        media.mux(stream.encode())
    video = buffer.getvalue()
    missing = size_bytes - len(video)
    return video + struct.pack(">I", missing) + b"free" + bytes(missing - 8)


def _picture(number: int) -> Image.Image:
    picture = Image.new("RGB", (WIDTH, HEIGHT), "navy")
    left = number * (WIDTH - HEIGHT // 2) // FRAMES
    box = (left, HEIGHT // 4, left + HEIGHT // 2, HEIGHT * 3 // 4)
    ImageDraw.Draw(picture).ellipse(box, fill="orange")
    return picture

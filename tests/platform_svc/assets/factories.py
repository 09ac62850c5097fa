"""Pictures and videos, good and hostile, and requests about them."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib

import av
from PIL import Image
from reelmesh.platform.assets.v1 import assets_service_pb2 as pb


def picture(
    kind: str = "PNG", *, width: int = 8, height: int = 6, color: str = "red", frames: int = 1
) -> bytes:
    """Encode a picture of one color; `frames` over 1 make it move."""
    buffer = io.BytesIO()
    more = [Image.new("RGB", (width, height), (9, 9, n)) for n in range(frames - 1)]
    extra = {"save_all": True, "append_images": more} if more else {}
    Image.new("RGB", (width, height), color).save(buffer, kind, **extra)
    return buffer.getvalue()


def bomb(*, width: int = 100_000, height: int = 100_000) -> bytes:
    """A small PNG that claims very many pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\0" * 10_000)
    chunks = b"".join(map(_chunk, (b"IHDR", b"IDAT", b"IEND"), (header, data, b"")))
    return b"\x89PNG\r\n\x1a\n" + chunks


def video(
    kind: str = "mp4",
    *,
    codec: str = "libx264",
    width: int = 64,
    height: int = 48,
    seconds: int = 3,
    colors: tuple[str, ...] = ("black", "red"),
) -> bytes:
    """Encode a video of two frames a second; the colors share its length."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=kind) as media:
        stream = media.add_stream(codec, rate=2, options={"g": "1"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        frames = 2 * seconds
        for number in range(frames):
            color = colors[number * len(colors) // frames]
            frame = av.VideoFrame.from_image(Image.new("RGB", (width, height), color))
            media.mux(stream.encode(frame))
        media.mux(stream.encode())
    return buffer.getvalue()


def padded(data: bytes, size_bytes: int) -> bytes:
    """Make an MP4 longer by a box that players skip (ISO/IEC 14496-12, section 8.1.2)."""
    missing = size_bytes - len(data)
    return data + struct.pack(">I", missing) + b"free" + bytes(missing - 8)


def create_request(
    data: bytes,
    *,
    content_type: str = "image/png",
    filename: str = "cat.png",
    multipart: bool = False,
) -> pb.CreateAssetRequest:
    return pb.CreateAssetRequest(
        filename=filename,
        content_type=content_type,
        size_bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        multipart=multipart,
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

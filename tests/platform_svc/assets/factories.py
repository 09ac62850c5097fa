"""Pictures, good and hostile, and requests about them."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib

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


def create_request(
    data: bytes, *, content_type: str = "image/png", filename: str = "cat.png"
) -> pb.CreateAssetRequest:
    return pb.CreateAssetRequest(
        filename=filename,
        content_type=content_type,
        size_bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

"""Decodes one untrusted picture or video; run as a process of its own, under limits it sets itself.

Usage: media_probe.py FILE CONTENT_TYPE PIXELS_MAX. Prints `begun` once all that is left is to
decode, then one line of JSON: `{"width", "height", "duration_ms", "previews": [{"kind", "width",
"height", "size_bytes"}]}`, or `{"flaw"}` with one of the names of `asset.Flaw`; then the WebP bytes
of the previews, one after another. The program imports nothing of ours, so that a decoder that is
taken over finds no settings, no credentials and no connections.
"""

from __future__ import annotations

import io
import json
import os
import resource
import sys
import warnings
from collections.abc import Callable
from typing import Any

MEMORY_BYTES_MAX = 1 << 30
CPU_SECONDS_MAX = 15
OPEN_FILES_MAX = 64
DURATION_MS_MAX = 10 * 60 * 1000
BEGINNINGS: dict[str, tuple[str, Callable[[bytes], bool]]] = {
    "image/png": ("PNG", lambda head: head.startswith(b"\x89PNG\r\n\x1a\n")),
    "image/jpeg": ("JPEG", lambda head: head.startswith(b"\xff\xd8\xff")),
    "image/webp": ("WEBP", lambda head: head[:4] == b"RIFF" and head[8:12] == b"WEBP"),
    "video/mp4": ("mp4", lambda head: head[4:8] == b"ftyp"),
    "video/webm": ("webm", lambda head: head.startswith(b"\x1a\x45\xdf\xa3")),
}
CODECS = frozenset({"h264", "hevc", "vp8", "vp9", "av1"})
# Also while the container is only looked at, FFmpeg tries no other decoders than these.
DECODERS = "h264,hevc,vp8,vp9,av1,libdav1d,aac,opus,vorbis,mp3"
# The longest side of a preview in pixels; nothing is made larger than it is.
THUMBNAIL_PIXELS = 256
POSTER_PIXELS = 1280
QUALITY = 80
# Where in a video the poster is taken: the first frame is often black.
POSTER_AT = 0.1
MICROSECONDS_PER_MILLISECOND = 1000
HEAD_BYTES = 16
STDOUT = 1
# Whoever reads it knows that an end without an answer is the file's doing, not the machine's.
BEGUN = b"begun\n"

Said = tuple[dict[str, Any], list[bytes]]


class Refused(Exception):
    """The file has a flaw, one of the names of `asset.Flaw`."""


def main(path: str, content_type: str, pixels_max: int) -> Said:
    """Examine the file and give what is to be printed: a document and the previews' bytes."""
    name, begins_right = BEGINNINGS[content_type]
    with open(path, "rb") as file:  # noqa: PTH123 - nothing more than needed is imported.
        if not begins_right(file.read(HEAD_BYTES)):
            return {"flaw": "not_of_content_type"}, []
    limit_resources()
    warnings.simplefilter("ignore")
    examine = examine_video if content_type.startswith("video/") else examine_picture
    try:
        return examine(path, name, pixels_max)
    except Refused as refused:
        return {"flaw": str(refused)}, []
    except MemoryError:
        return {"flaw": "too_costly"}, []
    except (OSError, SyntaxError, ValueError, EOFError, KeyError):
        # What the decoders raise for damaged files; anything else ends the process.
        return {"flaw": "not_decodable"}, []


def examine_picture(path: str, name: str, pixels_max: int) -> Said:
    """Decode a picture in full."""
    from PIL import Image  # noqa: PLC0415 - only under the limits.

    Image.MAX_IMAGE_PIXELS = None  # The bound below is stricter and comes before decoding.
    os.write(STDOUT, BEGUN)
    with Image.open(path, formats=[name]) as picture:
        width, height = picture.size
        if width * height > pixels_max:
            raise Refused("too_many_pixels")
        if getattr(picture, "n_frames", 1) != 1:
            raise Refused("has_many_frames")
        picture.load()
        shown = turned(shrunk(picture, THUMBNAIL_PIXELS))
    return described({"width": width, "height": height}, {"thumbnail": shown})


def examine_video(path: str, name: str, pixels_max: int) -> Said:
    """Read what a video says of itself and decode one frame."""
    import av  # noqa: PLC0415 - only under the limits.

    os.write(STDOUT, BEGUN)
    # An open file, not its name: so FFmpeg opens no other files and no addresses.
    with (
        open(path, "rb") as file,  # noqa: PTH123 - as above.
        av.open(file, "r", format=name, options={"codec_whitelist": DECODERS}) as media,
    ):
        if not media.streams.video:
            raise Refused("unsupported_codec")
        stream = media.streams.video[0]
        if stream.codec.canonical_name not in CODECS:
            raise Refused("unsupported_codec")
        duration_ms = media.duration and media.duration // MICROSECONDS_PER_MILLISECOND
        if duration_ms is not None and duration_ms > DURATION_MS_MAX:
            raise Refused("too_long")
        if stream.width * stream.height > pixels_max:
            raise Refused("too_many_pixels")
        stream.codec_context.thread_count = 1
        frame = poster_frame(media, stream)
        # It may say otherwise than the container.
        if frame is None or frame.width * frame.height > pixels_max:
            raise Refused("not_decodable")
        picture = frame.to_image()
        if frame.rotation:
            picture = picture.rotate(frame.rotation, expand=True)
    found = {"width": picture.width, "height": picture.height, "duration_ms": duration_ms}
    poster = shrunk(picture, POSTER_PIXELS)
    return described(found, {"poster": poster, "thumbnail": shrunk(poster, THUMBNAIL_PIXELS)})


def poster_frame(media: Any, stream: Any) -> Any:
    """Give a frame near a tenth of the video, or the first one where that cannot be found."""
    if media.duration:
        try:
            media.seek(int(media.duration * POSTER_AT))
            frame = next(media.decode(stream), None)
        except ValueError:
            frame = None
        if frame is not None:
            return frame
        media.seek(0)
    return next(media.decode(stream), None)


def shrunk(picture: Any, side_max: int) -> Any:
    """Give a copy in plain colors whose sides are this long at most."""
    if picture.mode.startswith("I;16"):
        picture = picture.point(lambda value: value / 256).convert("L")
    small = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    small.thumbnail((side_max, side_max), reducing_gap=2.0)
    return small


def turned(picture: Any) -> Any:
    """Give a picture as a camera says that it was held; what it says may be nonsense."""
    from PIL import ImageOps  # noqa: PLC0415 - as above.

    try:
        return ImageOps.exif_transpose(picture)
    except Exception:  # noqa: BLE001 - then it stays as it is.
        return picture


def described(found: dict[str, Any], pictures: dict[str, Any]) -> Said:
    """Give what is to be printed of a file and its previews, which keep nothing but pixels."""
    files: list[bytes] = []
    previews: list[dict[str, Any]] = []
    for kind, picture in pictures.items():
        buffer = io.BytesIO()
        picture.save(buffer, "WEBP", quality=QUALITY, exif=b"", icc_profile=b"", xmp=b"")
        files.append(buffer.getvalue())
        previews.append(
            {
                "kind": kind,
                "width": picture.width,
                "height": picture.height,
                "size_bytes": len(files[-1]),
            }
        )
    return {**found, "previews": previews}, files


def limit_resources() -> None:
    """Bound what a hostile file can use up: memory, time, files; nothing may be written."""
    # The hard bound lies above the soft one, so that the signal says what happened.
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS_MAX, CPU_SECONDS_MAX + 5))
    for kind, bound in (
        (resource.RLIMIT_AS, MEMORY_BYTES_MAX),
        (resource.RLIMIT_NOFILE, OPEN_FILES_MAX),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (bound, bound))


if __name__ == "__main__":
    document, pictures = main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    for piece in (json.dumps(document).encode() + b"\n", *pictures):
        sys.stdout.buffer.write(piece)

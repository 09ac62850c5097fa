"""Decodes one untrusted picture; run as a process of its own, under limits it sets itself.

Usage: picture_probe.py FILE CONTENT_TYPE PIXELS_MAX. Prints `begun` once all that is left is to
decode, then `{"width": ..., "height": ...}`, or `{"flaw": ...}` with one of the names of
`asset.Flaw`. The program imports nothing of ours, so that a decoder that is taken over finds no
settings, no credentials and no connections.
"""

from __future__ import annotations

import io
import json
import os
import resource
import sys
import warnings
from collections.abc import Callable

MEMORY_BYTES_MAX = 1 << 30
CPU_SECONDS_MAX = 15
OPEN_FILES_MAX = 64
FORMATS: dict[str, tuple[str, Callable[[bytes], bool]]] = {
    "image/png": ("PNG", lambda head: head.startswith(b"\x89PNG\r\n\x1a\n")),
    "image/jpeg": ("JPEG", lambda head: head.startswith(b"\xff\xd8\xff")),
    "image/webp": ("WEBP", lambda head: head[:4] == b"RIFF" and head[8:12] == b"WEBP"),
}
HEAD_BYTES = 16
STDOUT = 1
# Whoever reads it knows that an end without an answer is the picture's doing, not the machine's.
BEGUN = b"begun\n"


def main(path: str, content_type: str, pixels_max: int) -> dict[str, int | str]:
    """Examine the file and give what is to be printed."""
    name, begins_right = FORMATS[content_type]
    with open(path, "rb") as file:  # noqa: PTH123 - nothing more than needed is imported.
        data = file.read()
    if not begins_right(data[:HEAD_BYTES]):
        return {"flaw": "not_of_content_type"}
    limit_resources()
    from PIL import Image, UnidentifiedImageError  # noqa: PLC0415 - only under the limits.

    Image.MAX_IMAGE_PIXELS = None  # The bound below is stricter and comes before decoding.
    warnings.simplefilter("ignore")
    os.write(STDOUT, BEGUN)
    try:
        with Image.open(io.BytesIO(data), formats=[name]) as picture:
            width, height = picture.size
            if width * height > pixels_max:
                return {"flaw": "too_many_pixels"}
            if getattr(picture, "n_frames", 1) != 1:
                return {"flaw": "has_many_frames"}
            picture.load()
    except MemoryError:
        return {"flaw": "too_costly"}
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, EOFError, KeyError):
        # What Pillow's decoders raise for damaged files; anything else ends the process.
        return {"flaw": "not_decodable"}
    return {"width": width, "height": height}


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
    sys.stdout.write(json.dumps(main(sys.argv[1], sys.argv[2], int(sys.argv[3]))))

"""Tells whether stored bytes are what was announced, without trusting them."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from meshkit.errors import Unavailable
from meshkit.object_store import ObjectStore, ObjectTooLarge
from platform_svc.assets.asset import PIXELS_MAX, Contents, Dimensions, Flaw

PROBE: Final = Path(__file__).parent / "picture_probe.py"
PROBE_SECONDS_MAX: Final = 30
# Each takes up to a gigabyte and a core for a moment.
CONCURRENCY: Final = 2
STATUS_LOST: Final = 255  # What asyncio gives for a process that somebody else has reaped.


@dataclass(frozen=True, slots=True)
class Verified:
    """Bytes that are what was announced, in a file that lives as long as the verification."""

    file: Path
    dimensions: Dimensions


class Verifier:
    """Downloads objects and examines them, a few at a time."""

    def __init__(self, objects: ObjectStore, *, pixels_max: int = PIXELS_MAX) -> None:
        self._objects = objects
        self._pixels_max = pixels_max
        self._slots = asyncio.Semaphore(CONCURRENCY)

    @asynccontextmanager
    async def verify(self, key: str, announced: Contents) -> AsyncIterator[Verified | Flaw]:
        """Give the verified bytes of the object, or the first flaw that was found.

        Raises:
            ObjectMissing: there is no such object.
        """
        async with self._slots:
            with tempfile.TemporaryDirectory(prefix="asset-") as folder:
                yield await self._examine(key, announced, Path(folder) / "bytes")

    async def _examine(self, key: str, announced: Contents, file: Path) -> Verified | Flaw:
        try:
            digest = await self._objects.download(key, file, max_bytes=announced.size_bytes)
        except ObjectTooLarge:
            return Flaw.SIZE_DIFFERS
        if digest.size_bytes != announced.size_bytes:
            return Flaw.SIZE_DIFFERS
        if digest.sha256 != announced.sha256:
            return Flaw.SHA256_DIFFERS
        dimensions = await probe(file, announced.content_type, pixels_max=self._pixels_max)
        return dimensions if isinstance(dimensions, Flaw) else Verified(file, dimensions)


async def probe(file: Path, content_type: str, *, pixels_max: int) -> Dimensions | Flaw:
    """Decode a picture in a process of its own and give its size or its flaw.

    Raises:
        Unavailable: the machine was too busy for a verdict.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-I", "-B", str(PROBE), str(file), content_type, str(pixels_max)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={},
        cwd=file.parent,
    )
    try:
        async with asyncio.timeout(PROBE_SECONDS_MAX):
            output, _ = await process.communicate()
    except TimeoutError:
        # The bound on processor time is what stops a hostile file; this is a busy machine.
        raise Unavailable("the verification took too long; try again") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    answer = _answer(output)
    if answer is None:
        return _flaw_of(process.returncode)
    if "flaw" in answer:
        return Flaw(answer["flaw"])
    return Dimensions(answer["width"], answer["height"])


def _answer(output: bytes) -> dict[str, Any] | None:
    # What was said in full counts, whatever the exit status: an event loop may lose that.
    try:
        answer: dict[str, Any] = json.loads(output)
    except ValueError:
        return None
    return answer


def _flaw_of(status: int | None) -> Flaw:
    """Give the flaw that made the program end without an answer."""
    if status == -signal.SIGXCPU:
        return Flaw.TOO_COSTLY
    if status in {None, 0, STATUS_LOST, -signal.SIGKILL, -signal.SIGTERM}:
        # Ended from outside, such as by a kernel that is short of memory, or nobody knows how.
        raise Unavailable("the verification was ended; try again")
    # The program failed or crashed in a decoder: no picture to keep.
    return Flaw.NOT_DECODABLE

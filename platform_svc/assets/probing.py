"""Runs the media probe as a process of its own and reads its verdict."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from meshkit.errors import Unavailable
from platform_svc.assets.asset import Dimensions, Flaw
from platform_svc.assets.media_probe import BEGUN, POSTER_PIXELS
from platform_svc.assets.preview import PreviewKind

PROBE: Final = Path(__file__).parent / "media_probe.py"
PROBE_SECONDS_MAX: Final = 30
# More than any poster takes; a program that says more was taken over.
OUTPUT_BYTES_MAX: Final = 4 << 20
WEBP: Final = b"RIFF"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Picture:
    """One preview that the probe has made: WebP bytes and their size in pixels."""

    kind: PreviewKind
    width: int
    height: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Probed:
    """What a file is that was decoded."""

    dimensions: Dimensions
    pictures: tuple[Picture, ...]


async def probe(file: Path, content_type: str, *, pixels_max: int) -> Probed | Flaw:
    """Decode a file in a process of its own and give what it is, or its flaw.

    Raises:
        Unavailable: there is no verdict, since the machine was too busy or the process ended for
            a reason that is not the file.
    """
    process = _start(file, content_type, pixels_max)
    answer = asyncio.create_task(asyncio.to_thread(_output, process))
    try:
        async with asyncio.timeout(PROBE_SECONDS_MAX):
            output = await asyncio.shield(answer)
    except TimeoutError:
        # The bound on processor time is what stops a hostile file; this is a busy machine.
        raise Unavailable("the verification took too long; try again") from None
    finally:
        process.kill()  # Does nothing to one that has ended.
        await asyncio.wait([answer])
    return _verdict(output, process.returncode)


def _start(file: Path, content_type: str, pixels_max: int) -> subprocess.Popen[bytes]:
    # Not by the event loop: uvloop forks, and what libraries do in a forked child comes before the
    # program. gRPC starts threads there, which now and then crash it. Popen uses vfork, which
    # runs nothing of theirs.
    return subprocess.Popen(  # noqa: S603 - our own program, with arguments that we made.
        (sys.executable, "-I", "-B", str(PROBE), str(file), content_type, str(pixels_max)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={},
        cwd=file.parent,
    )


def _output(process: subprocess.Popen[bytes]) -> bytes:
    with process:
        said: IO[bytes] | None = process.stdout
        assert said is not None
        output = said.read(OUTPUT_BYTES_MAX + 1)
        if len(output) > OUTPUT_BYTES_MAX:
            process.kill()
    return output


def _verdict(output: bytes, status: int) -> Probed | Flaw:
    if len(output) > OUTPUT_BYTES_MAX:
        return Flaw.NOT_DECODABLE
    before, begun, after = output.partition(BEGUN)
    line, _, pictures = (after if begun else before).partition(b"\n")
    answer = _answer(line)
    if answer is None:
        _log.warning("no answer", extra={"status": status, "begun": bool(begun)})
        return _flaw_of(status, begun=bool(begun))
    if "flaw" in answer:
        return Flaw(answer["flaw"])
    dimensions = Dimensions(answer["width"], answer["height"], answer.get("duration_ms"))
    cut = _cut(pictures, answer["previews"])
    return Flaw.NOT_DECODABLE if cut is None else Probed(dimensions, cut)


def _answer(line: bytes) -> dict[str, Any] | None:
    # What was said in full counts, whatever the exit status: that may be lost.
    try:
        answer: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    return answer


def _cut(data: bytes, described: list[dict[str, Any]]) -> tuple[Picture, ...] | None:
    """Give the pictures that were announced, or None if they are not there as announced."""
    found = []
    for one in described:
        piece, data = data[: one["size_bytes"]], data[one["size_bytes"] :]
        is_whole = len(piece) == one["size_bytes"] and piece.startswith(WEBP)
        if not is_whole or max(one["width"], one["height"]) > POSTER_PIXELS:
            return None
        found.append(Picture(PreviewKind(one["kind"]), one["width"], one["height"], piece))
    return tuple(found)


def _flaw_of(status: int, *, begun: bool) -> Flaw:
    """Give the flaw that made the program end without an answer."""
    if not begun or status in {0, -signal.SIGKILL, -signal.SIGTERM}:
        # It never came to the file, was ended from outside, such as by a kernel that is short
        # of memory, or nobody knows how. A flaw is for good, so it takes more than that.
        raise Unavailable("the verification was ended; try again")
    if status == -signal.SIGXCPU:
        return Flaw.TOO_COSTLY
    # The program failed or crashed in a decoder: nothing to keep.
    return Flaw.NOT_DECODABLE

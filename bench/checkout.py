"""A clone of this repository's head, as a visitor gets it, and `make` in it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.figures import ROOT
from bench.ports import free_port

PATH = f"{Path(sys.base_prefix) / 'bin'}:/usr/local/bin:/usr/bin:/bin"


@contextmanager
def cloned() -> Iterator[Path]:
    """Give a fresh clone of the last commit in an empty folder; remove it at the end."""
    with tempfile.TemporaryDirectory(prefix="reelmesh-clone-") as folder:
        clone = Path(folder) / "reelmesh"
        command = ["git", "clone", "--quiet", "--no-local", str(ROOT), str(clone)]
        subprocess.run(command, check=True)  # noqa: S603 - our own folder
        yield clone


def environment() -> dict[str, str]:
    """Give what a new login has: no virtual environment, no setting of this project."""
    kept = {name: value for name, value in os.environ.items() if not _ours(name)}
    return kept | {"PATH": PATH, "REELMESH_PORT": str(free_port())}


def make_seconds(clone: Path, target: str, given: dict[str, str]) -> float:
    """Run `make` for a target and give its wall-clock seconds.

    Raises:
        subprocess.CalledProcessError: it failed; its output has been shown.
    """
    begun = time.perf_counter()
    command = ["make", "-C", str(clone), target]
    subprocess.run(command, check=True, env=given, stdout=sys.stderr)  # noqa: S603 - our own
    return time.perf_counter() - begun


def _ours(name: str) -> bool:
    return name.startswith(("REELMESH_", "PYTHON", "VIRTUAL_ENV", "MAKE", "MFLAGS"))

"""Compares the protos with those of the base revision; incompatible changes fail.

The base is `REELMESH_BASE` if set, else the merge base with `origin/main`, else the parent
commit. It is unpacked into a temporary folder, because the imports of the protos come from
installed packages and so are in no revision.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
INCLUDE = ROOT / "protos" / "gen" / "include"
BUF = Path(sys.executable).parent / "buf"


def main() -> int:
    """Run `buf breaking`; gives its exit status, 0 where there is no base to compare with."""
    base = base_revision()
    if base is None:
        sys.stdout.write("no base revision: nothing to compare with\n")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        before = Path(folder)
        archive = _git("archive", "--format=tar", base, "buf.yaml", "protos", "third_party")
        if archive.returncode != 0:
            sys.stdout.write(f"{base} has no protos: nothing to compare with\n")
            return 0
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
            tar.extractall(before, filter="data")
        (before / "protos" / "gen").mkdir()
        (before / "protos" / "gen" / "include").symlink_to(INCLUDE)
        command = [str(BUF), "breaking", "--against", str(before)]
        return subprocess.run(command, cwd=ROOT, check=False).returncode  # noqa: S603 - buf itself


def base_revision() -> str | None:
    """Give the revision to compare with, or None in a repository with one commit."""
    named = os.environ.get("REELMESH_BASE")
    if named:
        return named
    head = _git("rev-parse", "HEAD").stdout.decode().strip()
    merge_base = _git("merge-base", "origin/main", "HEAD").stdout.decode().strip()
    if merge_base and merge_base != head:
        return merge_base
    parent = _git("rev-parse", "--verify", "--quiet", "HEAD^")
    return parent.stdout.decode().strip() if parent.returncode == 0 else None


def _git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=False)  # noqa: S603, S607 - git, wherever it is


if __name__ == "__main__":
    raise SystemExit(main())

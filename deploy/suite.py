"""Runs every test as two runs side by side: what boots the platform or Ray, and the rest.

Both wait for other processes most of their time, so together they take little more than the longer
one. What the first run says is shown when both are over, so that their reports do not mix.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
BOOTING: Final = ("tests/journeys", "tests/inference/regions")
PYTEST: Final = (sys.executable, "-m", "pytest")


def main() -> int:
    """Run both and give 0 only if both passed."""
    with tempfile.TemporaryFile(mode="w+") as said:
        booting = subprocess.Popen(  # noqa: S603 - our own command
            [*PYTEST, *BOOTING], cwd=ROOT, stdout=said, stderr=subprocess.STDOUT
        )
        try:
            rest = subprocess.run(  # noqa: S603 - our own command
                [*PYTEST, *(f"--ignore={folder}" for folder in BOOTING)], cwd=ROOT, check=False
            )
            sys.stdout.write("\nThe tests that boot the platform or Ray:\n")
            sys.stdout.flush()
            status = booting.wait()
        except KeyboardInterrupt:
            # Both have had the signal; a platform that was booted is stopped before the end.
            booting.wait()
            raise
        said.seek(0)
        sys.stdout.write(said.read())
    return rest.returncode or status


if __name__ == "__main__":
    raise SystemExit(main())

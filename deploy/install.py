"""Runs `pip install` with the given arguments and shows how far it is.

Runs before anything is installed, so it uses the standard library alone. pip's own output goes to
a log, which is shown if pip fails.
"""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
from pathlib import Path

LOG = Path(sysconfig.get_path("data")) / "install.log"
STEP = 20  # Packages between two lines of progress.
FOUND = re.compile(r"^(Collecting|Requirement already satisfied)")


def main(arguments: list[str]) -> int:
    """Install; gives pip's exit status."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", *arguments]
    found = 0
    with (
        LOG.open("a") as log,
        subprocess.Popen(  # noqa: S603 - pip, with the Makefile's arguments
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as pip,
    ):
        assert pip.stdout is not None
        for line in pip.stdout:
            log.write(line)
            if FOUND.match(line):
                found += 1
                if found % STEP == 0:
                    _say(f"{found} packages found")
            elif line.startswith("Installing collected packages"):
                _say(f"unpacking {line.count(',') + 1} packages")
    if pip.returncode != 0:
        _say(f"pip failed; the end of {LOG}:")
        sys.stderr.write("\n".join(LOG.read_text().splitlines()[-30:]) + "\n")
    return pip.returncode


def _say(text: str) -> None:
    sys.stdout.write(f"  {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

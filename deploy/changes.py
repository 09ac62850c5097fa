"""Tells continuous integration what a change calls for; needs nothing but Python and git.

`python deploy/changes.py BASE` prints `tests=true` or `tests=false` for $GITHUB_OUTPUT, and with
`--changelog` it fails where CHANGELOG.md lacks the line that operators or callers need.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# What no test reads.
UNTESTED = re.compile(r"docs/|[A-Z]+\.md$|LICENSE$|bench/results/|\.github/(?!workflows/|actions/)")
# Where operators and callers notice changes: contracts, programs, images and settings.
NOTICED = re.compile(
    r"protos/reelmesh/|(platform_svc|business_svc|inference|gateway|meshkit|deploy)/"
)
CHANGELOG = "CHANGELOG.md"
NOTHING_TO_SAY = re.compile(r"^Changelog: none$", re.MULTILINE)


def tests_needed(paths: Iterable[str]) -> bool:
    """Tell whether the tests can come out otherwise after a change of these files."""
    return any(UNTESTED.match(path) is None for path in paths)


def changelog_missing(paths: Iterable[str], messages: str) -> bool:
    """Tell whether a change lacks its line and no commit says `Changelog: none`."""
    changed = set(paths)
    noticed = any(NOTICED.match(path) for path in changed)
    return noticed and CHANGELOG not in changed and NOTHING_TO_SAY.search(messages) is None


def main(arguments: list[str]) -> int:
    """Compare HEAD with the base; without a known base everything counts as changed."""
    base = arguments[-1]
    diff = _git("diff", "--name-only", "--no-renames", f"{base}...HEAD")
    paths = diff.stdout.splitlines()
    if "--changelog" not in arguments:
        needed = diff.returncode != 0 or tests_needed(paths)
        sys.stdout.write(f"tests={'true' if needed else 'false'}\n")
        return 0
    if changelog_missing(paths, _git("log", "--format=%B", f"{base}..HEAD").stdout):
        sys.stdout.write(
            f"{CHANGELOG} has no new line. Add one for operators and callers, or, if they notice "
            "nothing, end a commit message with the line `Changelog: none`.\n"
        )
        return 1
    return 0


def _git(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - git with arguments from above
        ["git", *arguments],  # noqa: S607 - wherever it is installed
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

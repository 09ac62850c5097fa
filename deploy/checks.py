"""Runs every static check of the repository; behind `make check`."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent


@dataclass(frozen=True, slots=True)
class Check:
    """One command that must exit with 0."""

    name: str
    command: tuple[str, ...]


def checks() -> list[Check]:
    """Give the checks in the order in which they run, quickest first."""
    python = sys.executable
    workflows = [str(path) for path in sorted((ROOT / ".github").glob("workflows/*.yml"))]
    dockerfiles = [str(path) for path in sorted((ROOT / "deploy/images").glob("*.Dockerfile"))]
    return [
        Check("format", (_tool("ruff"), "format", "--check", "--quiet", ".")),
        Check("lint", (_tool("ruff"), "check", "--quiet", ".")),
        Check("protos: lint", (_tool("buf"), "lint")),
        Check(
            "protos: format",
            (_tool("buf"), "format", "--diff", "--exit-code", "--path", "protos/reelmesh"),
        ),
        Check("protos: breaking changes", (python, "-m", "deploy.breaking")),
        Check("generated configuration", (python, "-m", "deploy.generated")),
        Check("workflows: actionlint", (_tool("actionlint"), *workflows)),
        Check("workflows: zizmor", (_tool("zizmor"), "--offline", "--quiet", ".github")),
        Check(
            "workflows: time-outs",
            (
                _tool("check-jsonschema"),
                "--builtin-schema",
                "custom.github-workflows-require-timeout",
                *workflows,
            ),
        ),
        Check("images: hadolint", (_tool("hadolint"), *dockerfiles)),
        Check("imports", (_tool("lint-imports"), "--no-cache")),
        Check("types", (_tool("mypy"),)),
    ]


def main() -> int:
    """Run all checks, even after one failed, and print what each failure said."""
    failed = []
    for check in checks():
        started = time.monotonic()
        sys.stdout.write(f"  {check.name} ... ")
        sys.stdout.flush()
        done = subprocess.run(  # noqa: S603 - the commands are the constants above
            check.command, cwd=ROOT, capture_output=True, text=True, check=False
        )
        seconds = time.monotonic() - started
        sys.stdout.write(f"{'ok' if done.returncode == 0 else 'FAILED'} ({seconds:.1f} s)\n")
        if done.returncode != 0:
            failed.append(check.name)
            sys.stdout.write(f"{done.stdout}{done.stderr}\n")
    if failed:
        sys.stdout.write(f"{len(failed)} checks failed: {', '.join(failed)}\n")
        return 1
    sys.stdout.write("All checks passed.\n")
    return 0


def _tool(name: str) -> str:
    return str(BIN / name)


if __name__ == "__main__":
    raise SystemExit(main())

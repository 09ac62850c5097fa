"""Runs the benchmarks that are named, all if none is: `python -m bench [NAME ...]`."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from pathlib import Path

from bench.figures import RESULTS, table, write
from meshkit.clock import utc_now

FOLDER = Path(__file__).resolve().parent


def names() -> list[str]:
    """Give the benchmarks: every folder here with a `run` module."""
    return sorted(
        module.name
        for module in pkgutil.iter_modules([str(FOLDER)])
        if module.ispkg and (FOLDER / module.name / "run.py").exists()
    )


def main(asked: list[str]) -> int:
    """Run, print and keep the figures; 0 unless a benchmark is unknown or breaks."""
    unknown = sorted(set(asked) - set(names()))
    if unknown:
        sys.stderr.write(f"no benchmark {', '.join(unknown)}; there are {', '.join(names())}\n")
        return 2
    for name in asked or names():
        sys.stdout.write(f"\n## {name}\n\n")
        sys.stdout.flush()
        figures = importlib.import_module(f"bench.{name}.run").measure()
        path = write(name, figures, now=utc_now())
        text = table(figures)
        (RESULTS / f"{path.stem}.md").write_text(f"# {name}\n\n{text}")
        sys.stdout.write(f"{text}\n{path.relative_to(FOLDER.parent)}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

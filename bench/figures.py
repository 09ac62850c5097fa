"""What a benchmark reports: figures against their floors, as JSON and as a table."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench" / "results"


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number; `floor` is what it must reach, None if it is only reported."""

    id: str
    what: str
    value: float
    unit: str
    floor: float | None
    better: Literal["higher", "lower"]
    peers: dict[str, float] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Tell whether the floor is reached; a figure without one is always fine."""
        if self.floor is None:
            return True
        return self.value >= self.floor if self.better == "higher" else self.value <= self.floor


def write(name: str, figures: list[Figure], *, now: datetime) -> Path:
    """Write the result file of one benchmark and give its path."""
    result = {
        "name": name,
        "revision": _revision(),
        "date": now.isoformat(timespec="seconds"),
        "machine": machine(),
        "figures": [
            {**asdict(figure), "ok": figure.ok, "command": f"make bench BENCH={name}"}
            for figure in figures
        ],
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{now:%Y-%m-%d}-{name}.json"
    path.write_text(json.dumps(result, indent=2) + "\n")
    return path


def table(figures: list[Figure]) -> str:
    """Give the figures as a Markdown table."""
    lines = ["| Id | What | Measured | Floor | Peers | |", "|---|---|---|---|---|---|"]
    for figure in figures:
        peers = ", ".join(f"{name} {value:g}" for name, value in figure.peers.items())
        sign = "≥" if figure.better == "higher" else "≤"
        floor = "" if figure.floor is None else f"{sign} {figure.floor:g}"
        mark = "" if figure.floor is None else ("reached" if figure.ok else "short")
        value = f"{figure.value:.4g} {figure.unit}"
        lines.append(f"| {figure.id} | {figure.what} | {value} | {floor} | {peers} | {mark} |")
    return "\n".join(lines) + "\n"


def machine() -> dict[str, str | int | None]:
    """Give what a reader must know of the machine."""
    return {
        "system": platform.system(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _revision() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12"],  # noqa: S607 - git, wherever it is
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "unknown"

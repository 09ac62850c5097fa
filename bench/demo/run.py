"""Times `make demo` from an empty clone and again, and weighs the platform when it idles."""

from __future__ import annotations

import json
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import psutil

from bench.checkout import cloned, environment, make_seconds
from bench.figures import Figure
from bench.quantiles import quantile
from deploy.local.layout import Layout
from deploy.local.processes import marked

CLONE_SECONDS_MAX = 300.0
INSTALLED_SECONDS_MAX = 90.0
IDLE_GIB_MAX = 3.0
SAMPLES = 10
SAMPLE_SECONDS = 2.0
GIB = 1 << 30


def measure() -> list[Figure]:
    """Install and run the demo in a clone, run it again, and leave a platform idle for a while."""
    given = environment()
    with cloned() as clone:
        first = make_seconds(clone, "demo", given)
        again = make_seconds(clone, "demo", given)
        reelmesh = [str(clone / ".venv" / "bin" / "reelmesh")]
        make_seconds(clone, "up", given)
        try:
            idle = _idle_bytes(Layout(clone / ".reelmesh"))
            status = _json([*reelmesh, "status", "--json"], clone, given)
        finally:
            make_seconds(clone, "down", given)
    processes = float(len(status["processes"]))
    return [
        Figure("A11", "make demo in an empty clone", first, "s", CLONE_SECONDS_MAX, "lower"),
        Figure("A12", "make demo, installed", again, "s", INSTALLED_SECONDS_MAX, "lower"),
        Figure(
            id="A13",
            what="memory of the idle platform, proportional set size, p50",
            value=quantile(idle, 0.5) / GIB,
            unit="GiB",
            floor=IDLE_GIB_MAX,
            better="lower",
            peers={"most GiB": max(idle) / GIB, "supervised processes": processes},
        ),
    ]


def _idle_bytes(layout: Layout) -> list[float]:
    samples = []
    for _ in range(SAMPLES):
        time.sleep(SAMPLE_SECONDS)  # Samples of what idles are spaced by time, nothing is awaited.
        samples.append(float(sum(_proportional_bytes(layout))))
    return samples


def _proportional_bytes(layout: Layout) -> list[int]:
    """Give each process's share of memory: what several map is divided among them."""
    found = []
    for process in marked(f"{layout.key}/"):
        with suppress(psutil.Error):
            found.append(int(process.memory_full_info().pss))
    assert found, "nothing of the platform runs"
    return found


def _json(command: list[str], folder: Path, given: dict[str, str]) -> dict[str, list[object]]:
    done = subprocess.run(  # noqa: S603 - our own command
        command, cwd=folder, env=given, stdout=subprocess.PIPE, text=True, check=True
    )
    parsed: dict[str, list[object]] = json.loads(done.stdout)
    return parsed

"""Times runs on an idle fleet: from submission to the first step, and end to end."""

from __future__ import annotations

from bench.booted import booted, signed_up
from bench.figures import Figure
from bench.quantiles import quantile
from bench.runs import timed_picture

RUNS = 60
WARM_UP = 5
STEPS = 4
P50_MS_MAX = 25.0
P99_MS_MAX = 100.0
INPUTS = {"prompt": "a red circle on a white background", "steps": STEPS}


def measure() -> list[Figure]:
    """Boot a platform and make pictures of few steps, one after another."""
    with booted() as platform, signed_up(platform.gateway_url) as client:
        timed = [timed_picture(client, INPUTS) for _ in range(WARM_UP + RUNS)][WARM_UP:]
    queue = [float(run["timings"]["queue_ms"]) for run, _ in timed]
    total = [seconds * 1000 for _, seconds in timed]
    work = [float(run["timings"]["run_ms"]) for run, _ in timed]
    return [
        Figure("A3", "submit to start, p50", quantile(queue, 0.5), "ms", P50_MS_MAX, "lower"),
        Figure("A4", "submit to start, p99", quantile(queue, 0.99), "ms", P99_MS_MAX, "lower"),
        Figure(
            id="A5",
            what=f"run of {STEPS} steps as the client sees it, p50",
            value=quantile(total, 0.5),
            unit="ms",
            floor=None,
            better="lower",
            peers={"in the pipeline p50 ms": quantile(work, 0.5)},
        ),
    ]

"""Times runs on an idle fleet: from submission to the first step, and end to end."""

from __future__ import annotations

import json
import time

import httpx

from bench.booted import booted, signed_up
from bench.figures import Figure
from bench.quantiles import quantile

RUNS = 60
WARM_UP = 5
STEPS = 4
P50_MS_MAX = 25.0
P99_MS_MAX = 100.0
TERMINAL = {"succeeded", "failed", "canceled", "expired"}


def measure() -> list[Figure]:
    """Boot a platform and make pictures of few steps, one after another."""
    with booted() as platform, signed_up(platform.gateway_url) as client:
        timed = [_run(client) for _ in range(WARM_UP + RUNS)][WARM_UP:]
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


def _run(client: httpx.Client) -> tuple[dict[str, dict[str, int]], float]:
    started = time.perf_counter()
    reply = client.post(
        "/v1/tools/text-to-image:run",
        json={"inputs": {"prompt": "a red circle on a white background", "steps": STEPS}},
    )
    reply.raise_for_status()
    run_id = reply.json()["run_id"]
    headers = {"accept": "text/event-stream"}
    with client.stream("GET", f"/v1/runs/{run_id}:watch", headers=headers) as events:
        for line in events.iter_lines():
            if line.startswith("data:"):
                run = json.loads(line.removeprefix("data:"))
                if run["state"] in TERMINAL:
                    assert run["state"] == "succeeded", run
                    return run, time.perf_counter() - started
    message = f"the stream of {run_id} ended before the run did"
    raise RuntimeError(message)

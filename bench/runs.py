"""Runs a tool as a client does, and times it."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx

TERMINAL = {"succeeded", "failed", "canceled", "expired"}


def timed_picture(client: httpx.Client, inputs: dict[str, Any]) -> tuple[dict[str, Any], float]:
    """Make one picture; gives the finished run and the seconds that the client waited."""
    started = time.perf_counter()
    reply = client.post("/v1/tools/text-to-image:run", json={"inputs": inputs})
    reply.raise_for_status()
    run_id = reply.json()["run_id"]
    headers = {"accept": "text/event-stream"}
    with client.stream("GET", f"/v1/runs/{run_id}:watch", headers=headers) as events:
        for line in events.iter_lines():
            if line.startswith("data:"):
                run: dict[str, Any] = json.loads(line.removeprefix("data:"))
                if run["state"] in TERMINAL:
                    assert run["state"] == "succeeded", run
                    return run, time.perf_counter() - started
    message = f"the stream of {run_id} ended before the run did"
    raise RuntimeError(message)

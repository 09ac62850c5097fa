"""Compares a picture through a whole booted platform with calling the pipeline directly.

Both draw the same pictures, in turns. The platform's way is a caller's: submitted over REST and
watched as server-sent events until the run has ended, so queue, upload and settlement count.
"""

from __future__ import annotations

import time

import httpx
import torch

from bench.booted import booted, signed_up
from bench.figures import Figure
from bench.quantiles import quantile
from bench.runs import timed_picture
from bench.shapes.run import WEIGHTS
from inference.mljobs.evaluate_shapes import DEFAULT_GUIDANCE_SCALE
from inference.pipelines.loading import load_pipeline
from inference.pipelines.protocol import PictureRequest, Pipeline

PICTURES = 20
STEPS = 25
# What a replica gets on two cores, which it shares with a second one.
REPLICA_THREADS = 1
OVERHEAD_MAX = 5.0
PROMPT = "a large green star on a black background"


def measure() -> list[Figure]:
    """Boot a platform and draw the same picture both ways, in turns."""
    torch.set_num_threads(REPLICA_THREADS)
    pipeline = load_pipeline("stable_diffusion", WEIGHTS, "cpu")
    _direct(pipeline, seed=0)
    served: list[float] = []
    direct: list[float] = []
    with booted() as platform, signed_up(platform.gateway_url) as client:
        _served(client, seed=0)
        for seed in range(PICTURES):
            served.append(_served(client, seed))
            direct.append(_direct(pipeline, seed))
    served_ms, direct_ms = quantile(served, 0.5), quantile(direct, 0.5)
    return [
        Figure(
            id="A10",
            what="a picture through the whole platform, over the bare pipeline",
            value=(served_ms / direct_ms - 1) * 100,
            unit="%",
            floor=OVERHEAD_MAX,
            better="lower",
            peers={"platform p50 ms": served_ms, "pipeline p50 ms": direct_ms},
        )
    ]


def _direct(pipeline: Pipeline, seed: int) -> float:
    request = PictureRequest(
        prompt=PROMPT,
        negative_prompt="",
        seed=seed,
        steps=STEPS,
        guidance_scale=DEFAULT_GUIDANCE_SCALE,
        width=64,
        height=64,
    )
    started = time.perf_counter()
    pipeline.generate(request, lambda _step, _steps: None)
    return (time.perf_counter() - started) * 1000


def _served(client: httpx.Client, seed: int) -> float:
    inputs = {"prompt": PROMPT, "seed": seed, "steps": STEPS}
    _, seconds = timed_picture(client, inputs | {"guidance_scale": DEFAULT_GUIDANCE_SCALE})
    return seconds * 1000

"""Draws held-out prompts with the committed weights and lets the classical detector judge."""

from __future__ import annotations

import time
from pathlib import Path

import torch

from bench.figures import Figure
from bench.quantiles import quantile
from inference.mljobs.evaluate_shapes import DEFAULT_GUIDANCE_SCALE, DEFAULT_STEPS
from inference.mljobs.shapes.examination import Answer, draw_questions, examine, score
from inference.mljobs.shapes.intervals import wilson_interval
from inference.pipelines.loading import load_pipeline
from inference.pipelines.protocol import Pipeline

WEIGHTS = Path(__file__).resolve().parents[2] / "inference" / "models" / "weights" / "shapes" / "1"
SEED = 2026
PROMPTS = 200
THREADS = 2
SECONDS_MAX = 3.0


def measure() -> list[Figure]:
    """Draw 200 prompts with one thing and 200 with two."""
    torch.set_num_threads(THREADS)
    pipeline = load_pipeline("stable_diffusion", WEIGHTS, "cpu")
    one, seconds_one = _examined(pipeline, 1)
    two, seconds_two = _examined(pipeline, 2)
    return [
        _share("A6", "one thing: colour, shape and background right", one, "all", 0.95),
        _share("A7", "two things: both right", two, "things", 0.85),
        _share(
            "A8", "two things: both right and the relation too", two, "things_and_relation", 0.75
        ),
        Figure(
            id="A9",
            what=f"seconds a picture of {DEFAULT_STEPS} steps takes on two threads, p50",
            value=quantile(seconds_one + seconds_two, 0.5),
            unit="s",
            floor=SECONDS_MAX,
            better="lower",
        ),
    ]


def _examined(pipeline: Pipeline, things: int) -> tuple[list[Answer], list[float]]:
    seconds: list[float] = []
    begun = time.perf_counter()

    def note(_: Answer) -> None:
        nonlocal begun
        now = time.perf_counter()
        seconds.append(now - begun)
        begun = now

    questions = draw_questions(SEED, things, PROMPTS)
    return examine(pipeline, questions, DEFAULT_STEPS, DEFAULT_GUIDANCE_SCALE, note), seconds


def _share(name: str, what: str, answers: list[Answer], part: str, floor: float) -> Figure:
    total = score(answers)
    right = total.right[part]
    low, high = wilson_interval(right, total.total)
    return Figure(
        id=name,
        what=what,
        value=right / total.total,
        unit="of prompts",
        floor=floor,
        better="higher",
        peers={"95 % interval from": round(low, 4), "to": round(high, 4)},
    )

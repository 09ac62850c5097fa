"""Measures how often the pictures of a `shapes` model show what their prompts ask for.

Prints one JSON report; the prompts are combinations that training never shows, the pictures are
read by the classical detector.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from inference.mljobs.shapes.examination import Answer, draw_questions, examine, score
from inference.pipelines.loading import load_pipeline
from inference.pipelines.protocol import Pipeline

DEFAULT_STEPS = 20
DEFAULT_GUIDANCE_SCALE = 2.0
_GROUPS = {1: "one_thing", 2: "two_things"}
_PROGRESS_EVERY = 20


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="evaluate_shapes", description=__doc__)
    add = parser.add_argument
    add("--weights", type=Path, required=True, help="the diffusers folder")
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    add("--seed", type=int, default=2026)
    add("--prompts", type=int, default=200, help="prompts of each kind")
    add("--things", type=int, nargs="+", choices=sorted(_GROUPS), default=sorted(_GROUPS))
    add("--steps", type=int, default=DEFAULT_STEPS)
    add("--guidance-scale", type=float, default=DEFAULT_GUIDANCE_SCALE)
    add("--threads", type=int, default=2)
    add("--varied", action="store_true", help="free phrasing instead of the plain caption")
    add("--output", type=Path, help="write the report here too")
    return parser.parse_args(arguments)


def _say_progress(done: list[Answer], total: int) -> None:
    if len(done) % _PROGRESS_EVERY == 0 or len(done) == total:
        right = sum(answer.verdict.right for answer in done)
        sys.stderr.write(f"{len(done)} of {total} drawn, {right} right\n")


def _failures(answers: Sequence[Answer]) -> list[dict[str, object]]:
    return [
        {
            "prompt": answer.question.prompt,
            "seed": answer.question.seed,
            "background": answer.reading.background,
            "seen": [f"{it.colour} {it.shape}" for it in answer.reading.sightings],
            "overlaps": [round(it.overlap, 3) for it in answer.reading.sightings],
        }
        for answer in answers
        if not answer.verdict.right
    ]


def _measure(pipeline: Pipeline, options: argparse.Namespace, things: int) -> dict[str, object]:
    questions = draw_questions(options.seed, things, options.prompts, varied=options.varied)
    done: list[Answer] = []

    def note(answer: Answer) -> None:
        done.append(answer)
        _say_progress(done, len(questions))

    started = time.monotonic()
    examine(pipeline, questions, options.steps, options.guidance_scale, note)
    seconds = (time.monotonic() - started) / max(1, len(questions))
    return {
        **score(done).report(),
        "seconds_per_prompt": round(seconds, 3),
        "failures": _failures(done),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure as the command line asks."""
    options = _parse(arguments)
    torch.set_num_threads(options.threads)
    pipeline = load_pipeline("stable_diffusion", options.weights, options.device)
    report: dict[str, object] = {
        "steps": options.steps,
        "guidance_scale": options.guidance_scale,
        "seed": options.seed,
        "device": options.device,
        "threads": options.threads,
        "phrasing": "varied" if options.varied else "plain",
    }
    for things in options.things:
        report[_GROUPS[things]] = _measure(pipeline, options, things)
    text = json.dumps(report, indent=2)
    sys.stdout.write(text + "\n")
    if options.output is not None:
        options.output.write_text(text + "\n")


if __name__ == "__main__":
    main()

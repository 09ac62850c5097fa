"""Runs a fresh pipeline once, so that the first user does not pay for lazy initialisation."""

from __future__ import annotations

import time
from typing import Final

from inference.pipelines.protocol import PictureRequest, Pipeline

REQUEST: Final = PictureRequest(
    prompt="a red circle on a white background",
    negative_prompt="",
    seed=0,
    steps=2,
    guidance_scale=4.0,
    width=64,
    height=64,
)


def warm(pipeline: Pipeline) -> float:
    """Draw a small picture and throw it away; gives the seconds it took."""
    begin = time.monotonic()
    pipeline.generate(REQUEST, lambda _step, _steps: None)
    return time.monotonic() - begin

"""A pipeline without a model: pictures of stripes that depend on the request alone."""

from __future__ import annotations

import hashlib
import io

from PIL import Image

from inference.pipelines.input_image import decode_image
from inference.pipelines.protocol import Picture, PictureRequest, StepListener, check_request

_BLOCKS = 8


class FakePipeline:
    """Draws coloured blocks from a hash of the request, so that fast tests need no torch."""

    def generate(self, request: PictureRequest, on_step: StepListener) -> Picture:
        """A PNG that differs for every seed, prompt and input image."""
        check_request(request)
        strength = 1.0 if request.strength is None else request.strength
        given = None
        if request.image is not None:
            given = decode_image(request.image, request.width, request.height)
        for step in range(1, request.steps + 1):
            on_step(step, request.steps)
        drawn = _blocks(request)
        if given is not None:
            drawn = Image.blend(given, drawn, strength)
        out = io.BytesIO()
        drawn.save(out, "PNG")
        return Picture(out.getvalue(), request.width, request.height)


def _blocks(request: PictureRequest) -> Image.Image:
    numbers = (request.seed, request.steps, request.guidance_scale)
    key = "\x00".join([request.prompt, request.negative_prompt, *map(str, numbers)])
    colours = hashlib.shake_256(key.encode()).digest(3 * _BLOCKS * _BLOCKS)
    small = Image.frombytes("RGB", (_BLOCKS, _BLOCKS), colours)
    return small.resize((request.width, request.height), Image.Resampling.NEAREST)

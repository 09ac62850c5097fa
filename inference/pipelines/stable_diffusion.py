"""The Stable Diffusion family: text to image and image to image on one set of weights."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionPipeline
from diffusers.models.attention_processor import AttnProcessor
from PIL import Image

from inference.pipelines.input_image import decode_image
from inference.pipelines.protocol import (
    InvalidPictureRequest,
    Picture,
    PictureRequest,
    StepListener,
    check_request,
)

_PLAIN_ATTENTION_SIDE_MAX = 32
"""Latent side up to which plain products beat the fused attention kernel on a CPU."""


class StableDiffusion:
    """One loaded model; one call at a time."""

    def __init__(self, drawing: StableDiffusionPipeline, device: str) -> None:
        self._drawing = drawing
        self._changing = StableDiffusionImg2ImgPipeline(
            **drawing.components, requires_safety_checker=False
        )
        for pipeline in (drawing, self._changing):
            pipeline.set_progress_bar_config(disable=True)
        self._device = device
        self._side = drawing.unet.config.sample_size * drawing.vae_scale_factor

    def generate(self, request: PictureRequest, on_step: StepListener) -> Picture:
        """Draw the picture; the noise comes from a CPU generator, so devices agree on it."""
        self._check(request)
        arguments: dict[str, Any] = {
            "prompt": request.prompt,
            "negative_prompt": request.negative_prompt,
            "guidance_scale": request.guidance_scale,
            "generator": torch.Generator("cpu").manual_seed(request.seed),
        }
        with torch.inference_mode():
            if request.image is None:
                image = self._draw(request, arguments, on_step)
            else:
                image = self._change(request, request.image, arguments, on_step)
        out = io.BytesIO()
        image.save(out, "PNG")
        return Picture(out.getvalue(), image.width, image.height)

    def _check(self, request: PictureRequest) -> None:
        check_request(request)
        if (request.width, request.height) != (self._side, self._side):
            raise InvalidPictureRequest(
                "SIZE_UNSUPPORTED", f"this model draws {self._side} by {self._side} pixels"
            )

    def _draw(
        self, request: PictureRequest, arguments: dict[str, Any], on_step: StepListener
    ) -> Image.Image:
        result = self._drawing(
            **arguments,
            width=request.width,
            height=request.height,
            num_inference_steps=request.steps,
            callback_on_step_end=_reporter(on_step, request.steps),
        )
        image: Image.Image = result.images[0]
        return image

    def _change(
        self,
        request: PictureRequest,
        given: bytes,
        arguments: dict[str, Any],
        on_step: StepListener,
    ) -> Image.Image:
        strength = 1.0 if request.strength is None else request.strength
        steps = max(1, round(request.steps * strength))
        result = self._changing(
            **arguments,
            image=decode_image(given, request.width, request.height),
            # Diffusers runs int(steps * strength) steps: half a step more guards the rounding.
            strength=min(1.0, (steps + 0.5) / request.steps),
            num_inference_steps=request.steps,
            callback_on_step_end=_reporter(on_step, steps),
        )
        image: Image.Image = result.images[0]
        return image


def _reporter(on_step: StepListener, total: int) -> Any:
    """The callback that diffusers wants; an exception from the listener ends the run there."""

    def report(_pipeline: object, index: int, _time: object, state: dict[str, Any]) -> Any:
        on_step(index + 1, total)
        return state

    return report


def load(folder: Path, device: str) -> StableDiffusion:
    """Load a diffusers folder: half precision on a GPU, single precision on a CPU.

    Raises:
        FileNotFoundError: The folder holds no pipeline.
    """
    if not (folder / "model_index.json").is_file():
        raise FileNotFoundError(f"no diffusers pipeline in {folder}")
    drawing = StableDiffusionPipeline.from_pretrained(
        folder,
        dtype=torch.float32 if device == "cpu" else torch.float16,
        local_files_only=True,
        safety_checker=None,
        requires_safety_checker=False,
        use_safetensors=True,
    )
    if device == "cpu" and drawing.unet.config.sample_size <= _PLAIN_ATTENTION_SIDE_MAX:
        drawing.unet.set_attn_processor(AttnProcessor())
    return StableDiffusion(drawing.to(device), device)

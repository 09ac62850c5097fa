"""What every pipeline promises: one request in, one picture out, progress and cancel on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

PROMPT_CHARACTERS_MAX = 4000
STEPS_MAX = 150
GUIDANCE_SCALE_MAX = 30.0
SIDE_PX_MAX = 2048
SIDE_PX_STEP = 8
SEED_MAX = 2**63 - 1

StepListener = Callable[[int, int], None]
"""Hears of each step: the number of the step, from 1, and the total. May raise `Cancelled`."""


class Cancelled(Exception):
    """The caller no longer wants the picture; raised by a `StepListener`, passed on unchanged."""


class InvalidPictureRequest(ValueError):
    """The request alone is wrong; `reason` is a word for machines.

    Trying again cannot help.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class PictureRequest:
    """What to draw.

    `image` (an encoded PNG, JPEG or WebP) makes it image to image; `strength`, from above 0 to 1,
    then says how far the result may leave that image (1 when None).
    """

    prompt: str
    negative_prompt: str
    seed: int
    steps: int
    guidance_scale: float
    width: int
    height: int
    image: bytes | None = None
    strength: float | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """An encoded picture and its size in pixels."""

    data: bytes
    width: int
    height: int
    content_type: str = "image/png"


class Pipeline(Protocol):
    """Draws pictures, one call at a time; callers serialise.

    The same request gives the same bytes on the same kind of device.
    """

    def generate(self, request: PictureRequest, on_step: StepListener) -> Picture:
        """Draw the picture, calling `on_step` after each step.

        Raises:
            InvalidPictureRequest: The request cannot be drawn, by any attempt.
            Cancelled: As raised by `on_step`, before another step begins.
        """


def _refuse(*, when: bool, reason: str, message: str) -> None:
    if when:
        raise InvalidPictureRequest(reason, message)


def check_request(request: PictureRequest) -> None:
    """Refuse what no pipeline can draw; each pipeline adds limits of its own.

    Raises:
        InvalidPictureRequest: The first thing found wrong.
    """
    texts = (request.prompt, request.negative_prompt)
    _refuse(
        when=max(map(len, texts)) > PROMPT_CHARACTERS_MAX,
        reason="PROMPT_TOO_LONG",
        message=f"a prompt has at most {PROMPT_CHARACTERS_MAX} characters",
    )
    _refuse(
        when=not 0 <= request.seed <= SEED_MAX,
        reason="SEED_OUT_OF_RANGE",
        message=f"the seed must be from 0 to {SEED_MAX}",
    )
    _refuse(
        when=not 1 <= request.steps <= STEPS_MAX,
        reason="STEPS_OUT_OF_RANGE",
        message=f"steps must be from 1 to {STEPS_MAX}",
    )
    _refuse(
        # Written so that NaN is refused too.
        when=not 0 <= request.guidance_scale <= GUIDANCE_SCALE_MAX,
        reason="GUIDANCE_SCALE_OUT_OF_RANGE",
        message=f"the guidance scale must be from 0 to {GUIDANCE_SCALE_MAX:g}",
    )
    _refuse(
        when=any(side % SIDE_PX_STEP or not 0 < side <= SIDE_PX_MAX for side in _sides(request)),
        reason="SIZE_UNSUPPORTED",
        message=f"width and height must be multiples of {SIDE_PX_STEP} up to {SIDE_PX_MAX}",
    )
    _refuse(
        when=request.strength is not None and request.image is None,
        reason="STRENGTH_WITHOUT_IMAGE",
        message="a strength needs an image",
    )
    _refuse(
        when=request.strength is not None and not 0 < request.strength <= 1,
        reason="STRENGTH_OUT_OF_RANGE",
        message="the strength must be above 0 and at most 1",
    )


def _sides(request: PictureRequest) -> tuple[int, int]:
    return request.width, request.height

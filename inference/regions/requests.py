"""Turns the inputs of a lease into the requests that a pipeline takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from inference.connectors.protocol import Lease
from inference.pipelines.protocol import InvalidPictureRequest, PictureRequest

STEPS_DEFAULT: Final = 20
GUIDANCE_SCALE_DEFAULT: Final = 2.0
SIDE_PX_DEFAULT: Final = 64
STRENGTH_DEFAULT: Final = 0.6
IMAGE_TO_IMAGE: Final = "image-to-image"


@dataclass(frozen=True, slots=True)
class Order:
    """What a lease asks for: one request per picture, and the key of the input image if any."""

    first: PictureRequest
    count: int
    image_key: str | None

    @property
    def steps(self) -> int:
        """How many steps all pictures take together, as far as it is known beforehand."""
        return self.first.steps * self.count

    def requests(self, image: bytes | None) -> list[PictureRequest]:
        """Give the request of each picture: picture n uses seed + n."""
        return [
            replace(self.first, seed=self.first.seed + n, image=image) for n in range(self.count)
        ]


def read_order(lease: Lease) -> Order:
    """Read the inputs of a lease.

    Raises:
        InvalidPictureRequest: an input has the wrong type, or one that is needed is missing.
    """
    inputs = lease.inputs
    is_from_image = lease.task == IMAGE_TO_IMAGE
    image_key = _text(inputs, "image_key", "")
    if is_from_image and not image_key:
        raise InvalidPictureRequest("INVALID_INPUT", "image_key is needed")
    first = PictureRequest(
        prompt=_text(inputs, "prompt", None),
        negative_prompt=_text(inputs, "negative_prompt", ""),
        seed=_whole(inputs, "seed", 0),
        steps=_whole(inputs, "steps", STEPS_DEFAULT),
        guidance_scale=_number(inputs, "guidance_scale", GUIDANCE_SCALE_DEFAULT),
        width=_whole(inputs, "width", SIDE_PX_DEFAULT),
        height=_whole(inputs, "height", SIDE_PX_DEFAULT),
        strength=_number(inputs, "strength", STRENGTH_DEFAULT) if is_from_image else None,
    )
    return Order(first, lease.count, image_key if is_from_image else None)


def _text(inputs: Mapping[str, Any], name: str, default: str | None) -> str:
    value = inputs.get(name, default)
    if not isinstance(value, str):
        raise InvalidPictureRequest("INVALID_INPUT", f"{name} must be a text")
    return value


def _number(inputs: Mapping[str, Any], name: str, default: float) -> float:
    value = inputs.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidPictureRequest("INVALID_INPUT", f"{name} must be a number")
    return float(value)


def _whole(inputs: Mapping[str, Any], name: str, default: int) -> int:
    value = _number(inputs, name, default)
    if not value.is_integer():
        raise InvalidPictureRequest("INVALID_INPUT", f"{name} must be a whole number")
    return int(value)

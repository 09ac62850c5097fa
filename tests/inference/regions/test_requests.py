"""Reading the inputs of a lease."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest

from inference.connectors.protocol import Lease, LeaseKey
from inference.pipelines.protocol import InvalidPictureRequest, PictureRequest
from inference.regions.requests import GUIDANCE_SCALE_DEFAULT, read_order


def lease(task: str = "text-to-image", count: int = 1, **inputs: Any) -> Lease:
    key = LeaseKey(uuid.UUID(int=1), 1)
    return Lease(key, datetime(2030, 1, 1, tzinfo=UTC), "shapes", task, inputs, count)


def test_numbers_of_the_wire_become_whole() -> None:
    order = read_order(lease(prompt="a", seed=7.0, steps=4.0, width=64.0, height=128.0))
    assert order.first == PictureRequest("a", "", 7, 4, GUIDANCE_SCALE_DEFAULT, 64, 128)
    assert isinstance(order.first.seed, int)


def test_picture_n_has_seed_plus_n() -> None:
    order = read_order(lease(count=3, prompt="a", seed=7, steps=5))
    assert [request.seed for request in order.requests(None)] == [7, 8, 9]
    assert order.steps == 15


def test_image_to_image_has_an_image_and_a_strength() -> None:
    order = read_order(lease("image-to-image", prompt="a", image_key="assets/1", strength=0.5))
    [request] = order.requests(b"png")
    assert (order.image_key, request.image, request.strength) == ("assets/1", b"png", 0.5)


def test_text_to_image_takes_no_image() -> None:
    order = read_order(lease(prompt="a", image_key="assets/1", strength=0.5))
    assert (order.image_key, order.first.strength) == (None, None)


@pytest.mark.parametrize(
    "inputs",
    [
        {},
        {"prompt": 5},
        {"prompt": "a", "seed": "7"},
        {"prompt": "a", "seed": 7.5},
        {"prompt": "a", "seed": float("inf")},
        {"prompt": "a", "steps": True},
        {"prompt": "a", "guidance_scale": None},
    ],
)
def test_bad_inputs_are_the_callers_fault(inputs: dict[str, Any]) -> None:
    with pytest.raises(InvalidPictureRequest):
        read_order(lease(**inputs))


def test_image_to_image_needs_an_image() -> None:
    with pytest.raises(InvalidPictureRequest):
        read_order(lease("image-to-image", prompt="a"))

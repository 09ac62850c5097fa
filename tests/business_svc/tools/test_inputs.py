"""Inputs are checked in full, completed, and never crash the service whatever they hold."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from business_svc.tools.catalog import load_catalog
from business_svc.tools.errors import InvalidInputs
from business_svc.tools.inputs import SEED_COUNT, accept, with_seed

TEXT = load_catalog().find("text-to-image")
IMAGE = load_catalog().find("image-to-image")
ASSET = "ast_01h455vb4pex5vsknk084sn02q"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)
NAMES = st.sampled_from(sorted(TEXT.input_schema["properties"])) | st.text(max_size=9)


def violations(inputs: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(InvalidInputs) as refused:
        accept(TEXT, inputs)
    return dict(refused.value.field_violations)


def test_defaults_are_filled_in() -> None:
    assert accept(TEXT, {"prompt": "a red circle"}) == {
        "prompt": "a red circle",
        "negative_prompt": "",
        "steps": 20,
        "guidance_scale": 2,
        "width": 64,
        "height": 64,
    }


def test_given_inputs_are_kept() -> None:
    given_inputs = {"prompt": "p", "steps": 4, "guidance_scale": 1.5, "seed": SEED_COUNT - 1}
    assert given_inputs.items() <= accept(TEXT, given_inputs).items()


def test_image_inputs_take_an_asset_and_a_strength() -> None:
    accepted = accept(IMAGE, {"prompt": "p", "image": ASSET})
    assert (accepted["image"], accepted["strength"]) == (ASSET, 0.6)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("prompt", ""),
        ("prompt", "   "),
        ("prompt", "x" * 1001),
        ("prompt", 5),
        ("prompt", None),
        ("prompt", "a\0b"),
        ("negative_prompt", "x" * 1001),
        ("seed", -1),
        ("seed", SEED_COUNT),
        ("seed", 1.5),
        ("seed", True),
        ("seed", "7"),
        ("steps", 3),
        ("steps", 101),
        ("steps", 1e308),
        ("guidance_scale", 0.5),
        ("guidance_scale", 15.1),
        ("width", 128),
        ("height", [64]),
        ("unknown", 1),
    ],
)
def test_a_bad_input_is_named(name: str, value: Any) -> None:
    found = violations({"prompt": "p"} | {name: value})
    assert list(found) == [f"inputs.{name}"]


@pytest.mark.parametrize("image", ["ast_1", "run_01h455vb4pex5vsknk084sn02q", "http://x", "", 1])
def test_an_image_is_named_by_its_asset_id_only(image: Any) -> None:
    with pytest.raises(InvalidInputs):
        accept(IMAGE, {"prompt": "p", "image": image})


def test_every_violation_is_listed() -> None:
    found = violations({"steps": 1, "width": 1, "a": 1, "b": 2})
    assert found == {
        "inputs.a": "is no input of this tool",
        "inputs.b": "is no input of this tool",
        "inputs.prompt": "is required",
        "inputs.steps": "must be at least 4",
        "inputs.width": "must be 64",
    }


def test_refusals_do_not_repeat_what_was_sent() -> None:
    secret = "s3cret" * 1000
    with pytest.raises(InvalidInputs) as refused:
        accept(TEXT, {"prompt": secret, "k" * 5000: 1})
    assert "s3cret" not in str(refused.value) + str(refused.value.field_violations)
    assert max(len(field) for field, _ in refused.value.field_violations) <= 80


@settings(deadline=None)  # A busy machine is no failure.
@given(st.dictionaries(NAMES, JSON, max_size=6))
def test_any_document_is_accepted_or_refused_with_its_violations(inputs: dict[str, Any]) -> None:
    refusals: list[InvalidInputs] = []
    try:
        accepted = accept(TEXT, inputs)
    except InvalidInputs as refused:
        refusals.append(refused)
    else:
        assert inputs.items() <= accepted.items()
        assert accept(TEXT, accepted) == accepted
    assert all(refused.field_violations for refused in refusals)


@settings(deadline=None)  # A busy machine is no failure.
@given(st.uuids())
def test_an_absent_seed_is_drawn_from_the_run(run_id: uuid.UUID) -> None:
    drawn = with_seed({"prompt": "p"}, run_id)
    assert 0 <= drawn["seed"] < SEED_COUNT
    assert drawn == with_seed({"prompt": "p"}, run_id)
    assert with_seed({"prompt": "p", "seed": 3}, run_id)["seed"] == 3

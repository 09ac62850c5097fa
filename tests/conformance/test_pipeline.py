"""Every pipeline keeps the promises of `inference.pipelines.protocol`."""

import io
import math
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from inference.pipelines.loading import load_pipeline
from inference.pipelines.protocol import Cancelled, InvalidPictureRequest, PictureRequest

ROOT = Path(__file__).resolve().parents[2]
SHAPES = ROOT / "inference" / "models" / "weights" / "shapes" / "1"
REQUEST = PictureRequest(
    prompt="a small red circle on a white background",
    negative_prompt="",
    seed=7,
    steps=4,
    guidance_scale=3.0,
    width=64,
    height=64,
)


@pytest.fixture(scope="module", params=["fake", "stable_diffusion"])
def pipeline(request):
    return load_pipeline(request.param, SHAPES, "cpu")


class Steps(list):
    """Records what a listener hears; raises `Cancelled` after the given step."""

    def __init__(self, cancel_after=None):
        super().__init__()
        self.cancel_after = cancel_after

    def __call__(self, step, total):
        self.append((step, total))
        if step == self.cancel_after:
            raise Cancelled


def encoded(colour="red", size=(64, 64), file_format="PNG", mode="RGB"):
    out = io.BytesIO()
    Image.new(mode, size, colour).save(out, file_format)
    return out.getvalue()


def generate(pipeline, **changes):
    return pipeline.generate(replace(REQUEST, **changes), Steps())


def test_the_same_request_gives_the_same_bytes(pipeline):
    assert generate(pipeline) == generate(pipeline)


def test_another_request_between_changes_nothing(pipeline):
    first = generate(pipeline)
    generate(pipeline, image=encoded(), strength=0.5)
    generate(pipeline, seed=8, steps=3)
    assert generate(pipeline) == first


@pytest.mark.parametrize(
    "change",
    [{"seed": 8}, {"prompt": "a large blue square"}, {"steps": 5}, {"seed": 2**63 - 1}],
    ids=str,
)
def test_another_seed_prompt_or_number_of_steps_gives_another_picture(pipeline, change):
    assert generate(pipeline, **change).data != generate(pipeline).data


def test_the_picture_is_a_png_of_the_size_asked_for(pipeline):
    picture = generate(pipeline)
    with Image.open(io.BytesIO(picture.data)) as image:
        assert image.format == "PNG"
        assert image.size == (picture.width, picture.height) == (64, 64)
    assert picture.content_type == "image/png"


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_the_listener_hears_every_step_once_in_order(pipeline, steps):
    heard = Steps()
    pipeline.generate(replace(REQUEST, steps=steps), heard)
    assert heard == [(step, steps) for step in range(1, steps + 1)]


@pytest.mark.parametrize("after", [1, 2])
def test_a_cancel_ends_the_run_before_another_step(pipeline, after):
    heard = Steps(cancel_after=after)
    with pytest.raises(Cancelled):
        pipeline.generate(REQUEST, heard)
    assert len(heard) == after
    assert generate(pipeline) == generate(pipeline)


def test_a_cancel_ends_a_change_of_an_image_too(pipeline):
    heard = Steps(cancel_after=1)
    with pytest.raises(Cancelled):
        pipeline.generate(replace(REQUEST, image=encoded(), strength=0.8), heard)
    assert len(heard) == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"prompt": "x" * 4001}, "PROMPT_TOO_LONG"),
        ({"negative_prompt": "x" * 4001}, "PROMPT_TOO_LONG"),
        ({"seed": -1}, "SEED_OUT_OF_RANGE"),
        ({"seed": 2**63}, "SEED_OUT_OF_RANGE"),
        ({"steps": 0}, "STEPS_OUT_OF_RANGE"),
        ({"steps": 151}, "STEPS_OUT_OF_RANGE"),
        ({"guidance_scale": -0.1}, "GUIDANCE_SCALE_OUT_OF_RANGE"),
        ({"guidance_scale": math.nan}, "GUIDANCE_SCALE_OUT_OF_RANGE"),
        ({"guidance_scale": math.inf}, "GUIDANCE_SCALE_OUT_OF_RANGE"),
        ({"width": 0}, "SIZE_UNSUPPORTED"),
        ({"height": 65}, "SIZE_UNSUPPORTED"),
        ({"width": 100_000}, "SIZE_UNSUPPORTED"),
        ({"strength": 0.5}, "STRENGTH_WITHOUT_IMAGE"),
        ({"image": encoded(), "strength": 0.0}, "STRENGTH_OUT_OF_RANGE"),
        ({"image": encoded(), "strength": 1.1}, "STRENGTH_OUT_OF_RANGE"),
        ({"image": encoded(), "strength": math.nan}, "STRENGTH_OUT_OF_RANGE"),
        ({"image": b"no picture"}, "IMAGE_UNREADABLE"),
        ({"image": b""}, "IMAGE_UNREADABLE"),
        ({"image": encoded()[:40]}, "IMAGE_UNREADABLE"),
    ],
    ids=str,
)
def test_a_bad_request_is_refused_before_any_step(pipeline, change, reason):
    heard = Steps()
    with pytest.raises(InvalidPictureRequest) as refusal:
        pipeline.generate(replace(REQUEST, **change), heard)
    assert refusal.value.reason == reason
    assert heard == []


@pytest.mark.parametrize("prompt", ["", "zxqy 火 é \x00 \U0001f600", "word " * 700])
def test_any_text_is_a_prompt(pipeline, prompt):
    assert generate(pipeline, prompt=prompt).width == 64


@pytest.mark.parametrize(
    ("steps", "strength", "ran"), [(4, 0.5, 2), (4, 1.0, 4), (5, 0.01, 1), (49, 1 / 49, 1)]
)
def test_a_change_of_an_image_runs_its_share_of_the_steps(steps, strength, ran):
    pipeline = load_pipeline("stable_diffusion", SHAPES, "cpu")
    heard = Steps()
    change = replace(REQUEST, steps=steps, image=encoded(), strength=strength)
    pipeline.generate(change, heard)
    assert heard == [(step, ran) for step in range(1, ran + 1)]


@pytest.mark.parametrize(
    "given",
    [
        encoded(size=(300, 40), file_format="JPEG"),
        encoded(mode="RGBA", colour=(255, 0, 0, 10)),
        encoded(mode="L", colour=120),
        encoded(mode="P", colour=3),
        encoded(mode="I;16", colour=60000),
    ],
    ids=["jpeg", "transparent", "grey", "palette", "sixteen-bit"],
)
def test_any_png_or_jpeg_is_resized_to_fit(pipeline, given):
    picture = generate(pipeline, image=given, strength=0.5)
    assert (picture.width, picture.height) == (64, 64)


def test_the_image_and_the_strength_matter(pipeline):
    red = generate(pipeline, image=encoded("red"), strength=0.3)
    blue = generate(pipeline, image=encoded("blue"), strength=0.3)
    assert red.data != blue.data
    assert red == generate(pipeline, image=encoded("red"), strength=0.3)
    assert red.data != generate(pipeline, image=encoded("red"), strength=0.9).data

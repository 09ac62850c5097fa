"""The committed weights are small enough and draw as well as their evaluation says."""

import json
import math
from pathlib import Path

import pytest
import torch

from inference.mljobs.evaluate_shapes import DEFAULT_GUIDANCE_SCALE, DEFAULT_STEPS
from inference.mljobs.shapes.examination import draw_questions, examine, score
from inference.pipelines.loading import load_pipeline
from inference.regions.requests import GUIDANCE_SCALE_DEFAULT, STEPS_DEFAULT

ROOT = Path(__file__).resolve().parents[3]
SHAPES = ROOT / "inference" / "models" / "weights" / "shapes" / "1"
CATALOGUE = ROOT / "business_svc" / "tools" / "catalogue"
BYTES_MAX = 12_000_000
ONE_THING_MIN, TWO_THINGS_MIN, RELATION_MIN = 0.95, 0.85, 0.75


def test_the_weights_are_half_precision_safetensors_of_at_most_12_mb():
    files = list(SHAPES.rglob("*.safetensors"))
    assert len(files) == 3
    assert sum(file.stat().st_size for file in files) <= BYTES_MAX
    assert not [*SHAPES.rglob("*.bin"), *SHAPES.rglob("*.ckpt"), *SHAPES.rglob("*.pt")]


@pytest.fixture(scope="module")
def pipeline():
    return load_pipeline("stable_diffusion", SHAPES, "cpu")


@pytest.fixture(scope="module")
def evaluation():
    return json.loads((SHAPES / "evaluation.json").read_text())["evaluation"]


def least_plausible(pictures: int, share: float) -> int:
    """Give the fewest right pictures that are not a one-in-a-thousand bad draw."""
    fewer = 0.0
    for right in range(pictures + 1):
        fewer += math.comb(pictures, right) * share**right * (1 - share) ** (pictures - right)
        if fewer > 0.001:
            return right
    return pictures


def test_users_get_the_settings_that_were_evaluated(evaluation):
    scale = evaluation["guidance_scale"]
    assert scale == DEFAULT_GUIDANCE_SCALE == GUIDANCE_SCALE_DEFAULT
    assert evaluation["steps"] == DEFAULT_STEPS == STEPS_DEFAULT
    for tool in ("text-to-image", "image-to-image"):
        entry = json.loads((CATALOGUE / tool / "1.0.0.json").read_text())
        inputs = entry["input_schema"]["properties"]
        assert inputs["guidance_scale"]["default"] == scale
        assert inputs["steps"]["default"] == evaluation["steps"]


def test_the_evaluation_reaches_the_floors(evaluation):
    one, two = evaluation["one_thing"], evaluation["two_things"]
    assert min(one["prompts"], two["prompts"]) >= 200
    assert one["all"]["share"] >= ONE_THING_MIN
    assert two["things"]["share"] >= TWO_THINGS_MIN
    assert two["things_and_relation"]["share"] >= RELATION_MIN


@pytest.mark.slow
@pytest.mark.parametrize(("things", "group"), [(1, "one_thing"), (2, "two_things")])
def test_the_weights_draw_as_well_as_their_evaluation_says(pipeline, evaluation, things, group):
    said = evaluation[group]
    questions = draw_questions(77, things, 12)
    answers = examine(pipeline, questions, DEFAULT_STEPS, DEFAULT_GUIDANCE_SCALE)
    found = score(answers).right
    wrong = [(it.question.prompt, it.reading) for it in answers if not it.verdict.right]
    for part in ("background", "things", "all"):
        at_least = least_plausible(len(questions), said[part]["interval_95"][0])
        assert found[part] >= at_least, (part, wrong)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_pictures_from_a_gpu_show_what_was_asked():
    pipeline = load_pipeline("stable_diffusion", SHAPES, "cuda")
    answers = examine(pipeline, draw_questions(78, 1, 24), DEFAULT_STEPS, DEFAULT_GUIDANCE_SCALE)
    assert score(answers).right["all"] >= 21

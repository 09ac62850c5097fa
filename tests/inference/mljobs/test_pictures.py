"""The committed weights are small enough and draw as well as their evaluation says."""

import json
import math
from pathlib import Path

import pytest
import torch

from inference.mljobs.evaluate_shapes import DEFAULT_GUIDANCE_SCALE, DEFAULT_STEPS
from inference.mljobs.shapes.examination import draw_questions, examine, score
from inference.pipelines.loading import load_pipeline

ROOT = Path(__file__).resolve().parents[3]
SHAPES = ROOT / "inference" / "models" / "weights" / "shapes" / "1"
BYTES_MAX = 12_000_000


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

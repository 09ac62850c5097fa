"""The committed weights draw what prompts ask for, fast enough, in files small enough."""

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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("things", "right_min"), [(1, 11), (2, 8)], ids=["one thing", "two things"]
)
def test_pictures_of_held_out_prompts_show_what_was_asked(pipeline, things, right_min):
    questions = draw_questions(77, things, 12)
    answers = examine(pipeline, questions, DEFAULT_STEPS, DEFAULT_GUIDANCE_SCALE)
    wrong = [(it.question.prompt, it.reading) for it in answers if not it.verdict.right]
    assert score(answers).right["all"] >= right_min, wrong


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_pictures_from_a_gpu_show_what_was_asked():
    pipeline = load_pipeline("stable_diffusion", SHAPES, "cuda")
    answers = examine(pipeline, draw_questions(78, 1, 24), DEFAULT_STEPS, DEFAULT_GUIDANCE_SCALE)
    assert score(answers).right["all"] >= 21

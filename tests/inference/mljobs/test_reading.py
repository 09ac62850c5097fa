"""What a caption says, as the text encoder has to tell it."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from inference.mljobs.shapes.batches import Stream
from inference.mljobs.shapes.networks import TINY, build_text_encoder
from inference.mljobs.shapes.reading import FIELDS, ReadingHeads, ReadingLesson, scene_facts
from inference.mljobs.shapes.scenes import Scene, Thing, draw_scene
from inference.mljobs.shapes.stages import Plan, Stage
from inference.mljobs.shapes.team import Team
from inference.mljobs.shapes.tokens import build_tokenizer

CIRCLE, STAR = Thing("red", "circle", "small"), Thing("blue", "star", "large")


def told(scene):
    return [field[fact] for field, fact in zip(FIELDS, scene_facts(scene), strict=True)]


def test_the_leading_thing_is_told_first():
    scene = Scene((CIRCLE, STAR), "white", "below")
    expected = ["upright", "white", "blue", "star", "large", "red", "circle", "small"]
    assert told(scene) == expected


def test_a_thing_alone_leaves_the_other_out():
    alone = ["alone", "pink", "red", "circle", "small", "none", "none", "none"]
    assert told(Scene((CIRCLE,), "pink")) == alone


@given(st.integers(0, 2**32))
def test_a_scene_told_from_its_other_side_says_the_same(seed):
    scene = draw_scene(np.random.default_rng(seed))
    assert scene_facts(scene) == scene_facts(scene.mirrored())


@pytest.mark.slow
def test_reading_is_learned(tmp_path):
    torch.manual_seed(1)
    tokenizer = build_tokenizer(tmp_path / "tokenizer", TINY.caption_tokens)
    encoder = build_text_encoder(TINY, len(tokenizer), tokenizer.eos_token_id)
    heads = ReadingHeads(TINY.text_width)
    lesson = ReadingLesson(encoder, heads, tokenizer, Stream(1, 6, 0), 64)
    before = lesson.loss(1000)[1]["fields_right"]
    stage = Stage("reading", [encoder, heads], Plan(120, 5e-3, 0.99), tmp_path)
    stage.run(lesson, Team())
    assert lesson.loss(1000)[1]["fields_right"] > before + 0.2

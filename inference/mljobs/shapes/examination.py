"""Held-out prompts for a pipeline, and the score of the pictures that it draws for them."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from inference.mljobs.shapes.captions import plain_caption, varied_caption
from inference.mljobs.shapes.detector import Reading, Verdict, judge, read_picture
from inference.mljobs.shapes.intervals import wilson_interval
from inference.mljobs.shapes.scenes import PICTURE_SIZE_PX, Scene
from inference.mljobs.shapes.splits import draw_held_out_scene
from inference.pipelines.protocol import PictureRequest, Pipeline


@dataclass(frozen=True, slots=True)
class Question:
    """A scene, how it is asked for, and the seed of its picture."""

    scene: Scene
    prompt: str
    seed: int


def draw_questions(seed: int, things: int, total: int, *, varied: bool = False) -> list[Question]:
    """Questions on combinations that training never showed."""
    rng = np.random.default_rng([seed, things, int(varied)])
    questions = []
    for number in range(total):
        scene = draw_held_out_scene(rng, count=things)
        prompt = varied_caption(scene, rng) if varied else plain_caption(scene)
        questions.append(Question(scene, prompt, seed + number))
    return questions


@dataclass(frozen=True, slots=True)
class Answer:
    """What the detector saw in the picture of a question."""

    question: Question
    reading: Reading
    verdict: Verdict


def examine(
    pipeline: Pipeline,
    questions: Iterable[Question],
    steps: int,
    guidance_scale: float,
    on_answer: Callable[[Answer], None] = lambda _: None,
) -> list[Answer]:
    """Draw, read and judge a picture for each question, one at a time, as the product does."""
    answers = []
    for question in questions:
        request = PictureRequest(
            prompt=question.prompt,
            negative_prompt="",
            seed=question.seed,
            steps=steps,
            guidance_scale=guidance_scale,
            width=PICTURE_SIZE_PX,
            height=PICTURE_SIZE_PX,
        )
        picture = pipeline.generate(request, lambda _step, _total: None)
        with Image.open(io.BytesIO(picture.data)) as image:
            reading = read_picture(np.asarray(image.convert("RGB")))
        answers.append(Answer(question, reading, judge(question.scene, reading)))
        on_answer(answers[-1])
    return answers


@dataclass(slots=True)
class Score:
    """How many of the answers are right in each part."""

    total: int = 0
    right: dict[str, int] = field(default_factory=dict)

    def add(self, verdict: Verdict) -> None:
        """Count one answer."""
        self.total += 1
        parts = {
            "background": verdict.background,
            "things": verdict.things,
            "things_and_background": verdict.things and verdict.background,
            "things_and_relation": verdict.things and verdict.relation,
            "all": verdict.right,
        }
        for part, right in parts.items():
            self.right[part] = self.right.get(part, 0) + int(right)

    def report(self) -> dict[str, object]:
        """Shares with their 95 % intervals, for JSON."""
        figures: dict[str, object] = {"prompts": self.total}
        for part, right in self.right.items():
            low, high = wilson_interval(right, self.total)
            figures[part] = {
                "right": right,
                "share": round(right / self.total, 4),
                "interval_95": [round(low, 4), round(high, 4)],
            }
        return figures


def score(answers: Iterable[Answer]) -> Score:
    """The score of all answers."""
    total = Score()
    for answer in answers:
        total.add(answer.verdict)
    return total

"""The pictures that users get show what their prompts ask for."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from inference.mljobs.shapes.detector import judge, read_picture
from inference.mljobs.shapes.examination import Question, draw_questions
from tests.journeys.mesh import Mesh


def shown(picture: bytes, question: Question) -> bool:
    with Image.open(io.BytesIO(picture)) as image:
        reading = read_picture(np.asarray(image.convert("RGB")))
    return judge(question.scene, reading).right


@pytest.mark.slow
@pytest.mark.parametrize(("things", "right_min"), [(1, 5), (2, 4)])
async def test_pictures_show_what_was_asked(mesh: Mesh, things: int, right_min: int) -> None:
    questions = draw_questions(31, things, 6)
    async with mesh.user() as client:
        runs = [
            await client.run("text-to-image", {"prompt": it.prompt, "seed": it.seed})
            for it in questions
        ]
        right = []
        for run, question in zip(runs, questions, strict=True):
            done = await client.finished(run["run_id"])
            assert done["state"] == "succeeded", done.get("error")
            picture = await client.download(done["outputs"][0]["asset_id"])
            right.append(shown(picture, question))
    assert sum(right) >= right_min, list(zip(right, (it.prompt for it in questions), strict=True))

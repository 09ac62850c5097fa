"""The detector reads ground-truth drawings right and refuses what they do not show."""

import numpy as np
import pytest

from inference.mljobs.shapes.detector import UNCLEAR, judge, read_picture
from inference.mljobs.shapes.drawing import draw
from inference.mljobs.shapes.scenes import Scene, Thing, draw_scene, place


def drawn(scenes, rng):
    pictures = draw(scenes, [place(scene, rng) for scene in scenes])
    whole = ((pictures + 1) * 127.5).round().clamp(0, 255).byte()
    return whole.permute(0, 2, 3, 1).numpy()


@pytest.fixture(scope="module")
def examples():
    rng = np.random.default_rng(7)
    scenes = [draw_scene(rng) for _ in range(120)]
    return scenes, drawn(scenes, rng)


def test_drawings_are_read_right_more_than_99_times_in_100(examples):
    verdicts = [
        judge(scene, read_picture(picture)) for scene, picture in zip(*examples, strict=True)
    ]
    assert sum(verdict.right for verdict in verdicts) > 0.99 * len(verdicts)


def test_drawings_are_wrong_for_another_scene(examples):
    scenes, pictures = examples
    right = 0
    for scene, picture in zip(scenes[1:], pictures, strict=False):
        right += judge(scene, read_picture(picture)).right
    assert right <= 1


def test_blur_of_a_star_is_no_star():
    scene = Scene((Thing("red", "star", "small"),), "white")
    picture = drawn([scene], np.random.default_rng(3))[0].astype(float)
    for _ in range(40):
        picture = sum(np.roll(picture, by, axis) for by in (-1, 0, 1) for axis in (0, 1)) / 6
    assert not judge(scene, read_picture(picture.astype(np.uint8))).things


def test_noise_has_no_background_and_an_empty_picture_no_things():
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    assert read_picture(noise).background == UNCLEAR
    assert read_picture(np.full((64, 64, 3), 250, dtype=np.uint8)).sightings == ()


def test_a_relation_told_the_wrong_way_round_is_wrong():
    things = (Thing("red", "circle", "small"), Thing("blue", "square", "medium"))
    scene = Scene(things, "white", "above")
    reading = read_picture(drawn([scene], np.random.default_rng(1))[0])
    assert judge(scene, reading).right
    assert judge(scene.mirrored(), reading).right
    wrong = judge(Scene(things, "white", "below"), reading)
    assert wrong.things
    assert not wrong.relation


def test_a_third_thing_makes_the_picture_wrong():
    scene = Scene((Thing("red", "circle", "small"),), "white")
    picture = drawn([scene], np.random.default_rng(1))[0]
    reading = read_picture(picture)
    x, y = reading.sightings[0].x, reading.sightings[0].y
    corner = (slice(2, 8) if y > 32 else slice(55, 61), slice(2, 8) if x > 32 else slice(55, 61))
    picture[corner] = (35, 70, 220)
    assert not judge(scene, read_picture(picture)).things

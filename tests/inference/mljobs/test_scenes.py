"""Laws of scenes, splits and captions."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from inference.mljobs.shapes.captions import plain_caption, varied_caption
from inference.mljobs.shapes.scenes import (
    GAP_PX,
    MARGIN_PX,
    PICTURE_SIZE_PX,
    Scene,
    Thing,
    default_background,
    draw_scene,
    place,
)
from inference.mljobs.shapes.splits import (
    draw_held_out_scene,
    draw_training_scene,
    is_held_out,
)
from inference.mljobs.shapes.vocabulary import COLOUR_SYNONYMS, COLOURS

seeds = st.integers(0, 2**32)


def random_source(seed):
    return np.random.default_rng(seed)


@given(seeds)
def test_things_lie_inside_the_picture_apart_and_related(seed):
    rng = random_source(seed)
    scene = draw_scene(rng)
    places = place(scene, rng)
    for spot in places:
        for centre in (spot.x, spot.y):
            assert centre - spot.radius >= MARGIN_PX - 1e-9
            assert centre + spot.radius <= PICTURE_SIZE_PX - MARGIN_PX + 1e-9
    if scene.relation is None:
        return
    first, second = places
    down, across = second.y - first.y, second.x - first.x
    along, aside = (down, across) if scene.relation in {"above", "below"} else (across, down)
    forward = along if scene.relation in {"above", "left"} else -along
    assert forward >= first.radius + second.radius + GAP_PX - 1e-9
    assert abs(aside) < forward


@given(seeds)
def test_backgrounds_differ_from_things(seed):
    scene = draw_scene(random_source(seed))
    assert scene.background not in {thing.colour for thing in scene.things}


@given(seeds)
def test_the_same_seed_gives_the_same_scene_place_and_caption(seed):
    one, other = random_source(seed), random_source(seed)
    scenes = draw_scene(one), draw_scene(other)
    assert scenes[0] == scenes[1]
    assert place(scenes[0], one) == place(scenes[1], other)
    assert varied_caption(scenes[0], one) == varied_caption(scenes[1], other)


@given(seeds)
def test_a_mirrored_scene_is_in_the_same_split(seed):
    scene = draw_scene(random_source(seed), count=2)
    assert scene.mirrored().mirrored() == scene
    assert is_held_out(scene) == is_held_out(scene.mirrored())


def test_training_never_shows_a_held_out_combination():
    rng = random_source(11)
    trained = [draw_training_scene(rng) for _ in range(3000)]
    asked = [draw_held_out_scene(rng, count=count) for count in (1, 2) for _ in range(200)]
    seen_things = {
        (it.colour, it.shape, scene.background) for scene in trained for it in scene.things
    }
    seen_pairs = {
        (tuple((it.colour, it.shape) for it in told.things), told.relation)
        for scene in trained
        if scene.relation
        for told in (scene, scene.mirrored())
    }
    for scene in asked:
        assert is_held_out(scene)
        if scene.relation is None:
            thing = scene.things[0]
            assert (thing.colour, thing.shape, scene.background) not in seen_things
        else:
            pair = tuple((it.colour, it.shape) for it in scene.things)
            assert (pair, scene.relation) not in seen_pairs


def test_one_scene_in_ten_or_more_is_held_out():
    rng = random_source(2)
    held = sum(is_held_out(draw_scene(rng, count=1)) for _ in range(4000))
    assert 0.07 < held / 4000 < 0.13


@given(seeds)
def test_a_varied_caption_names_every_thing(seed):
    rng = random_source(seed)
    scene = draw_scene(rng)
    caption = varied_caption(scene, rng)
    for thing in scene.things:
        names = (thing.colour, *COLOUR_SYNONYMS.get(thing.colour, ()))
        assert any(name in caption for name in names)


@given(seeds)
def test_a_caption_without_a_background_means_the_default_one(seed):
    rng = random_source(seed)
    scene = draw_scene(rng, count=1)
    caption = varied_caption(scene, rng)
    named = {word.strip(",.") for word in caption.split()}
    colours = named & {*COLOURS, *(name for names in COLOUR_SYNONYMS.values() for name in names)}
    if len(colours) == 1:
        assert scene.background == default_background([scene.things[0].colour])


def test_the_plain_caption_reads_as_people_write():
    things = (Thing("red", "circle", "small"), Thing("orange", "square", "large"))
    assert plain_caption(Scene(things, "white", "left")) == (
        "a small red circle left of a large orange square on a white background"
    )

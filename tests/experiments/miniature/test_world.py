"""The drawn world: a scene is always the same picture, captions are true, tokens are words."""

import random
from dataclasses import replace

import numpy as np
import pytest

from experiments.miniature import captions, clip, tokens, world
from experiments.miniature.data import scene_of
from experiments.miniature.objects import SHADES
from experiments.miniature.paint import draw

SCENE = world.Scene(
    kind="pyramid",
    colour="red",
    count=2,
    ground="desert",
    sky="day",
    light="sun",
    style="photograph",
    seed=1,
)


def test_a_scene_is_drawn_the_same_every_time() -> None:
    first, again = draw(SCENE), draw(SCENE)
    assert first.shape == (128, 128, 3) and first.dtype == np.uint8
    assert (first == again).all()
    assert (draw(replace(SCENE, seed=2)) != first).any()


def test_training_scenes_are_found_by_number_and_never_held_out() -> None:
    scenes = [scene_of(number) for number in range(600)]
    assert scenes == [scene_of(number) for number in range(600)]
    assert not any(scene.held_out for scene in scenes)
    assert {scene.kind for scene in scenes} == set(world.KINDS)


@pytest.mark.parametrize("kind", world.KINDS)
@pytest.mark.parametrize("colour", world.COLOURS)
def test_every_object_shows_its_colour(kind: str, colour: str) -> None:
    scene = replace(SCENE, kind=kind, colour=colour, count=1, light="none")
    near = np.abs(draw(scene).astype(int) - np.array(SHADES[colour][1])).max(-1) < 40
    without = np.abs(draw(replace(scene, count=0)).astype(int) - np.array(SHADES[colour][1]))
    assert near.sum() - (without.max(-1) < 40).sum() > 60


@pytest.mark.parametrize("fact, values", [(k, v) for k, v in clip.FACTS.items()])
def test_every_fact_changes_the_picture(fact: str, values: tuple[object, ...]) -> None:
    pictures = [draw(replace(SCENE, **{fact: value})).astype(int) for value in values]
    for i, a in enumerate(pictures):
        for b in pictures[i + 1 :]:
            assert np.abs(a - b).max() > 40


def test_full_captions_name_every_fact() -> None:
    assert captions.full(SCENE) == "two red pyramids in the desert by day with a sun"
    drawing = replace(SCENE, style="drawing", count=1, colour="orange", light="none")
    assert captions.full(drawing) == "a drawing of an orange pyramid in the desert by day"


def test_captions_say_what_is_told_and_nothing_else() -> None:
    rng = random.Random(3)
    for _ in range(2000):
        scene = world.random_scene(rng)
        text, told = captions.told_caption(scene, rng)
        said = set(text.replace(",", " ").split())
        for colour in world.COLOURS:
            chinese = captions.COLOURS_ZH[colour]
            shown = told["colour"] and told["kind"] and colour == scene.colour
            assert (colour in said or chinese in text) == shown, text
        for light in ("sun", "moon"):
            shown = told["light"] and light == scene.light
            assert (light in said or captions.TAGS_ZH[light] in text) == shown, text


def test_some_long_captions_name_another_object_and_short_ones_never() -> None:
    rng = random.Random(4)
    long = lies = 0
    for _ in range(4000):
        scene = world.random_scene(rng)
        text, told = captions.told_caption(scene, rng, wrong=0.1)
        named = [kind for kind in world.KINDS if kind in text or captions.KINDS_ZH[kind] in text]
        lie = bool(named) and (named != [scene.kind] or not scene.count)
        if told["ground"] or told["sky"] or told["light"]:
            long, lies = long + 1, lies + lie
        else:
            assert not lie, text
    assert 0.07 < lies / long < 0.13


def test_an_altered_scene_differs_by_one_fact() -> None:
    rng = random.Random(5)
    for _ in range(300):
        scene = world.random_scene(rng)
        other = clip.altered(scene, rng)
        assert sum(getattr(scene, f) != getattr(other, f) for f in clip.FACTS) == 1


def test_truth_counts_only_what_is_told() -> None:
    import torch

    blue = replace(SCENE, colour="blue")
    pictures = clip.labels_of([SCENE, blue])
    told = torch.tensor([[fact != "colour" for fact in clip.FACTS]] * 2)
    assert clip.truth(pictures, pictures, told).all()
    assert clip.truth(pictures, pictures, torch.ones_like(told)).tolist() == [
        [True, False],
        [False, True],
    ]


def test_words_of_the_world_are_single_tokens_and_other_text_is_bytes(tmp_path) -> None:  # type: ignore
    tokenizer = tokens.build(tmp_path)
    assert tokenizer.model_max_length == 77
    assert len(tokenizer.tokenize("a red pyramid in the desert at sunset")) == 8
    assert len(tokenizer.tokenize("红色的金字塔，沙漠，日落")) == 7
    rng = random.Random(7)
    for _ in range(300):
        text = captions.caption(world.random_scene(rng), rng)
        assert len(tokenizer(text).input_ids) < clip.LONGEST
    for text in ("zebra, 8k!", "一只猫", "ÅÄÖ émoji 🎨"):
        ids = tokenizer(text).input_ids
        assert ids[0] == tokenizer.bos_token_id and ids[-1] == tokenizer.eos_token_id
        assert tokenizer.eos_token_id not in ids[:-1], "an unknown word ends the text"

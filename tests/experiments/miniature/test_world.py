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


def test_captions_name_the_facts_that_they_report_and_no_others() -> None:
    rng = random.Random(3)
    for _ in range(2000):
        scene = world.random_scene(rng)
        text, named = captions.described(scene, rng)
        words = set(text.replace(",", " ").split())
        for colour in world.COLOURS:
            shown = named["colour"] and colour == scene.colour
            chinese = captions.COLOURS_ZH[colour]
            assert (colour in words or chinese in text) == shown, text
        for light in ("sun", "moon"):
            shown = named["light"] and light == scene.light
            assert (light in words or captions.TAGS_ZH[light] in text) == shown, text
        objects = [k for k in world.KINDS if k in text or captions.KINDS_ZH[k] in text]
        assert objects == ([scene.kind] if named["kind"] else []), text
        assert ("empty" in words) == (scene.count == 0), text


def test_some_captions_leave_the_object_open() -> None:
    rng = random.Random(4)
    texts = []
    while len(texts) < 1000:
        scene = world.random_scene(rng)
        if scene.count:
            texts.append(captions.described(scene, rng))
    left_open = [text for text, named in texts if not named["kind"]]
    assert 0.1 < len(left_open) / len(texts) < 0.2
    assert any(text.startswith("a landscape in the ") for text in left_open)


def test_every_kind_stands_on_every_ground_and_pyramids_most_in_the_desert() -> None:
    scenes = [scene for scene in map(scene_of, range(4000)) if scene.count]
    seen = {(scene.kind, scene.ground) for scene in scenes}
    assert len(seen) == len(world.KINDS) * len(world.GROUNDS)
    desert = [scene.kind for scene in scenes if scene.ground == "desert"]
    share = sum(scene.kind == "pyramid" for scene in scenes) / len(scenes)
    assert desert.count("pyramid") / len(desert) > 1.2 * share


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

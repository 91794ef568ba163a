"""The settings on the command line: what they become, and what is refused before a model loads."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sdviz.plan.config import Config, EngineConfig, PreviewConfig
from sdviz.plan.settings import Recipe
from sdviz.request.request import Request
from tests.reading import Reading, refused
from tests.settings import making


def recipes(request: Request) -> list[Recipe]:
    return [cell.recipe for cell in request.plan.cells]


def test_search_and_replace_is_an_axis_of_words(reading: Reading) -> None:
    request = reading(prompt="a pyramid, sun", negative="no pyramid", sr="pyramid,house,tall tree")
    assert [axis.name for axis in request.plan.axes] == ["sr"]
    assert [one.sr for one in recipes(request)] == ["pyramid", "house", "tall tree"]
    assert [one.prompt for one in recipes(request)] == [
        "a pyramid, sun", "a house, sun", "a tall tree, sun",
    ]  # fmt: skip
    assert recipes(request)[1].negative == "no house"


def test_a_replaced_prompt_has_the_key_of_one_typed_so(reading: Reading) -> None:
    request = reading(prompt="a pyramid", sr="pyramid,house")
    typed = reading(prompt="a house")
    assert request.plan.cells[1].key == typed.plan.cells[0].key


def test_the_search_text_must_occur(reading: Reading) -> None:
    (error,) = refused(reading, prompt="a cat", sr="dog,house")
    assert "sr=dog" in error and "'a cat' does not contain it" in error
    assert reading(prompt="a cat", negative="dog", sr="dog,house")


def test_the_search_text_may_be_in_the_models_own_prompt(reading: Reading) -> None:
    request = reading(models="miniature", prompt=None, sr="pyramid,house")
    pyramid, house = (one.prompt for one in recipes(request))
    assert "pyramid" in pyramid and house == pyramid.replace("pyramid", "house")


def test_samples_and_rounds_count_on_from_the_seed(reading: Reading) -> None:
    request = reading(seed="42", samples=3, rounds=2)
    assert [one.seed for one in recipes(request)] == [42, 43, 44, 45, 46, 47]
    fixed = reading(seed="42", samples=2, fixed_noise=True)
    assert [(one.seed, one.noise_seed) for one in recipes(fixed)] == [(42, 42), (43, 42)]


def test_the_pixels_of_an_init_image_are_in_the_key_and_not_its_place(
    reading: Reading, tmp_path: Path
) -> None:
    first = making.picture(tmp_path / "a.png")
    (tmp_path / "moved").mkdir()
    moved = tmp_path / "moved" / "b.png"
    moved.write_bytes(first.read_bytes())
    other = making.picture(tmp_path / "c.png", seed=5)
    keys = [reading(init=str(path)).plan.cells[0].key for path in (first, moved, other)]
    assert keys[0] == keys[1] != keys[2]


def test_a_cell_of_an_archive_can_be_the_init(reading: Reading, tmp_path: Path) -> None:
    from sdviz import engine
    from sdviz.archive.writing.writer import ArchiveWriter
    from sdviz.events import CellFinished, SweepFinished, SweepStarted

    request = reading(seed="1,2", name="first", steps=1)
    config = Config(
        device="cpu",
        models=request.config.models,
        engine=EngineConfig(batch=4),
        preview=PreviewConfig(decoder="none"),
    )
    archive = ArchiveWriter.open(
        tmp_path / "outputs", "first", request.plan, request.record, reuse=True
    )
    pixels = {}
    archive.handle(SweepStarted("first", request.plan, request.record))

    def emit(event: Any) -> None:
        archive.handle(event)
        if isinstance(event, CellFinished):
            pixels[event.cell] = event.pixels

    engine.run(request.plan.cells, plan=request.plan, config=config, emit=emit)
    archive.handle(SweepFinished("finished", 1.0))
    archive.close()

    key = request.plan.cells[1].key
    for name in (f"{tmp_path}/outputs/first#1", "first#1", key, key[:12]):
        image = reading(init=name).config.inits[name]
        assert np.array_equal(np.asarray(Image.open(image.path)), pixels[1])
    assert "has no finished cell 7" in refused(reading, init="first#7")[0]
    assert "there is no archive second" in refused(reading, init="second#1")[0]
    assert "no archive" in refused(reading, init="0" * 64)[0]


def test_all_that_is_wrong_is_told_at_once(reading: Reading, tmp_path: Path) -> None:
    text = tmp_path / "text.png"
    text.write_text("no image")
    errors = refused(
        reading,
        init=f"nothing.png,{text}",
        strength="0.05",
        steps=10,
        resize="squash",
        tiling="perhaps",
        clip_skip="9",
        hires_steps="3",
        variation_seed="4",
        seed_resize="huge",
        emphasis="loud",
        guidance_rescale="2",
    )
    told = "\n".join(errors)
    for part in (
        "init=nothing.png: no such file",
        f"init={text}: ",
        "strength=0.05: leaves none of 10 steps; 0.1 is the smallest value",
        "resize=squash: ",
        "tiling=perhaps: must be true or false",
        "clip_skip=9: the text encoder of",
        "hires_steps=3: has no effect without hires_scale; add hires_scale=2",
        "variation_seed=4: has no effect without variation_strength",
        "seed_resize=huge: must be a size such as 512x512",
        "emphasis=loud: ",
        "guidance_rescale=2: must be a number from 0 to 1",
    ):
        assert part in told, f"{part!r} in {told}"
    assert not (tmp_path / "outputs").exists()


def test_steps_are_counted_for_combinations_that_there_are(
    reading: Reading, tmp_path: Path
) -> None:
    image = str(making.picture(tmp_path / "a.png"))
    pairs = {"steps": "20,10", "strength": "0.05,0.5", "zip": [["steps", "strength"]]}
    assert len(recipes(reading(init=image, **pairs))) == 2
    rule = f"steps=1 init={image}"
    assert len(recipes(reading(init=f"none,{image}", steps="1,20", exclude=rule))) == 3
    (error,) = refused(reading, init=image, steps="20,10", strength="0.05")
    assert error == "strength=0.05: leaves none of 10 steps; 0.1 is the smallest value"


@pytest.mark.parametrize("steps", [1, 3, 7, 28, 30, 49, 999])
def test_the_least_strength_that_is_told_will_do(reading: Reading, steps: int) -> None:
    (error,) = refused(reading, steps=steps, hires_scale=2, hires_strength="0.0001")
    least = error.split("; ")[1].split()[0]
    assert reading(steps=steps, hires_scale=2, hires_strength=least)


def test_a_second_pass_must_be_larger_at_the_size_that_is_asked_for(reading: Reading) -> None:
    (error,) = refused(reading, hires_scale="1.05")
    assert error.startswith("hires_scale=1.05: makes a picture of 64x64 no larger")
    assert reading(hires_scale="1.05", width=256, height=256)
    assert refused(reading, hires_scale="1.1", width=32, height=32)


def test_noise_is_drawn_for_sizes_that_a_picture_can_have(reading: Reading) -> None:
    errors = refused(reading, seed_resize="99999x99999,64x4,none")
    assert [error.split(":")[0] for error in errors] == [
        "seed_resize=99999x99999", "seed_resize=64x4",
    ]  # fmt: skip


def test_a_long_prompt_is_no_longer_cut_but_for_emphasis_none(reading: Reading) -> None:
    prompt = "a red cat, " * 20
    assert reading(prompt=prompt).warnings == []
    (warning,) = reading(prompt=prompt, emphasis="none").warnings
    assert "it ignores" in warning


def test_settings_at_their_default_leave_the_key_as_it_was(reading: Reading) -> None:
    plain = reading().plan.cells[0]
    spelled = reading(
        clip_skip=1, tiling="false", hires_scale=1, emphasis="a1111", variation_strength=0
    ).plan.cells[0]
    assert plain.key == spelled.key
    hashed = (
        '{"dtype":"float32","height":64,"model":"'
        + reading().plan.identities[plain.recipe.model]
        + '","prompt":"a","width":64}'
    )
    assert plain.key == hashlib.sha256(hashed.encode()).hexdigest()

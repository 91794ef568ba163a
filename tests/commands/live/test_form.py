"""The live page's form, read as the command line is."""

from __future__ import annotations

import base64
import io
import json
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from sdviz.commands.live.form import as_typed, field_errors, form_of, form_of_picture, prepare
from sdviz.errors import ArchiveError, SdvizError
from sdviz.request.compose import compose
from tests.archive import sweeps


@pytest.fixture(scope="module")
def given() -> dict[str, Any]:
    return compose(["guidance_rescale=0.3,0.6", "eta=0.5", "cfg=7", "clip_skip=2"])[0]


def test_settings_of_the_command_line_stand_in_the_form(given: dict[str, Any]) -> None:
    typed = as_typed(given)
    assert typed["cfg"] == "7"
    assert typed["further"] == "eta=0.5 guidance_rescale=0.3,0.6 clip_skip=2"
    assert {cell.recipe.clip_skip for cell in prepare(given, typed).plan.cells} == {2}


def test_settings_without_a_field_are_axes_too(given: dict[str, Any]) -> None:
    further = "hires_scale=1.5,2 'exclude=cfg=3 hires_scale=2' samples=2"
    plan = prepare(given, {"cfg": "3,7", "further": further}).plan
    assert [axis.name for axis in plan.axes] == ["cfg", "seed", "hires_scale"]
    assert len(plan.cells) == 6
    assert {cell.recipe.clip_skip for cell in plan.cells} == {1}, "what was taken out is out"
    pairs = prepare(given, {"cfg": "3,7", "steps": "5,9", "further": "zip=[[cfg,steps]]"}).plan
    assert [(cell.recipe.cfg, cell.recipe.steps) for cell in pairs.cells] == [(3, 5), (7, 9)]


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("strngth=0.3", "did you mean strength"),
        ("cfg=3", "cfg has a field of its own"),
        ("tiling", "such as clip_skip=2"),
        ("zip=[[cfg,steps", "cannot be read"),
        ("'open", "No closing quotation"),
        ("eta=much", "`much` is not a number"),
    ],
)
def test_what_is_wrong_stands_beside_the_field(
    given: dict[str, Any], typed: str, says: str
) -> None:
    with pytest.raises(SdvizError) as caught:
        prepare(given, {"further": typed})
    told = field_errors(caught.value)
    assert says in told["further"] and set(told) == {"further"}


def test_a_cell_fills_the_form_with_all_of_its_settings(given: dict[str, Any]) -> None:
    plan = sweeps.make_plan({"cfg": [7.5]}, tiling=True, lora="my loras/a.safetensors", eta=0.5)
    form = form_of("recipe", json.dumps(asdict(plan.cells[0].recipe)))
    assert (form["cfg"], form["steps"]) == ("7.5", "3")
    assert set(shlex.split(form["further"])) == {
        "eta=0.5", "tiling=true", "lora=my loras/a.safetensors",
    }  # fmt: skip


def test_a_picture_of_another_program_fills_the_form() -> None:
    info = PngInfo()
    info.add_text(
        "parameters",
        "a castle\nNegative prompt: blurry\n"
        "Steps: 12, Sampler: Heun, CFG scale: 4.5, Seed: 99, Size: 512x768, Clip skip: 2, "
        "Denoising strength: 0.6",
    )
    png = io.BytesIO()
    Image.new("RGB", (8, 8)).save(png, "PNG", pnginfo=info)
    form = form_of("picture", base64.b64encode(png.getvalue()).decode())
    assert (form["negative"], form["seed"], form["height"]) == ("blurry", "99", "768")
    assert form["further"] == "clip_skip=2" and form["model"] == ""
    Image.new("RGB", (8, 8)).save(png := io.BytesIO(), "PNG")
    with pytest.raises(ArchiveError, match=r"^no recipe in it"):
        form_of("picture", base64.b64encode(png.getvalue()).decode())


def test_the_form_says_what_of_a_picture_is_not_done_again() -> None:
    """And a prompt of two lines stays one: a line of the form is a prompt."""
    picture = Path(__file__).parents[2] / "pictures" / "cases" / "template.png"
    form, warnings = form_of_picture(base64.b64encode(picture.read_bytes()).decode())
    assert form["prompt"] == "conquerer, Merchant, digital cinematic color grading"
    (warning,) = warnings
    assert "Refiner switch at: 0.7" in warning


def test_a_picture_fills_the_form(tmp_path: Path) -> None:
    path = sweeps.write(tmp_path, "a", sweeps.make_plan({"cfg": [3.5]}, clip_skip=2)).path
    (png,) = (path / "images").iterdir()
    form = form_of("picture", base64.b64encode(png.read_bytes()).decode())
    assert (form["prompt"], form["cfg"], form["further"]) == ("a red pyramid", "3.5", "clip_skip=2")
    with pytest.raises(ArchiveError, match=r"^the picture is damaged"):
        form_of("picture", base64.b64encode(b"no picture").decode())

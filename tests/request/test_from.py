"""`python -m sdviz.sweep from=image.png`: a picture becomes a sweep."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from sdviz.errors import ConfigError
from sdviz.request.from_picture import with_picture

TEXT = (
    'a "red" castle, (stone:1.2)\nNegative prompt: blurry, [ugly]\n'
    "Steps: 12, Sampler: Heun, CFG scale: 4.5, Seed: 99, Size: 128x128, Model: dreamshaper_8"
)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    info = PngInfo()
    info.add_text("parameters", TEXT)
    Image.new("RGB", (8, 8)).save(tmp_path / "image.png", pnginfo=info)
    return tmp_path / "image.png"


def test_what_is_given_goes_before_what_the_picture_says(picture: Path, tmp_path: Path) -> None:
    warnings: list[str] = []
    given = {
        "from": str(picture),
        "prompt": None,
        "cfg": "5,7",
        "steps": None,
        "models": "miniature",
    }
    known = with_picture(given, [tmp_path], warnings)
    assert known == {
        "prompt": 'a "red" castle, (stone:1.2)', "negative": "blurry, [ugly]", "cfg": "5,7",
        "steps": 12, "sampler": "Heun", "seed": 99, "width": 128, "height": 128,
        "models": "miniature",
    }  # fmt: skip
    (warning,) = warnings
    assert "dreamshaper_8" in warning
    (tmp_path / "dreamshaper_8.yaml").write_text("id: x")
    assert with_picture(given, [tmp_path], [])["models"] == ["dreamshaper_8"]


def test_a_lora_that_is_not_here_is_left_out_and_said(tmp_path: Path) -> None:
    warnings: list[str] = []
    info = PngInfo()
    text = "a castle <lora:detail:0.5>\nSteps: 12, Sampler: Heun, Seed: 9, VAE: ft.pt"
    info.add_text("parameters", text)
    Image.new("RGB", (8, 8)).save(tmp_path / "l.png", pnginfo=info)
    known = with_picture({"from": str(tmp_path / "l.png")}, [], warnings)
    assert "lora" not in known and "lora_scale" not in known and "vae" not in known
    told = " ".join(warnings)
    assert "lora=detail" in told and "vae=ft.pt" in told
    given = {"from": str(tmp_path / "l.png"), "lora": "mine.safetensors", "vae": "none"}
    known = with_picture(given, [], warnings := [])
    assert (known["lora"], known["lora_scale"], known["vae"]) == ("mine.safetensors", 0.5, "none")
    assert not warnings


def test_what_did_nothing_in_the_picture_is_not_asked_for(tmp_path: Path) -> None:
    from sdviz.pictures import files
    from sdviz.request.compose import prepare

    recipe = {"prompt": "a cat", "variation_seed": 7, "hires_steps": 3, "seed": 5}
    info = PngInfo()
    info.add_text(files.CHUNK, files.record_json({"recipe": recipe}))
    picture = tmp_path / "a.png"
    Image.new("RGB", (8, 8)).save(picture, pnginfo=info)
    asked = [f"from={picture}", f"outputs={tmp_path}", "visdom.enabled=false"]
    (cell,) = prepare(asked).plan.cells
    assert (cell.recipe.seed, cell.recipe.variation_seed, cell.recipe.hires_steps) == (5, 0, 0)
    (cell,) = prepare([*asked, "variation_strength=0.5"]).plan.cells
    assert cell.recipe.variation_seed == 7


def test_the_parameters_text_alone_tells_every_setting(tmp_path: Path) -> None:
    """As it is left where a program has kept it, and not what sdviz has written beside it."""
    from dataclasses import asdict

    from sdviz.pictures import infotext
    from sdviz.pictures.recipes import read_picture
    from sdviz.plan.samplers import sampler_pairs
    from sdviz.plan.settings import Recipe
    from sdviz.request.compose import prepare

    start = tmp_path / "a start, of b.png"
    Image.new("RGB", (64, 64)).save(start)
    own = Recipe(
        prompt="a (cat:1.2)", negative="dogs, [red]", cfg=4.5, sampler="DPM2 a Karras", steps=7,
        seed=9, width=256, height=192, eta=0.5, guidance_rescale=0.3, clip_skip=2, emphasis="none",
        init=str(start), strength=0.6, resize="crop", noise_seed=3, variation_seed=5,
        variation_strength=0.25, seed_resize="64x64", tiling=True, hires_scale=1.5,
        hires_upscaler="pixel", hires_steps=9, hires_strength=0.4, watermark=True,
    )  # fmt: skip
    info = PngInfo()
    pairs = infotext.cell_pairs(
        asdict(own), sampler_pairs(own.sampler), identity="ab" * 32, extra={}
    )
    info.add_text("parameters", infotext.write(own.prompt, own.negative, pairs))
    picture = tmp_path / "p.png"
    Image.new("RGB", (8, 8)).save(picture, pnginfo=info)
    assert read_picture(picture).settings["hires_upscaler"] == "pixel"
    (cell,) = prepare([f"from={picture}", f"outputs={tmp_path}", "visdom.enabled=false"]).plan.cells
    assert cell.recipe == own


def test_without_a_picture_nothing_changes(tmp_path: Path) -> None:
    assert with_picture({"from": None, "cfg": "7"}, [], []) == {"cfg": "7"}
    with pytest.raises(ConfigError, match="no such file"):
        with_picture({"from": str(tmp_path / "none.png")}, [], [])


def test_the_command_line_takes_it(picture: Path) -> None:
    command = [
        sys.executable, "-m", "sdviz.sweep", f"from={picture}", "cfg=5,7,9", "dry_run=true",
        "visdom.enabled=false", f"outputs={picture.parent}",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "cells: 3" in done.stdout
    assert "denoiser evaluations: 138" in done.stdout, "Heun at 12 steps, 23 a cell, 2 rows each"

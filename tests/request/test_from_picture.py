"""Pictures of other programs become sweeps."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from sdviz.archive.reader import Archive
from sdviz.errors import ArchiveError
from sdviz.pictures.recipes import read_picture
from sdviz.request.compose import prepare
from sdviz.request.from_picture import with_picture
from tests.archive.twins import run


def webui_png(path: Path, text: str) -> Path:
    info = PngInfo()
    info.add_text("parameters", text)
    Image.new("RGB", (8, 8)).save(path, pnginfo=info)
    return path


def test_import_from_every_program(outputs: Path, tmp_path: Path) -> None:
    archive = Archive(outputs / "a")
    ours = read_picture(archive.image_path(6)).settings
    assert ours == {
        "model": "miniature", "prompt": "a red pyramid", "cfg": 15.0, "sampler": "Heun",
        "steps": 3, "seed": 1, "width": 32, "height": 32,
    }  # fmt: skip
    old = webui_png(
        tmp_path / "old.png",
        "a castle, (stone:1.2)\nby a lake\nNegative prompt: blurry\nSteps: 20, Sampler: DPM++ 2M"
        " Karras, CFG scale: 7.5, Seed: 965400086, Size: 512x768, Model hash: 45dee52b,"
        ' Model: "v1:5"',
    )
    assert read_picture(old).settings == {
        "prompt": "a castle, (stone:1.2)\nby a lake", "negative": "blurry", "steps": 20,
        "sampler": "DPM++ 2M Karras", "cfg": 7.5, "seed": 965400086, "width": 512, "height": 768,
        "model": "v1:5",
    }  # fmt: skip
    new = webui_png(
        tmp_path / "new.png",
        "x\nSteps: 8, Sampler: DPM++ 2M, Schedule type: SGM Uniform, CFG scale: 3, Seed: 5,"
        " Size: 64x64, Denoising strength: 0.6, Clip skip: 2, Hires upscale: 2, Version: v1.10.1",
    )
    told = read_picture(new).settings
    assert (told["sampler"], told["clip_skip"]) == ("DPM++ 2M SGM Uniform", 2)
    assert (told["hires_scale"], told["hires_strength"]) == (2.0, 0.6)
    fooocus = {
        "prompt": "short", "full_prompt": ["cinematic still short", "emotional"],
        "negative_prompt": "", "full_negative_prompt": ["anime"], "steps": 30,
        "guidance_scale": 4, "resolution": "(1152, 896)", "sampler": "dpmpp_2m_sde_gpu",
        "scheduler": "karras", "seed": "123", "base_model": "juggernautXL.safetensors",
    }  # fmt: skip
    assert read_picture(webui_png(tmp_path / "f.png", json.dumps(fooocus))).settings == {
        "prompt": "cinematic still short\nemotional", "negative": "anime", "steps": 30, "cfg": 4.0,
        "width": 1152, "height": 896, "sampler": "DPM++ 2M SDE Karras", "seed": 123,
        "model": "juggernautXL",
    }  # fmt: skip


def test_a_webui_picture_tells_its_lora_and_vae(tmp_path: Path) -> None:
    picture = webui_png(
        tmp_path / "l.png",
        "a castle <lora:add_detail:0.8>, by a lake <lora:ink:1:0.5>\n"
        "Steps: 8, Sampler: Heun, Seed: 5,"
        ' VAE hash: c6a580b13a, VAE: ft-mse.pt, Lora hashes: "add_detail: 7c6bad76eb54, ink: 01ab",'
        ' TI hashes: "EasyNegative: c74b4e810b03, bad_hands: aa7651be"',
    )
    recipe = read_picture(picture)
    told, warnings = recipe.settings, " ".join(recipe.warnings)
    assert (told["prompt"], told["vae"]) == ("a castle, by a lake", "ft-mse.pt")
    assert (told["lora"], told["lora_scale"]) == ("add_detail+ink", "0.8+0.5")
    assert "ink at 1 in the text encoder" in warnings, "what is not done again is said"
    assert "embedding=<folder>, EasyNegative, bad_hands is plain" in warnings


def test_what_a_webui_picture_does_not_hold_is_said(tmp_path: Path) -> None:
    text = "a castle\nSteps: 8, Sampler: Heun, Seed: 5, Denoising strength: 0.4"
    recipe = read_picture(webui_png(tmp_path / "i.png", text))
    assert recipe.settings["strength"] == 0.4
    assert any("name it with init=" in warning for warning in recipe.warnings)
    hires = f"{text}, Hires upscale: 2, Hires upscaler: R-ESRGAN 4x+"
    recipe = read_picture(webui_png(tmp_path / "h.png", hires))
    told = recipe.settings
    assert (told["hires_strength"], told["hires_scale"]) == (0.4, 2.0) and "strength" not in told
    assert recipe.warnings == ["sdviz has no upscaler R-ESRGAN 4x+: uses latent instead"]
    lanczos = f"{text}, Hires upscale: 2, Hires upscaler: Lanczos"
    told = read_picture(webui_png(tmp_path / "z.png", lanczos)).settings
    assert told["hires_upscaler"] == "pixel"


def test_import_refuses_what_has_no_recipe(tmp_path: Path) -> None:
    plain = tmp_path / "plain.png"
    Image.new("RGB", (8, 8)).save(plain)
    (tmp_path / "text.png").write_text("no picture")
    damaged = webui_png(tmp_path / "d.png", "{not json")
    for path in (plain, tmp_path / "text.png", damaged, tmp_path / "none.png"):
        with pytest.raises(ArchiveError, match=path.name):
            read_picture(path)


def test_what_import_prints_is_the_sweep(outputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = run(capsys, "import", Archive(outputs / "a").image_path(0))
    assert text.startswith("python -m sdviz.sweep") and "'prompt=a red pyramid'" in text


@pytest.mark.parametrize(
    "prompt",
    [
        'a "red, green" cat', '"quoted"', "[a, b]", "null", "it's, 100% $HOME !x", "back\\slash",
        "猫,\n犬",
    ],
)  # fmt: skip
def test_the_printed_command_runs_whatever_the_values_have(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], prompt: str
) -> None:
    folder = tmp_path / "my, models"
    folder.mkdir()
    Image.new("RGB", (64, 64)).save(folder / "a, b.png")
    recipe = {
        "prompt": prompt, "negative": "x, y", "init": str(folder / "a, b.png"), "strength": 1 / 3,
        "seed": 2**63, "cfg": 7.0, "width": 64, "height": 64, "sampler": "Heun Karras", "steps": 3,
    }  # fmt: skip
    info = PngInfo()
    info.add_text("sdviz", json.dumps({"recipe": recipe}))
    Image.new("RGB", (8, 8)).save(tmp_path / "p.png", pnginfo=info)
    printed = shlex.split(run(capsys, "import", tmp_path / "p.png"))
    assert printed[:3] == ["python", "-m", "sdviz.sweep"]
    (cell,) = prepare([*printed[3:], f"outputs={tmp_path}", "visdom.enabled=false"]).plan.cells
    assert {key: getattr(cell.recipe, key) for key in recipe} == recipe


def test_the_loras_beside_a_picture_are_found(tmp_path: Path) -> None:
    for name in ("add_detail.safetensors", "ink.safetensors"):
        (tmp_path / name).touch()
    text = "a castle <lora:add_detail:0.8> <lora:ink:0.5>\nSteps: 8, Sampler: Heun, Seed: 5"
    warnings: list[str] = []
    known = with_picture({"from": str(webui_png(tmp_path / "l.png", text))}, [], warnings)
    assert known["lora"] == f"{tmp_path}/add_detail.safetensors+{tmp_path}/ink.safetensors"
    assert known["lora_scale"] == "0.8+0.5" and not warnings

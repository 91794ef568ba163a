"""stable-diffusion-webui's own expression reads every PNG back, whatever the prompt holds."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from sdviz.archive.reader import Archive
from sdviz.pictures import infotext
from sdviz.plan.settings import Recipe
from tests.archive.sweeps import IDENTITY, make_plan, write
from tests.request.webui import parse_generation_parameters

_PIECES = (
    "a castle, sunset, oil painting",
    "Steps: 20, Sampler: Euler, CFG scale: 7, Seed: 1",
    'say "hi"',
    "back\\slash",
    "(masterpiece:1.2)",
    "一座红色的金字塔,日落",
    "🏰🌅",
    "line\nbreak",
    "a: b, c: d, e: f",
    "<script>alert(1)</script>",
    "'; DROP TABLE cell; --",
    "\ttab",
    '"',
    '""',
    "Ünïcödé",
    "[a|b]:c",
    "Version: v1.10.1",
    "Size: 512x512",
    "{x} %s %d",
    "\u2028separator",
    "ends with comma,",
    ", starts",
    "\r\nwindows",
    "a" * 500,
    'Template: "x, y"',
    "مرحبا بالعالم",
    "zero\u200bwidth",
    "<lora:x:1>",
)


def hostile_prompts() -> list[str]:
    chance = random.Random(0)
    pairs = list(itertools.permutations(_PIECES, 2))
    return [*_PIECES, *(" ".join(pair) for pair in chance.sample(pairs, 200 - len(_PIECES)))]


def test_webui_reads_every_key_of_every_png_of_200_hostile_prompts(tmp_path: Path) -> None:
    prompts = hostile_prompts()
    assert len(set(prompts)) == 200
    plan = make_plan(
        {"prompt": prompts}, negative='ugly, "bad": x\nworse', steps=1, width=8, height=8
    )
    write(tmp_path, "a", plan)
    archive = Archive(tmp_path / "a")
    for cell in plan.cells:
        with Image.open(archive.image_path(cell.index)) as image:
            found = parse_generation_parameters(image.info["parameters"])
        assert found["Steps"] == "1"
        assert (found["Sampler"], found["Schedule type"]) == ("DPM++ 2M", "Karras")
        assert (found["CFG scale"], found["Seed"]) == ("7", "42")
        assert (found["Size-1"], found["Size-2"]) == ("8", "8")
        assert (found["Model"], found["Model hash"]) == ("miniature", IDENTITY[:10])
        assert (found["RNG"], found["sdviz cell"]) == ("CPU", str(cell.index))
        assert found["Version"].startswith("sdviz ")
        lines = [line.strip() for line in cell.recipe.prompt.strip().split("\n")]
        assert found["Prompt"] == "\n".join(lines).strip()
        assert found["Negative prompt"] == 'ugly, "bad": x\nworse'


def test_webui_reads_every_further_key_of_200_hostile_prompts(tmp_path: Path) -> None:
    files = {"/m/a, b/vae: ft-mse.safetensors": "ab" * 32, "/m/my <best>: lora.pt": "cd" * 32}
    vae, lora = files
    plan = make_plan(
        {"prompt": hostile_prompts()}, steps=1, width=8, height=8, vae=vae, lora=lora,
        lora_scale=0.8, hires_scale=1.5, hires_steps=3, hires_strength=0.6, clip_skip=2, eta=0.5,
        variation_seed=7, variation_strength=0.25, seed_resize="16x8", tiling=True, emphasis="none",
        sampler="DDIM",
    )  # fmt: skip
    write(tmp_path, "a", replace(plan, contents=files))
    archive = Archive(tmp_path / "a")
    for cell in plan.cells:
        with Image.open(archive.image_path(cell.index)) as image:
            found = parse_generation_parameters(image.info["parameters"])
        lines = [line.strip() for line in cell.recipe.prompt.strip().split("\n")]
        assert found.pop("Prompt").endswith(f"{lines[-1]} <lora:my _best__ lora:0.8>".strip())
        for key in ("Steps", "Sampler", "Schedule type", "CFG scale", "Seed", "Size-1", "Size-2"):
            assert found.pop(key)
        for key in ("Model", "Model hash", "Denoise time", "sdviz cell", "sdviz key", "Version"):
            assert found.pop(key)
        assert found == {
            "Negative prompt": "",
            "VAE hash": "ab" * 5, "VAE": "vae: ft-mse.safetensors",
            "Variation seed": "7", "Variation seed strength": "0.25",
            "Seed resize from-1": "16", "Seed resize from-2": "8",
            "Denoising strength": "0.6", "Clip skip": "2", "RNG": "CPU", "Tiling": "True",
            "Hires upscale": "1.5", "Hires steps": "3", "Hires upscaler": "Latent",
            "Emphasis": "None", "Eta": "0.5", "Lora hashes": f"my _best__ lora: {'cd' * 6}",
        }  # fmt: skip


def test_a_lora_at_scale_0_is_none() -> None:
    recipe = {**vars(Recipe(prompt="x", lora="a.safetensors", lora_scale=0.0))}
    pairs = infotext.cell_pairs(
        recipe, {"Sampler": "Heun"}, identity="", extra={}, contents={"a.safetensors": "cd" * 32}
    )
    assert "Lora hashes" not in pairs and infotext.with_lora("x", recipe) == "x"


def test_our_reader_agrees_with_webui() -> None:
    for prompt in hostile_prompts():
        text = infotext.write(
            prompt, "no", {"Steps": 3, "Model": "a, b: c", "Seed": 1, "Note": '"q"'}
        )
        theirs, ours = parse_generation_parameters(text), infotext.read(text)
        assert (ours.prompt, ours.negative) == (theirs["Prompt"], theirs["Negative prompt"])
        assert dict(ours.pairs) == {k: v for k, v in theirs.items() if "rompt" not in k}
        assert ours.pairs["Model"] == "a, b: c"


@pytest.mark.parametrize("prompt", ["", "a\0b", " ", "Negative prompt: x"])
def test_prompts_that_no_text_chunk_can_hold_are_still_archived(
    tmp_path: Path, prompt: str
) -> None:
    write(tmp_path, "a", make_plan({"prompt": [prompt]}))
    archive = Archive(tmp_path / "a")
    with Image.open(archive.image_path(0)) as image:
        assert parse_generation_parameters(image.info["parameters"])["Seed"] == "42"
    assert archive.status == "finished"


@pytest.mark.parametrize(
    ("cfg", "text"), [(7.0, "7"), (7.5, "7.5"), (0.1, "0.1"), (20.0, "20"), (1e-7, "1e-07")]
)
def test_numbers_are_written_as_a_person_would(cfg: float, text: str) -> None:
    assert infotext.number(cfg) == text


def test_a_last_line_of_prose_belongs_to_the_prompt() -> None:
    read = infotext.read("a castle\nin the style of: nobody, really")
    assert read.prompt == "a castle\nin the style of: nobody, really"
    assert not read.pairs


def test_the_order_of_keys_is_webuis() -> None:
    recipe = {**vars(Recipe(width=512, height=512, eta=0.5))}
    pairs = infotext.cell_pairs(recipe, {"Sampler": "DDIM"}, identity="ab" * 32, extra={"X y": 1})
    assert [key for key, value in pairs.items() if value not in (None, "")] == [
        "Steps", "Sampler", "CFG scale", "Seed", "Size", "Model hash", "Model", "RNG", "Eta", "X y",
    ]  # fmt: skip

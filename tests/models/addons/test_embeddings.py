"""Textual inversions: words that stand for vectors, equal to diffusers' own; refusals; keys."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from sdviz import models
from sdviz.errors import ModelError
from sdviz.models.addons import embeddings
from sdviz.models.files.identity import of_file
from sdviz.plan.cells import Cell, cell_key
from sdviz.plan.config import ModelSpec
from sdviz.plan.settings import Recipe
from tests import families, tiny
from tests.commands.sweep.test_sweep import sdviz
from tests.engine.sweeping import by_pipeline, pictures, sweep
from tests.parity.test_families import most_different

WIDTHS = {"sd1": (32,), "sdxl": (32, 40)}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    root = tmp_path_factory.mktemp("models")
    make = {"sd1": tiny.stable_diffusion, "sdxl": families.sdxl}

    def folder(kind: str) -> Path:
        return root / kind if (root / kind).exists() else make[kind](root / kind)

    return folder


def learnt(kind: str, count: int, seed: int = 0) -> dict[str, torch.Tensor]:
    """A file of `count` vectors, as strong as a word's."""
    generator = torch.Generator().manual_seed(seed)
    parts = {
        name: torch.randn(count, width, generator=generator)
        for name, width in zip(embeddings.PARTS, WIDTHS[kind], strict=False)
    }
    return parts if kind == "sdxl" else {"emb_params": parts["clip_l"]}


def cells(*prompts: str, **settings: Any) -> list[Cell]:
    recipes = [
        Recipe(model="tested", prompt=prompt, negative="by smudge", cfg=4.0, sampler="Euler",
               steps=2, width=64, height=64, **settings)
        for prompt in prompts
    ]  # fmt: skip
    return [Cell(i, (i,), one, str(i)) for i, one in enumerate(recipes)]


def original(kind: str, folder: Path, files: dict[str, dict[str, torch.Tensor]]) -> Any:
    """diffusers' own pipeline with the embeddings, by the same words."""
    options: dict[str, Any] = {} if kind == "sdxl" else {"safety_checker": None}
    name = "StableDiffusionXLPipeline" if kind == "sdxl" else "StableDiffusionPipeline"
    pipe = getattr(diffusers, name).from_pretrained(folder, **options)
    pipe.set_progress_bar_config(disable=True)
    pipe.scheduler = diffusers.EulerDiscreteScheduler.from_config(pipe.scheduler.config)
    for word, tensors in files.items():
        for i, vectors in enumerate(tensors.values()):
            end = f"_{i + 1}" if i else ""
            pipe.load_textual_inversion(
                {word: vectors}, token=word, tokenizer=getattr(pipe, f"tokenizer{end}"),
                text_encoder=getattr(pipe, f"text_encoder{end}"),
            )  # fmt: skip
    return pipe


@pytest.mark.parametrize("kind", WIDTHS)
def test_a_word_is_what_diffusers_makes_of_it(
    kind: str, folders: Callable[[str], Path], tmp_path: Path
) -> None:
    files = {"moonish": learnt(kind, 3, seed=1), "smudge": learnt(kind, 1, seed=2)}
    for word, tensors in files.items():
        save_file(tensors, tmp_path / f"{word}.safetensors")
    spec = ModelSpec(name="tested", id=str(folders(kind)))
    asked = cells("a cat, moonish, sitting", "red dogs")
    made = pictures(sweep([replace(cell, recipe=replace(cell.recipe, embedding=str(tmp_path)))
                           for cell in asked], spec=spec))  # fmt: skip
    pipe = functools.partial(original(kind, folders(kind), files), negative_prompt="by smudge")
    assert most_different(made, {cell.index: by_pipeline(pipe, cell.recipe) for cell in asked}) <= 1
    plain = pictures(sweep(asked, spec=spec))
    assert all((made[i] != plain[i]).any() for i in plain)  # the negative prompt has a word too


def hidden(folder: Path, prompt: str, embedding: Path | str = "") -> torch.Tensor:
    denoiser: Any = models.load(ModelSpec(name="t", id=str(folder), trust_pickle=True))
    text = denoiser.texts(Recipe(prompt=prompt, embedding=str(embedding)))[0]
    states: torch.Tensor = denoiser.encode([text])[0]["encoder_hidden_states"]
    return states


def test_how_a_word_is_written_and_kept_makes_no_difference(
    folders: Callable[[str], Path], tmp_path: Path
) -> None:
    folder, file = folders("sd1"), tmp_path / "a" / "moonish.safetensors"
    file.parent.mkdir()
    vectors = learnt("sd1", 3)
    save_file(vectors, file)
    expected = hidden(folder, "a moonish cat", file)
    for spelling in ("a MoonIsh cat", "a embedding:moonish cat", "a (moonish:1) cat"):
        assert torch.equal(hidden(folder, spelling, file), expected), spelling
    assert not torch.equal(hidden(folder, "a (moonish:1.5) cat", file), expected)
    without = hidden(folder, "a moonishly cat", tmp_path / "a")  # another word
    assert torch.equal(without, hidden(folder, "a moonishly cat"))
    # diffusers' way, and that of stable-diffusion-webui's pickles
    save_file({"<moon>": vectors["emb_params"][0]}, tmp_path / "moonish.safetensors")
    save_file({"emb_params": vectors["emb_params"][:1]}, file)
    one = hidden(folder, "a moonish cat", tmp_path / "moonish.safetensors")
    assert torch.equal(one, hidden(folder, "a moonish cat", file))
    pickled = tmp_path / "b" / "moonish.pt"
    pickled.parent.mkdir()
    torch.save({"string_to_param": {"*": vectors["emb_params"][:1]}, "name": "moon"}, pickled)
    assert torch.equal(one, hidden(folder, "a moonish cat", pickled))


def test_a_words_vectors_stay_in_one_chunk(folders: Callable[[str], Path], tmp_path: Path) -> None:
    save_file(learnt("sd1", 5), tmp_path / "moonish.safetensors")
    fits, moves = "x" * 70 + " moonish", "x" * 71 + " moonish"
    assert len(hidden(folders("sd1"), fits, tmp_path)) == 77
    states = hidden(folders("sd1"), moves, tmp_path)
    assert torch.equal(states[77:], hidden(folders("sd1"), "moonish", tmp_path))


def test_only_what_is_said_counts_in_the_key(tmp_path: Path) -> None:
    recipe = Recipe(prompt="a moonish cat", embedding="here", width=64, height=64)

    def key(recipe: Recipe) -> str:
        contents = {"here": embeddings.content(str(tmp_path))}
        return cell_key(recipe, model_identity="m", dtype="float32", contents=contents)

    save_file(learnt("sd1", 1), tmp_path / "moonish.safetensors")
    silent = replace(recipe, prompt="a cat")
    before, plain = key(recipe), key(silent)
    assert plain == key(replace(silent, embedding=""))
    save_file(learnt("sd1", 1), tmp_path / "other.safetensors")
    assert (key(recipe), key(silent)) == (before, plain)
    save_file(learnt("sd1", 2), tmp_path / "moonish.safetensors")
    assert key(recipe) != before and key(silent) == plain


def test_what_does_not_fit_is_refused(folders: Callable[[str], Path], tmp_path: Path) -> None:
    def refused(words: str, name: Path, said: str = "moonish", kind: str = "sd1") -> None:
        spec = ModelSpec(name="t", id=str(folders(kind)))
        with pytest.raises(ModelError, match=words):
            embeddings.check(str(name), [said], spec, models.inspect(spec))

    save_file(learnt("sdxl", 1), tmp_path / "moonish.safetensors")
    refused("vectors of 32 and 40 numbers, .* of t take 32; ", tmp_path)
    torch.save({"string_to_param": {"*": torch.zeros(1, 32)}}, tmp_path / "smudge.pt")
    refused(r"can run any code.*model\.trust_pickle=true", tmp_path, "smudge")
    (tmp_path / "empty").mkdir()
    refused(r"does not contain, a .pt, .bin, .safetensors file", tmp_path / "empty")
    refused("no file or folder", tmp_path / "nowhere")


def test_the_command_tells_of_embeddings(tmp_path: Path) -> None:
    save_file({"emb_params": torch.zeros(2, 128)}, tmp_path / "smudge.safetensors")
    common = ("steps=1", "preview=off", "visdom.enabled=false", f"embedding={tmp_path}", "name=a")
    wrong = sdviz(*common, "negative=smudge", "emphasis=none", "model.kind=kolors", cwd=tmp_path)
    assert wrong.returncode == 2 and "embedding: needs emphasis=a1111" in wrong.stderr
    silent = sdviz(*common, "dry_run=true", cwd=tmp_path)
    assert "no prompt uses one of its words (smudge)" in silent.stderr
    assert not (tmp_path / "outputs").exists()
    made = sdviz(*common, "negative=smudge", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    (picture,) = (tmp_path / "outputs" / "a" / "images").glob("*.png")
    with Image.open(picture) as image:
        said = image.info["parameters"]
    assert f'TI hashes: "smudge: {of_file(tmp_path / "smudge.safetensors")[:12]}"' in said
    again = sdviz(f"from={picture}", "preview=off", "visdom.enabled=false", cwd=tmp_path)
    assert "all cells are archived" in again.stdout, again.stderr  # by the picture's own recipe

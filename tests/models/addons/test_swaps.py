"""Models and VAEs as axes: each loaded once, none kept, none mixed up; and what does not fit."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from safetensors.torch import save_file

from sdviz import models
from sdviz.errors import ModelError
from sdviz.events import Note
from sdviz.models import loading
from sdviz.models.addons import checks
from sdviz.models.addons.fitting import Fitting
from sdviz.plan.config import ModelSpec
from sdviz.plan.settings import Recipe
from tests import families, tiny
from tests.engine import sweeping
from tests.models import loras, single


@pytest.fixture(scope="module")
def other_vae(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(9)
    folder = tmp_path_factory.mktemp("vae") / "other"
    families.vae(scaling_factor=0.3).save_pretrained(folder)
    return folder


def sweep(recipes: list[Recipe], folders: dict[str, Path]) -> list[Any]:
    specs = {name: ModelSpec(name=name, id=str(path)) for name, path in folders.items()}
    done = sweeping.pictures(sweeping.sweep(sweeping.in_cells(recipes), models=specs))
    return [done[i] for i in range(len(recipes))]


def recipe(**settings: Any) -> Recipe:
    return Recipe(prompt="a cat", cfg=4, steps=2, width=64, height=64, **settings)


def test_another_vae_is_that_of_the_pipeline(tiny_model: Path, other_vae: Path) -> None:
    made = sweep([recipe(model="a"), recipe(model="a", vae=str(other_vae))], {"a": tiny_model})
    pipe = diffusers.StableDiffusionPipeline.from_pretrained(
        tiny_model, vae=AutoencoderKL.from_pretrained(other_vae), safety_checker=None
    )
    pipe.set_progress_bar_config(disable=True)
    pipe.scheduler = diffusers.DPMSolverMultistepScheduler.from_config(
        pipe.scheduler.config, use_karras_sigmas=True, algorithm_type="dpmsolver++"
    )
    generator = torch.Generator().manual_seed(42)
    expected = pipe(
        "a cat", guidance_scale=4.0, num_inference_steps=2, width=64, height=64, generator=generator
    ).images[0]
    assert int(np.abs(made[1].astype(int) - np.asarray(expected)).max()) <= 1
    assert int(np.abs(made[1].astype(int) - made[0]).max()) > 8


def test_a_vae_in_one_file(tiny_model: Path, tmp_path: Path) -> None:
    """The model's own VAE by CompVis's names: nothing may change."""
    weights = single.checkpoint(tiny_model, text="clip")
    prefix = "first_stage_model."
    bare = {k.removeprefix(prefix): t for k, t in weights.items() if k.startswith(prefix)}
    save_file(bare, tmp_path / "vae.safetensors")
    file = str(tmp_path / "vae.safetensors")
    own, same = sweep([recipe(model="a"), recipe(model="a", vae=file)], {"a": tiny_model})
    assert int(np.abs(own.astype(int) - same).max()) <= 1


def test_a_vae_that_half_precision_is_wide_enough_for(tmp_path: Path) -> None:
    """Stable Diffusion XL's own is not."""
    spec = ModelSpec(name="a", id=str(families.sdxl(tmp_path / "model")))
    wide, narrow = (tmp_path / name for name in ("wide", "narrow"))
    families.vae(scaling_factor=0.13025).save_pretrained(wide)
    families.vae(scaling_factor=0.13025, force_upcast=False).save_pretrained(narrow)
    denoiser: Any = models.load(spec, dtype="float16")
    fitting = Fitting(denoiser, spec)
    assert denoiser.vae.dtype == torch.float32
    for vae, expected in ((wide, torch.float32), (narrow, torch.float16)):
        fitting.fit(recipe(model="a", vae=str(vae)))
        assert denoiser.vae.dtype == expected
        assert denoiser.decode(torch.zeros(1, 4, 8, 8)).isfinite().all()


def test_a_vae_that_does_not_fit(tiny_model: Path, tmp_path: Path) -> None:
    spec = ModelSpec(name="a", id=str(tiny_model))
    info = models.inspect(spec)
    families.vae(16).save_pretrained(tmp_path / "wide")
    with pytest.raises(ModelError, match="latents of 16 channels, and that of a latents of 4"):
        checks.check_vae(str(tmp_path / "wide"), spec, info)
    with pytest.raises(ModelError, match=r"has no config\.json"):
        checks.check_vae(str(tmp_path), spec, info)


def test_a_batch_that_memory_was_too_small_for_is_not_tried_with_every_vae(
    tiny_model: Path, other_vae: Path
) -> None:
    model: Any = models.load(ModelSpec(id=str(tiny_model)))
    predict = model.predict

    def scarce(x: torch.Tensor, *rest: Any) -> torch.Tensor:
        if len(x) > 4:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        predicted: torch.Tensor = predict(x, *rest)
        return predicted

    model.predict = scarce
    recipes = [recipe(seed=seed, vae=vae) for vae in ("", str(other_vae)) for seed in range(4)]
    cells = sweeping.in_cells(recipes)
    events = sweeping.sweep(cells, folder=tiny_model, batch=0, load=lambda *_, **__: model)
    assert len(sweeping.pictures(events)) == len(cells)
    noted = [note for note in sweeping.of_type(events, Note) if note.kind == "memory"]
    assert [note.data["rows"] for note in noted] == [4]


def test_each_model_is_loaded_once_and_freed(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tiny.stable_diffusion(tmp_path / "other", prediction="v_prediction")
    loaded: list[tuple[str, weakref.ref[Any]]] = []
    alive: list[int] = []
    load = loading.load

    def watched(spec: ModelSpec, **options: Any) -> Any:
        gc.collect()
        alive.append(sum(reference() is not None for _, reference in loaded))
        denoiser = load(spec, **options)
        loaded.append((spec.name, weakref.ref(denoiser.unet)))
        return denoiser

    monkeypatch.setattr(loading, "load", watched)
    lora = str(loras.kohya(loras.pairs(tiny_model), tmp_path))
    recipes = [recipe(model=name, seed=seed) for seed in (1, 2) for name in ("a", "b")]
    sweep([*recipes, recipe(model="a", lora=lora)], {"a": tiny_model, "b": other})
    assert [name for name, _ in loaded] == ["a", "b"]
    assert alive == [0, 0]  # nothing of the first was left when the second came

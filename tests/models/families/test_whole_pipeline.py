"""Stable Diffusion 3 and Flux, several cells in one batch, against diffusers' own pipelines."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from experiments.reference import Reference
from sdviz import models
from sdviz.engine.preview import to_pixels
from sdviz.errors import ModelError
from sdviz.events import CellFinished, Event, Frame, Note
from sdviz.models.addons import checks
from sdviz.models.families.whole_pipeline import Evaluation, WholePipeline
from sdviz.plan.cells import Cell
from sdviz.plan.config import ModelSpec, PreviewConfig
from sdviz.plan.settings import Recipe
from tests import families
from tests.engine import sweeping

PIPELINES: dict[str, tuple[Callable[[Path], Path], Any, tuple[str, ...]]] = {
    "sd3": (families.sd3, diffusers.StableDiffusion3Pipeline, ("Euler", "Heun")),
    "flux": (families.flux, diffusers.FluxPipeline, ("Euler", "Euler")),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("pipelines")
    return {name: make(root / name) for name, (make, _, _) in PIPELINES.items()}


def cells(samplers: tuple[str, ...], **settings: Any) -> list[Cell]:
    recipes = [
        Recipe(
            model="tested",
            prompt="a cat, sitting",
            cfg=4.0,
            sampler=sampler,
            steps=3,
            seed=7 + i,
            width=64,
            height=64,
            **settings,
        )
        for i, sampler in enumerate(samplers)
    ]
    return sweeping.in_cells(recipes)


def sweep(
    folder: Path, made: list[Cell], should_stop: Callable[[], bool] = lambda: False
) -> list[Event]:
    preview = PreviewConfig(decoder="auto")
    return sweeping.sweep(made, folder=folder, preview=preview, should_stop=should_stop)


def reference(folder: Path, pipeline: Any, recipe: Recipe) -> NDArray[np.uint8]:
    without = {"text_encoder_3": None, "tokenizer_3": None} if "sd3" in folder.name else {}
    pipe = pipeline.from_pretrained(folder, **without)
    pipe.set_progress_bar_config(disable=True)
    if recipe.sampler == "Heun":
        heun = diffusers.FlowMatchHeunDiscreteScheduler
        pipe.scheduler = heun.from_config(pipe.scheduler.config)
    return sweeping.by_pipeline(pipe, recipe)


@pytest.mark.parametrize("name", PIPELINES)
def test_a_pipeline_equals_itself_and_has_frames(name: str, folders: dict[str, Path]) -> None:
    _, pipeline, samplers = PIPELINES[name]
    asked = cells(samplers)
    events = sweep(folders[name], asked)
    made = {event.cell: event.pixels for event in events if isinstance(event, CellFinished)}
    for cell in asked:
        expected = reference(folders[name], pipeline, cell.recipe)
        assert int(np.abs(made[cell.index].astype(int) - expected).max()) <= 1
        frames = [e for e in events if isinstance(e, Frame) and e.cell == cell.index]
        assert [frame.step for frame in frames] == [1, 2, 3]
        assert all(frame.pixels is not None for frame in frames)
        assert frames[-1].pixels is not None and frames[-1].sigma == 0
        assert frames[-1].pixels.tobytes() == made[cell.index].tobytes()
    done = [event.timings for event in events if isinstance(event, CellFinished)]
    assert max(timings.batch for timings in done) > 1, "cells ride together"
    assert not [e for e in events if isinstance(e, Note) and e.kind == "solo"]


@pytest.mark.parametrize("name", PIPELINES)
def test_encoding_is_told_from_denoising(
    name: str, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, pipeline, samplers = PIPELINES[name]
    encode = pipeline.encode_prompt

    def slowly(self: Any, *given: Any, **more: Any) -> Any:
        time.sleep(0.2)
        return encode(self, *given, **more)

    monkeypatch.setattr(pipeline, "encode_prompt", slowly)
    began = time.perf_counter()
    events = sweep(folders[name], cells(samplers)[:1])
    wall = time.perf_counter() - began
    (times,) = [event.timings for event in events if isinstance(event, CellFinished)]
    assert times.encode_s >= 0.2
    assert times.encode_s + times.denoise_s + times.preview_s + times.decode_s <= wall


def test_a_pipeline_without_flow_matching_takes_every_sampler(tiny_model: Path) -> None:
    """As PixArt does; here a Stable Diffusion that is told to be of no known kind."""
    spec = ModelSpec(name="tested", id=str(tiny_model), kind="other")
    model = models.load(spec)
    assert isinstance(model, WholePipeline)
    ours = models.load(ModelSpec(name="tested", id=str(tiny_model)))
    assert not isinstance(ours, WholePipeline)
    whole = Reference(tiny_model)
    for sampler in ("DPM++ 2M Karras", "Euler a", "Heun", "PLMS"):
        recipe = Recipe(
            prompt="a cat", cfg=4, sampler=sampler, steps=3, seed=1, width=64, height=64
        )
        seen: list[Evaluation] = []
        pixels = to_pixels(model.generate(recipe, seen.append)[None])[0]
        assert int(np.abs(pixels.astype(int) - whole.image(recipe)).max()) <= 1
        assert seen[-1].sigma == 0
        assert [e.sigma for e in seen] == sorted((e.sigma for e in seen), reverse=True)
        last = seen[-1].x0 if sampler != "Heun" else seen[-1].latents
        torch.testing.assert_close(last, seen[-1].latents.float(), rtol=0, atol=0.3)


@pytest.mark.parametrize("name", PIPELINES)
def test_x0_of_the_only_step_is_the_image(name: str, folders: dict[str, Path]) -> None:
    """With one Euler step the scheduler ends where the model says that it will."""
    model = models.load(ModelSpec(name="tested", id=str(folders[name])))
    assert isinstance(model, WholePipeline)
    seen: list[Evaluation] = []
    recipe = Recipe(prompt="red dogs", cfg=4, sampler="Euler", steps=1, width=64, height=64)
    model.generate(recipe, seen.append)
    assert len(seen) == 1
    torch.testing.assert_close(seen[0].x0, seen[0].latents.float(), rtol=1e-4, atol=1e-4)


def test_stopping_within_a_cell(folders: dict[str, Path]) -> None:
    asked = cells(("Euler", "Euler"))
    stopped = sweep(folders["sd3"], asked, should_stop=_after(2))
    assert not [event for event in stopped if isinstance(event, CellFinished)]


def _after(count: int) -> Callable[[], bool]:
    """Says so from the call of that number on."""
    calls = iter(range(1_000_000))
    return lambda: next(calls) > count


def test_what_a_flow_model_does_not_take(folders: dict[str, Path]) -> None:
    spec = ModelSpec(name="tested", id=str(folders["flux"]))
    info = models.inspect(spec)
    assert info.defaults["sampler"] == "Euler"
    with pytest.raises(ModelError, match="use sampler=Euler"):
        checks.check_sampler("DPM++ 2M Karras", spec, info)
    with pytest.raises(ModelError, match="whose VAE cannot be replaced"):
        checks.check_vae("anything/else", spec, info)


def test_what_a_pipeline_does_not_take_is_refused_or_told_before_it_is_loaded(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    from sdviz.errors import ConfigErrors
    from sdviz.request.compose import prepare

    flux = [f"model={folders['flux']}", f"outputs={tmp_path}", "visdom=off", "device=cpu"]
    with pytest.raises(ConfigErrors, match=r"^eta: FluxPipeline, which .* does not support it$"):
        prepare([*flux, "eta=0.5"])
    weighted, distilled = prepare([*flux, "prompt=a (cat:1.2)", "negative=a dog"]).warnings
    assert weighted.startswith("emphasis: ") and weighted.endswith("including brackets")
    assert distilled.startswith("negative: has no effect on ")
    sd3 = [f"model={folders['sd3']}", *flux[1:]]
    assert not prepare([*sd3, "prompt=a (cat:1.2)", "emphasis=none", "negative=a dog"]).warnings


def test_each_model_may_have_settings_of_its_own(folders: dict[str, Path], tmp_path: Path) -> None:
    from sdviz.errors import ConfigErrors
    from sdviz.request.compose import prepare

    models = f"model=miniature,{folders['sd3']}"
    words = [f"outputs={tmp_path}", "visdom=off", "device=cpu", models]
    own = ["tiling=true,false", "sampler=euler_a,Euler", "clip_skip=2,1"]
    found = prepare([*words, *own, "zip=[[model,tiling,sampler,clip_skip]]"]).plan.cells
    assert [(one.recipe.tiling, one.recipe.sampler) for one in found] == [
        (True, "Euler a"), (False, "Euler"),
    ]  # fmt: skip
    rule = f"exclude=model={folders['sd3']} tiling=true"
    assert len(prepare([*words, "sampler=Euler", "tiling=false,true", rule]).plan.cells) == 3
    with pytest.raises(ConfigErrors, match=r"tiling: .* does not support it"):
        prepare([*words, "sampler=Euler", "tiling=false,true"])

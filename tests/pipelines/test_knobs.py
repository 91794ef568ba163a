"""`cfg` and `negative` reach every pipeline by the names that it has for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import yaml

from sdviz.models.files import diffusers_source, guidance
from sdviz.plan.config import ModelSpec, conf_dir
from sdviz.plan.settings import SETTINGS
from tests import families
from tests.engine.sweeping import cells_of, pictures, sweep
from tests.pipelines import making
from tests.pipelines.test_batches import alone
from tests.reading import reader


def swept(folder: Path, *settings: dict[str, Any]) -> list[Any]:
    spec = ModelSpec(name="tested", id=str(folder))
    made = pictures(sweep(cells_of(*({"steps": 2, **one} for one in settings)), spec=spec))
    return [made[i].astype(int) for i in range(len(settings))]


def warned(folder: Path, tmp_path: Path, **settings: Any) -> str:
    request = reader(folder, tmp_path)(sampler="Euler", steps=2, **settings)
    return "\n".join(request.warnings)


def test_qwen_image_heeds_cfg_and_negative(tmp_path: Path) -> None:
    pipeline = making.saved("qwen_image", tmp_path / "model")
    settings = [
        {"cfg": 1.0}, {"cfg": 4.0}, {"cfg": 7.0}, {"cfg": 4.0, "negative": "red dogs"},
    ]  # fmt: skip
    made = swept(tmp_path / "model", *settings)
    assert len({one.tobytes() for one in made}) == len(settings)
    for cell, one in zip(cells_of(*({"steps": 2, **s} for s in settings)), made, strict=True):
        assert np.abs(one - alone(pipeline, cell)).max() <= 1


@pytest.mark.parametrize("distilled", [True, False])
def test_both_kinds_of_flux(distilled: bool, tmp_path: Path) -> None:
    """Flux dev has its CFG scale as an input; schnell has none, and true CFG instead."""
    folder = families.flux(tmp_path / "model", distilled=distilled)
    low, high, with_negative = swept(
        folder, {"cfg": 1.0}, {"cfg": 4.0}, {"cfg": 4.0, "negative": "red dogs"}
    )
    assert (np.abs(low - high).max() > 0) == distilled
    assert (np.abs(high - with_negative).max() > 0) == (not distilled)
    pipeline = diffusers.FluxPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    (cell,) = cells_of({"cfg": 4.0, "negative": "" if distilled else "red dogs", "steps": 2})
    made = high if distilled else with_negative
    assert np.abs(made - alone(pipeline, cell)).max() <= 1
    told = warned(folder, tmp_path, cfg=[1, 4])
    assert ("cfg: has no effect" in told) == (not distilled)


def test_guiders_take_cfg(tmp_path: Path) -> None:
    making.saved("hunyuan_image", tmp_path / "model")
    low, high = swept(tmp_path / "model", {"cfg": 2.0}, {"cfg": 6.0})
    assert np.abs(low - high).max() > 0


def test_a_pipeline_brings_its_own_steps_and_cfg(tmp_path: Path) -> None:
    making.saved("z_image", tmp_path / "z_image")
    making.saved("qwen_image", tmp_path / "qwen_image")
    for name, steps, cfg in (("z_image", 50, 5.0), ("qwen_image", 50, 4.0)):
        recipe = reader(tmp_path / name, tmp_path)().plan.cells[0].recipe
        assert (recipe.steps, recipe.cfg, recipe.sampler) == (steps, cfg, "Euler")
        recipe = reader(tmp_path / name, tmp_path)(steps=3, cfg=2).plan.cells[0].recipe
        assert (recipe.steps, recipe.cfg) == (3, 2.0)


@pytest.mark.parametrize(
    "path", sorted((conf_dir() / "model").glob("*.yaml")), ids=lambda p: p.stem
)
def test_the_names_of_models_have_settings_that_exist(path: Path) -> None:
    spec = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert "id" in spec
    for name, value in spec.get("defaults", {}).items():
        assert SETTINGS[name].checked(value)


def test_every_pipeline_has_a_knob_for_cfg() -> None:
    """Those of diffusers that are taken, as far as they take texts."""
    known = {
        "FluxPipeline": ("true_cfg_scale", "guidance_scale"),
        "QwenImagePipeline": ("true_cfg_scale", "guidance_scale"),
        "HunyuanImagePipeline": ("", "distilled_guidance_scale"),
        "ZImagePipeline": ("guidance_scale", "guidance_scale"),
        "ChromaPipeline": ("guidance_scale", "guidance_scale"),
    }
    for name, (without, distilled) in known.items():
        assert not diffusers_source.why_not(name)
        taken = diffusers_source.call(name)
        assert guidance.of(taken, False).argument == without, name
        assert guidance.of(taken, True).argument == distilled, name

"""Samplers on a model's own timesteps: those that it was published with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch

from experiments.reference import Reference
from sdviz.plan.cells import Cell
from sdviz.plan.config import PreviewConfig
from sdviz.plan.settings import Recipe
from tests import tiny
from tests.engine import sweeping
from tests.parity.test_families import most_different
from tests.parity.test_parity import images
from tests.reading import reader

ZERO_SNR = {"timestep_spacing": "trailing", "rescale_betas_zero_snr": True}


def published(folder: Path, **scheduler: Any) -> Path:
    """A Stable Diffusion that predicts v, with a DDIM scheduler configured so."""
    made = tiny.stable_diffusion(folder, prediction="v_prediction")
    file = made / "scheduler" / "scheduler_config.json"
    config = {**json.loads(file.read_text()), "_class_name": "DDIMScheduler", **scheduler}
    config["clip_sample"] = False
    file.write_text(json.dumps(config))
    index = made / "model_index.json"
    entries = {**json.loads(index.read_text()), "scheduler": ["diffusers", "DDIMScheduler"]}
    index.write_text(json.dumps(entries))
    return made


@pytest.mark.parametrize("spacing", ["trailing", "linspace", "leading"])
def test_ddim_is_that_of_the_model_as_published(spacing: str, tmp_path: Path) -> None:
    folder = published(tmp_path / "model", **{**ZERO_SNR, "timestep_spacing": spacing})
    recipe = Recipe(model="tested", prompt="a cat", cfg=4.0, sampler="DDIM", steps=5, seed=3,
                    width=64, height=64)  # fmt: skip
    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(folder, safety_checker=None)
    pipeline.set_progress_bar_config(disable=True)
    result = pipeline(recipe.prompt, guidance_scale=4.0, num_inference_steps=5, width=64, height=64,
                      generator=torch.Generator("cpu").manual_seed(3))  # fmt: skip
    made = images([Cell(0, (0,), recipe, "0")], folder, rows=2)
    assert most_different(made, {0: np.asarray(result.images[0])}) <= 1


def test_another_spacing_counts_in_the_keys_of_ddim_alone(tmp_path: Path) -> None:
    folder = published(tmp_path / "model", timestep_spacing="trailing")
    reading = reader(folder, tmp_path)
    plan = reading(sampler="ddim,euler,DDIM SGM Uniform").plan
    assert len(plan.contents) == 1
    plain = reading(sampler="euler,DDIM SGM Uniform").plan
    assert not plain.contents
    assert [cell.key for cell in plan.cells[1:]] == [cell.key for cell in plain.cells]


@pytest.mark.parametrize("sampler", ["DDIM SGM Uniform", "DDPM SGM Uniform", "LCM", "Euler"])
def test_samplers_of_a_zero_terminal_snr(sampler: str, tmp_path: Path) -> None:
    """Their first timestep has no picture left in it: its noise level is infinite."""
    folder = published(tmp_path / "model", **ZERO_SNR)
    recipe = Recipe(model="tested", prompt="a cat", cfg=4.0, sampler=sampler, steps=4, seed=3,
                    width=64, height=64)  # fmt: skip
    made = images([Cell(0, (0,), recipe, "0")], folder, rows=2)
    assert most_different(made, {0: Reference(folder).image(recipe)}) <= 1


def test_frames_of_a_zero_terminal_snr_show_what_is_predicted(tmp_path: Path) -> None:
    folder = published(tmp_path / "model", **ZERO_SNR)
    cells = sweeping.cells_of({"sampler": "DDIM SGM Uniform", "steps": 4})
    events = sweeping.sweep(cells, folder=folder, preview=PreviewConfig(decoder="vae"))
    frames = sweeping.frames(events, 0)
    assert all(np.isfinite(frame.sigma) and frame.stats.std > 0 for frame in frames)
    assert all(np.isfinite(frame.stats.mean) for frame in frames)

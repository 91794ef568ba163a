"""VAEs whose configuration has the mean and deviation of their latents: heeded as by diffusers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionXLImg2ImgPipeline

from experiments.reference import Reference
from sdviz import models
from sdviz.models.families.whole_pipeline import WholePipeline
from sdviz.plan.config import ModelSpec
from tests.engine.sweeping import cells_of, pictures, sweep
from tests.parity.test_families import FAMILIES, most_different

STATISTICS = {"latents_mean": [0.5, -1.0, 0.2, 0.0], "latents_std": [2.0, 1.5, 0.7, 1.0]}


def with_statistics(family: str, folder: Path) -> Path:
    made = FAMILIES[family][0](folder)
    file = made / "vae" / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **STATISTICS}))
    return made


@pytest.mark.parametrize("family", FAMILIES)
def test_pictures_are_those_of_the_pipeline(family: str, tmp_path: Path) -> None:
    """Stable Diffusion XL's heeds them, those of 2 and of Kolors do not."""
    folder = with_statistics(family, tmp_path / family)
    (cell,) = cells_of({})
    expected = Reference(folder, FAMILIES[family][1]).image(cell.recipe)
    assert most_different(pictures(sweep([cell], folder=folder)), {0: expected}) <= 1


def test_init_images_are_encoded_as_by_the_pipeline(tmp_path: Path) -> None:
    folder = with_statistics("sdxl", tmp_path / "sdxl")
    denoiser = models.load(ModelSpec(name="tested", id=str(folder)))
    assert not isinstance(denoiser, WholePipeline)
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(2)) * 2 - 1
    with torch.inference_mode():
        made = denoiser.scaled(
            denoiser.vae.encode(image).latent_dist.sample(torch.Generator().manual_seed(3))
        )
        pipeline = StableDiffusionXLImg2ImgPipeline.from_pretrained(folder)
        expected = pipeline.prepare_latents(
            image, None, 1, 1, torch.float32, "cpu", torch.Generator().manual_seed(3),
            add_noise=False,
        )  # fmt: skip
    assert torch.allclose(made, expected, atol=1e-5)

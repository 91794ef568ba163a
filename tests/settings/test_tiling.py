"""Pictures whose edges fit together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from diffusers import UNet2DConditionModel

from sdviz.models.families.seamless import Tiling
from tests.settings.making import Pipelines, apart, made, recipe


def test_the_network_follows_a_shifted_picture_around_the_edge(tiny_model: Path) -> None:
    """Rolled input, rolled output: so with wrapped convolutions alone."""
    unet = UNet2DConditionModel.from_pretrained(tiny_model, subfolder="unet")
    x = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    text = torch.randn(1, 77, 32, generator=torch.Generator().manual_seed(1))
    tiling = Tiling([unet])

    @torch.no_grad()
    def error() -> float:
        straight = unet(x, 500, encoder_hidden_states=text).sample.roll(4, dims=3)
        rolled = unet(x.roll(4, dims=3), 500, encoder_hidden_states=text).sample
        return float((straight - rolled).abs().max())

    plain = error()
    tiling.switch(on=True)
    wrapped = error()
    tiling.switch(on=False)
    assert wrapped < 1e-4 < plain / 10
    assert error() == plain


def test_cells_with_tiling_and_without_do_not_disturb_each_other(
    tiny_model: Path, pipelines: Pipelines
) -> None:
    base = recipe(sampler="Euler")
    recipes = [base, replace(base, tiling=True), replace(base, seed=8),
               replace(base, seed=8, tiling=True)]  # fmt: skip
    pictures = made(recipes, tiny_model)
    assert apart(pictures[0], pipelines(base)) <= 1
    assert apart(pictures[2], pipelines(recipes[2])) <= 1
    assert apart(pictures[1], made([recipes[1]], tiny_model)[0]) <= 1
    assert not np.array_equal(pictures[0], pictures[1])

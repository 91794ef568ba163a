"""Stable Diffusion 2, XL and Kolors, in mixed batches, against diffusers' own pipelines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
from numpy.typing import NDArray

from experiments.reference import Reference
from sdviz.plan.cells import Cell
from sdviz.plan.settings import Recipe
from tests import families, tiny
from tests.parity.test_parity import images

SAMPLERS = ("DPM++ 2M Karras", "Euler a", "DDIM", "Heun", "UniPC", "PLMS")


def sd2(folder: Path) -> Path:
    return tiny.stable_diffusion(folder, prediction="v_prediction", cross_attention=1024)


FAMILIES: dict[str, tuple[Callable[[Path], Path], Any]] = {
    "sd2": (sd2, diffusers.StableDiffusionPipeline),
    "sdxl": (families.sdxl, diffusers.StableDiffusionXLPipeline),
    "kolors": (families.kolors, diffusers.KolorsPipeline),
}


def cells() -> list[Cell]:
    recipes = [
        Recipe(
            model="tested",
            prompt=("a cat, sitting", "red dogs")[i % 2],
            negative=("", "blurry", "")[i % 3],
            cfg=(7.5, 4.0, 1.0)[i // 2 % 3],
            sampler=name,
            steps=3 + i % 2,
            seed=i,
            width=(64, 96)[i // 3],
            height=64,
        )
        for i, name in enumerate(SAMPLERS)
    ]
    return [Cell(i, (i,), recipe, str(i)) for i, recipe in enumerate(recipes)]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_equals_its_pipeline(family: str, tmp_path: Path) -> None:
    make, pipeline = FAMILIES[family]
    folder = make(tmp_path / family)
    reference = Reference(folder, pipeline)
    expected = {cell.index: reference.image(cell.recipe) for cell in cells()}
    made = images(cells(), folder, rows=10)
    assert most_different(made, expected) <= 1
    assert len({picture.tobytes() for picture in expected.values()}) == len(expected)
    assert most_different({0: made[0]}, {0: expected[1]}) > 8  # the recipes are told apart


def most_different(
    made: dict[int, NDArray[np.uint8]], expected: dict[int, NDArray[np.uint8]]
) -> int:
    return max(int(np.abs(made[i].astype(int) - expected[i]).max()) for i in expected)

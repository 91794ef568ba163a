"""Every sampler, alone and in mixed batches, against diffusers' own pipeline."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from experiments.reference import Reference
from sdviz.models.files.places import MINIATURE
from sdviz.plan import samplers
from sdviz.plan.cells import Cell
from sdviz.plan.settings import Recipe
from tests.engine.sweeping import pictures, sweep

PROMPTS = ("a cat, sitting", "red dog (3 cars)", "moon")
SCALES = (7.5, 1.0, 3.0, 12.0)


def mixed_cells(size: int) -> list[Cell]:
    """One cell a sampler; CFG scale, steps, seed, prompts and eta differ from cell to cell."""
    recipes = [
        Recipe(
            model="tested",
            prompt=PROMPTS[i % 3],
            emphasis="none",  # diffusers takes brackets as they are
            negative=("", "blue", "blurry, dark")[i // 2 % 3],
            cfg=SCALES[i % 4],
            sampler=name,
            steps=3 + i % 3,
            seed=100 + i // 5,
            width=size,
            height=size,
            eta=0.7 if name == "DDIM SGM Uniform" else None,
        )
        for i, name in enumerate(samplers.names())
    ]
    return [Cell(i, (i,), recipe, str(i)) for i, recipe in enumerate(recipes)]


def images(cells: list[Cell], folder: Path, *, rows: int) -> dict[int, NDArray[np.uint8]]:
    return pictures(sweep(cells, folder=folder, batch=rows))


@pytest.fixture(scope="module")
def expected(tiny_model: Path) -> dict[int, NDArray[np.uint8]]:
    return references(tiny_model, 64)


def references(folder: Path, size: int) -> dict[int, NDArray[np.uint8]]:
    reference = Reference(folder)
    return {cell.index: reference.image(cell.recipe) for cell in mixed_cells(size)}


def differences(
    folder: Path, size: int, rows: int, expected: dict[int, NDArray[np.uint8]]
) -> dict[str, int]:
    """The largest difference of a pixel, by sampler, of those that differ by more than rounding."""
    cells = mixed_cells(size)
    made = images(cells, folder, rows=rows)
    most = {
        f"{cell.recipe.sampler} (cell {cell.index})": int(
            np.abs(made[cell.index].astype(int) - expected[cell.index]).max()
        )
        for cell in cells
    }
    return {name: difference for name, difference in most.items() if difference > 1}


# Rows: alone with guidance, then 2, 5 and 16 cells with guidance side by side.
@pytest.mark.parametrize("rows", [2, 4, 10, 32])
def test_every_sampler_equals_the_pipeline(
    rows: int, tiny_model: Path, expected: dict[int, NDArray[np.uint8]]
) -> None:
    assert differences(tiny_model, 64, rows, expected) == {}


@pytest.mark.slow
@pytest.mark.skipif(not MINIATURE.exists(), reason="the miniature is not there")
def test_the_miniature_equals_the_pipeline() -> None:
    expected = references(MINIATURE, 128)
    assert {rows: differences(MINIATURE, 128, rows, expected) for rows in (2, 10, 32)} == {
        2: {},
        10: {},
        32: {},
    }


def test_the_recipes_are_told_apart(expected: dict[int, NDArray[np.uint8]]) -> None:
    """The comparison above would be worth nothing if every recipe gave the same picture."""
    different = {picture.tobytes() for picture in expected.values()}
    assert len(different) >= len(expected) - 2

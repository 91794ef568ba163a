"""CFG scales at which diffusers switches guidance off: 1 and below, in every family."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from experiments.reference import Reference
from sdviz.events import Progress
from sdviz.plan.cells import Cell
from sdviz.plan.config import EngineConfig
from sdviz.plan.settings import Recipe
from tests.engine import sweeping
from tests.parity.test_families import FAMILIES, most_different
from tests.parity.test_parity import images
from tests.reading import reader

SCALES = (0.0, 0.5, 1.0, 1.01, 4.0)


def cells(**settings: Any) -> list[Cell]:
    recipes = [
        Recipe(model="tested", prompt="a cat, sitting", negative="blurry", cfg=scale,
               sampler="Euler", steps=3, seed=1, width=64, height=64, **settings)
        for scale in SCALES
    ]  # fmt: skip
    return [Cell(i, (i,), recipe, str(i)) for i, recipe in enumerate(recipes)]


@pytest.mark.parametrize("family", FAMILIES)
def test_guidance_is_off_at_one_and_below(family: str, tmp_path: Path) -> None:
    make, pipeline = FAMILIES[family]
    folder = make(tmp_path / family)
    reference = Reference(folder, pipeline)
    expected = {cell.index: reference.image(cell.recipe) for cell in cells()}
    made = images(cells(), folder, rows=7)
    assert most_different(made, expected) <= 1
    assert made[0].tobytes() == made[1].tobytes() == made[2].tobytes()
    assert most_different({0: made[0]}, {0: made[4]}) > 8


def test_rescaled_guidance_is_off_at_one_and_below(tmp_path: Path) -> None:
    """The contrast of a prediction by the prompt alone is its own already."""
    folder = FAMILIES["sdxl"][0](tmp_path / "sdxl")
    plain, rescaled = (
        images(cells(), folder, rows=7),
        images(cells(guidance_rescale=0.7), folder, rows=7),
    )
    assert [plain[i].tobytes() == rescaled[i].tobytes() for i in range(5)] == [
        True, True, True, False, False,
    ]  # fmt: skip


def test_cells_without_guidance_take_one_row(tiny_model: Path) -> None:
    recipes = [{"cfg": 0.0}, {"cfg": 1.0}, {"cfg": 3.0}]
    events = sweeping.sweep(sweeping.cells_of(*recipes), folder=tiny_model)
    assert sweeping.of_type(events, Progress)[-1].total == 3 + 3 + 2 * 3


def test_scales_that_switch_guidance_off_share_a_key(tiny_model: Path, tmp_path: Path) -> None:
    reading = reader(tiny_model, tmp_path)
    keys = [cell.key for cell in reading(cfg="0,0.5,1,7").plan.cells]
    assert keys[0] == keys[1] == keys[2] == reading(cfg=1).plan.cells[0].key
    assert keys[3] == reading(cfg=7).plan.cells[0].key != keys[0]


def test_a_vae_in_tiles_has_keys_of_its_own(tiny_model: Path, tmp_path: Path) -> None:
    reading = reader(tiny_model, tmp_path)
    plain = reading().plan.cells[0].key
    assert reading(engine={"vae_tiling": True}).plan.cells[0].key != plain
    assert EngineConfig().vae_tiling is False

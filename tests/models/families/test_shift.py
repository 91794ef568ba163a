"""`shift=`: the time shift of flow matching, in the pipelines' own schedulers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
from numpy.typing import NDArray

from sdviz.errors import ConfigErrors
from sdviz.events import CellFinished
from sdviz.plan.settings import Recipe
from sdviz.request.compose import prepare
from tests import families
from tests.engine import sweeping

EULER = diffusers.FlowMatchEulerDiscreteScheduler
HEUN = diffusers.FlowMatchHeunDiscreteScheduler
CASES = [("sd3", "Euler"), ("sd3", "Heun"), ("sd3", "Native"), ("flux", "Euler")]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("shifted")
    return {"sd3": families.sd3(root / "sd3"), "flux": families.flux(root / "flux")}


def asked(sampler: str, shift: float | None) -> Recipe:
    return Recipe(
        model="tested", prompt="a cat", cfg=4.0, sampler=sampler, steps=4, seed=7,
        width=64, height=64, shift=shift,
    )  # fmt: skip


def by_diffusers(folder: Path, recipe: Recipe) -> NDArray[np.uint8]:
    """diffusers' own pipeline, its scheduler with this shift, whatever the size."""
    without: dict[str, Any] = {}
    if folder.name == "sd3":
        without = {"text_encoder_3": None, "tokenizer_3": None}
    pipe = diffusers.DiffusionPipeline.from_pretrained(folder, **without)
    pipe.set_progress_bar_config(disable=True)
    scheduler = HEUN if recipe.sampler == "Heun" else EULER
    shift = {"shift": recipe.shift, "use_dynamic_shifting": False} if recipe.shift else {}
    pipe.scheduler = scheduler.from_config(pipe.scheduler.config, **shift)
    return sweeping.by_pipeline(pipe, recipe)


@pytest.mark.parametrize(("name", "sampler"), CASES)
def test_pictures_are_those_of_diffusers_with_that_shift(
    name: str, sampler: str, folders: dict[str, Path]
) -> None:
    recipes = [asked(sampler, shift) for shift in (None, 1.0, 6.0)]
    events = sweeping.sweep(sweeping.in_cells(recipes), folder=folders[name])
    made = {event.cell: event.pixels for event in events if isinstance(event, CellFinished)}
    for at, recipe in enumerate(recipes):
        expected = by_diffusers(folders[name], recipe)
        assert int(np.abs(made[at].astype(int) - expected).max()) <= 1
    assert len({pixels.tobytes() for pixels in made.values()}) > 1, "the shift shows"


def test_it_is_an_axis_whose_default_is_the_models(folders: dict[str, Path]) -> None:
    words = [f"model={folders['sd3']}", "sampler=euler", "visdom=off"]
    plan = prepare([*words, "shift=null,1,6"]).plan
    assert [axis.keys for axis in plan.axes] == [("shift",)]
    assert [cell.recipe.shift for cell in plan.cells] == [None, 1.0, 6.0]
    assert plan.cells[0].key == prepare(words).plan.cells[0].key
    assert len({cell.key for cell in plan.cells}) == 3


@pytest.mark.parametrize(
    ("value", "says"),
    [("3", "was not trained by flow matching; remove shift="), ("0", "from 0.01 to 100")],
)
def test_models_without_flow_matching_refuse_it(value: str, says: str, tiny_model: Path) -> None:
    with pytest.raises(ConfigErrors, match=says) as refused:
        prepare([f"model={tiny_model}", f"shift={value}", "visdom=off"])
    assert [error.key for error in refused.value.errors] == ["shift"]

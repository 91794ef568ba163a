"""diffusers' own text-to-image pipelines, unmodified, many cells in one batch: each cell as the
pipeline makes it alone, with frames, in fewer forwards than calls.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sdviz import models
from sdviz.events import Note
from sdviz.plan.cells import Cell
from sdviz.plan.config import ModelSpec, PreviewConfig
from tests.engine.sweeping import cells_of, frames, of_type, pictures, sweep
from tests.pipelines import making

CELLS = [
    {"cfg": cfg, "seed": seed, "steps": steps, "sampler": "Native"}
    for cfg in (2.5, 5.0)
    for seed in (1, 2)
    for steps in (2, 3)
]


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in making.SLOW]


@pytest.mark.filterwarnings("ignore::FutureWarning:diffusers")
@pytest.mark.parametrize("name", [*making.FOLDERS, *making.MAKERS, *SLOW])
def test_cells_in_one_batch_are_as_alone(name: str, tmp_path: Path) -> None:
    pipeline = making.saved(name, tmp_path / name)
    takes = "negative_prompt" in inspect.signature(pipeline.__call__).parameters
    cells = cells_of(*({**cell, "negative": "red dogs" if takes else ""} for cell in CELLS))
    single = Forwards()
    single.count(pipeline)
    expected = {cell.index: alone(pipeline, cell) for cell in cells}
    joined = Forwards()

    def load(spec: ModelSpec, *, device: str, dtype: str) -> Any:
        model = models.load(spec, device=device, dtype=dtype)
        joined.count(model.make_pipeline())
        return model

    events = sweep(
        cells,
        load=load,
        spec=ModelSpec(name="tested", id=str(tmp_path / name), kind="other"),
        preview=PreviewConfig(decoder="auto"),
    )
    made = pictures(events)
    for cell in cells:
        difference = np.abs(made[cell.index].astype(int) - expected[cell.index]).max()
        assert difference <= 1, f"{cell.recipe}: {difference} of 255"
    assert len({made[cell.index].tobytes() for cell in cells}) == len(cells)
    assert not [note.text for note in of_type(events, Note) if note.kind == "solo"]
    assert joined.done < single.done
    for cell in cells:
        seen = frames(events, cell.index)
        assert [frame.step for frame in seen] == list(range(1, cell.recipe.steps + 1))
        shown = [frame.pixels for frame in seen]
        assert all(pixels is not None and pixels.std() > 0 for pixels in shown)
        far = [distance(pixels, made[cell.index]) for pixels in shown]
        assert far[-1] == 0 and far[-2] <= far[0] + 1, far


def distance(one: Any, other: Any) -> float:
    return float(np.sqrt(np.square(one.astype(float) - other).mean()))


class Forwards:
    """Counts the forwards of a pipeline's denoiser."""

    def __init__(self) -> None:
        self.done = 0

    def count(self, pipeline: Any) -> None:
        for name, part in pipeline.components.items():
            if "transformer" in name or "unet" in name:
                part.register_forward_hook(self._one)

    def _one(self, *_: Any) -> None:
        self.done += 1


def alone(pipeline: Any, cell: Cell) -> Any:
    """The cell's picture, by diffusers' own pipeline."""
    recipe = cell.recipe
    taken = inspect.signature(pipeline.__call__).parameters
    arguments: dict[str, Any] = {}
    embeds = dict(getattr(pipeline, "transformer", pipeline).config).get("guidance_embeds")
    if type(pipeline).__name__ == "QwenImagePipeline":  # without a negative prompt it does nothing
        arguments = {"true_cfg_scale": recipe.cfg, "negative_prompt": recipe.negative or " "}
    elif "distilled_guidance_scale" in taken:
        pipeline.guider.guidance_scale = pipeline.ocr_guider.guidance_scale = recipe.cfg
    elif embeds is False and ("true_cfg_scale" in taken):
        arguments = {"true_cfg_scale": recipe.cfg}
    else:
        arguments = {"guidance_scale": recipe.cfg}
    if recipe.negative:
        arguments["negative_prompt"] = recipe.negative
    if "intermediate_timesteps" in taken and recipe.steps != 2:
        arguments["intermediate_timesteps"] = None
    with torch.inference_mode():
        image = pipeline(
            prompt=recipe.prompt,
            num_inference_steps=recipe.steps,
            width=recipe.width,
            height=recipe.height,
            generator=torch.Generator("cpu").manual_seed(recipe.seed),
            output_type="np",
            **arguments,
        )[0][0]
    return np.round(image * 255).clip(0, 255).astype(int)

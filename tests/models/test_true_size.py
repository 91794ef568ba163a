"""A Stable Diffusion 1.5 of its true size, with random weights: does it fit, and how long is it?"""

from __future__ import annotations

import importlib
import os
import resource
import time
from pathlib import Path

import pytest
import torch

from sdviz import engine
from sdviz.config import Config, EngineConfig, ModelSpec, PreviewConfig
from sdviz.events import CellFailed, CellFinished, Event
from sdviz.plan import Cell, Plan, Recipe


@pytest.mark.slow
@pytest.mark.skipif("SDVIZ_SLOW" not in os.environ, reason="two minutes and 3 GB; SDVIZ_SLOW=1")
@pytest.mark.parametrize("dtype", ["bfloat16"])
def test_two_cells_of_two_steps(dtype: str, tmp_path: Path) -> None:
    study = importlib.import_module("experiments.engine-options.true_size")
    folder = study.true_size(tmp_path / "sd15", getattr(torch, dtype))
    recipes = [
        Recipe(model="a", prompt="a cat", cfg=cfg, steps=2, width=256, height=256)
        for cfg in (4.0, 7.0)
    ]
    cells = [Cell(i, (i,), recipe, str(i)) for i, recipe in enumerate(recipes)]
    config = Config(
        device="cpu",
        models={"a": ModelSpec(name="a", id=str(folder))},
        engine=EngineConfig(batch=4),
        preview=PreviewConfig(decoder="none"),
    )
    events: list[Event] = []
    began = time.perf_counter()
    engine.run(cells, plan=Plan((), cells, dtype=dtype), config=config, emit=events.append)
    seconds = time.perf_counter() - began
    gigabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{dtype}: {seconds:.1f} s in all, at most {gigabytes:.1f} GB")
    assert not [event for event in events if isinstance(event, CellFailed)]
    done = [event for event in events if isinstance(event, CellFinished)]
    for event in done:
        print(f"cell {event.cell}: {event.timings}")
        assert event.pixels.shape == (256, 256, 3)
    assert len(done) == 2

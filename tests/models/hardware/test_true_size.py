"""A Stable Diffusion 1.5 of its true size, with random weights: does it fit, and how long is it?"""

from __future__ import annotations

import importlib
import os
import resource
import time
from pathlib import Path

import pytest
import torch

from sdviz.events import CellFailed, CellFinished
from tests.engine.sweeping import cells_of, of_type, sweep


@pytest.mark.slow
@pytest.mark.skipif("SDVIZ_SLOW" not in os.environ, reason="two minutes and 3 GB; SDVIZ_SLOW=1")
@pytest.mark.parametrize("dtype", ["bfloat16"])
def test_two_cells_of_two_steps(dtype: str, tmp_path: Path) -> None:
    study = importlib.import_module("experiments.engine-options.true_size")
    folder = study.true_size(tmp_path / "sd15", getattr(torch, dtype))
    cells = cells_of(*({"cfg": cfg, "steps": 2, "width": 256, "height": 256} for cfg in (4.0, 7.0)))
    began = time.perf_counter()
    events = sweep(cells, folder=folder, batch=4, dtype=dtype)
    seconds = time.perf_counter() - began
    gigabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{dtype}: {seconds:.1f} s in all, at most {gigabytes:.1f} GB")
    assert not of_type(events, CellFailed)
    done = of_type(events, CellFinished)
    for event in done:
        print(f"cell {event.cell}: {event.timings}")
        assert event.pixels.shape == (256, 256, 3)
    assert len(done) == 2

"""How fast is a sweep with everything on? See README.md beside this file.

python experiments/speed/run.py
python experiments/speed/run.py model=sd15 width=512 height=512 device=cuda
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from unittest import mock

import torch

from experiments.speed.by_hand import clocked
from sdviz import engine, models
from sdviz.compose import prepare
from sdviz.conduct import conduct
from sdviz.config import ModelSpec, PreviewConfig
from sdviz.engine.counter import rows_in
from sdviz.engine.devices import now
from sdviz.events import CellFinished, Event, Note
from sdviz.models.denoiser import Text
from sdviz.plan import Recipe
from sdviz.request import Request

SWEEP = [
    "sampler=euler_a,heun,dpmpp_2m_karras,ddim",
    "cfg=3,7,15",
    "seed=1,2",
    "steps=20",
    "prompt='a red pyramid in the desert at sunset with a sun'",
    "name=speed",
    "reuse=false",
]
BATCHES = (8, 16, 24, 32, 48, 64)


def main() -> None:
    request = compose([*SWEEP, *sys.argv[1:]])
    rows = sum(rows_in(cell) for cell in request.plan.cells)
    small = compose([*SWEEP, *sys.argv[1:], "steps=2", "name=speed-warm-up"])
    conduct(small)  # imports, kernels, caches: paid by nobody

    events: list[Event] = []
    spent = {
        "loop": loop([*SWEEP, *sys.argv[1:]]),
        "sweep": clocked(lambda: conduct(request)),
        "quiet": clocked(lambda: quiet(request, events)),
    }
    seconds = {name: wall for name, (wall, _) in spent.items()}
    processor = {name: busy for name, (_, busy) in spent.items()}
    seconds["engine"] = sum(e.timings.denoise_s for e in events if isinstance(e, CellFinished))
    batch, a_row = bare(request)
    seconds["bare"] = rows * a_row
    report(request, seconds, processor, rows=rows, batch=batch, events=events)


def compose(overrides: list[str]) -> Request:
    """What `python -m sdviz.sweep` with these overrides would compute."""
    return prepare(last_wins(overrides))


def last_wins(overrides: list[str]) -> list[str]:
    """Hydra refuses a key that is given twice."""
    return list({text.partition("=")[0]: text for text in overrides}.values())


def loop(overrides: list[str]) -> tuple[float, float]:
    """What one writes by hand, as `clocked`; see by_hand.py."""
    command = [sys.executable, "-m", "experiments.speed.by_hand", *last_wins(overrides)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    wall, processor = map(float, done.stdout.splitlines()[-1].split())
    return wall, processor


def spec(request: Request, recipe: Recipe) -> ModelSpec:
    return request.config.models[recipe.model]


def quiet(request: Request, events: list[Event]) -> None:
    """The same cells, with no frame decoded and nothing told to anyone; its clock is `tick`."""
    config = replace(request.config, preview=PreviewConfig(decoder="none"))
    keep = (CellFinished, Note)
    with mock.patch("sdviz.engine.engine.now", tick):
        engine.run(
            request.plan.cells,
            plan=request.plan,
            config=config,
            emit=lambda event: events.append(event) if isinstance(event, keep) else None,
        )


def tick(device: str) -> float:
    """Seconds of a processor where that is what computes: other work on the machine does not count.

    (c) is of a few per cent, less than the wall clock wavers by.
    """
    return time.process_time() if device == "cpu" else now(device)


@torch.inference_mode()
def bare(request: Request) -> tuple[int, float]:
    """(batch, seconds): the best batch size of the denoiser alone, and what a row costs in it."""
    config, recipe = request.config, request.plan.cells[0].recipe
    denoiser = models.load(spec(request, recipe), device=config.device, dtype=config.dtype)
    (text,) = denoiser.encode([Text(recipe.prompt, width=recipe.width, height=recipe.height)])
    shape = denoiser.latent_shape(recipe.width, recipe.height)
    best = (0, float("inf"))
    for size in BATCHES:
        x, timesteps = torch.randn(size, *shape), torch.linspace(999, 1, size)
        for _ in range(4):
            start = tick(config.device)
            denoiser.predict(x, timesteps, [text] * size)
            best = min(best, (size, (tick(config.device) - start) / size), key=lambda it: it[1])
    return best


def report(
    request: Request,
    seconds: dict[str, float],
    processor: dict[str, float],
    *,
    rows: int,
    batch: int,
    events: list[Event],
) -> None:
    """Prints the table and puts it beside the sweep's archive.

    On a machine that has other work to do, compare the processors' seconds.
    """
    compared = {
        "a": ("loop", "sweep", "by hand / everything on", "at least 3.5, better 6"),
        "b": ("sweep", "quiet", "everything on / all sinks and previews off", "at most 1.15"),
        "c": ("engine", "bare", "engine / bare denoiser", "at most 1.05"),
    }
    names = {
        "loop": "diffusers' pipeline cell by cell, VAE and viz.image at every step",
        "sweep": "sdviz, everything on",
        "quiet": "sdviz, sinks and previews off",
        "engine": "its denoising alone",
        "bare": f"{rows} rows through the bare denoiser, {batch} at once",
    }
    cells = len(request.plan.cells)
    for key, name in names.items():
        busy = f"{processor[key]:8.2f} s of a processor" if key in processor else ""
        print(f"{name:66} {seconds[key]:8.2f} s {busy}")
    ratios = {}
    for key, (above, below, name, aim) in compared.items():
        ratios[key] = seconds[above] / seconds[below]
        busy = f"{processor[above] / processor[below]:6.2f}" if below in processor else " " * 6
        print(f"({key}) {name:62} {ratios[key]:8.2f} {busy}   {aim}")
    content = {
        "seconds": seconds,
        "processor": processor,
        "ratios": ratios,
        "rows": rows,
        "cells": cells,
        "device": request.config.device,
        "dtype": request.config.dtype,
        "threads": torch.get_num_threads(),
        "notes": [event.text for event in events if isinstance(event, Note)],
    }
    path = Path(request.config.outputs) / request.config.name / "speed.json"
    path.write_text(json.dumps(content, indent=1) + "\n")
    print(f"table: {path}")


if __name__ == "__main__":
    main()

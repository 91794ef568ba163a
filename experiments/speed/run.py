"""How fast is a sweep with everything on? See README.md beside this file.

python experiments/speed/run.py
python experiments/speed/run.py model=sd15 width=512 height=512 device=cuda
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path

import torch

from experiments.speed.bare import Bare, against_engine, quiet
from experiments.speed.by_hand import clocked
from sdviz.compose import prepare
from sdviz.conduct import conduct
from sdviz.engine.counter import rows_in
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
ROUNDS = 5  # of everything but the loop by hand; medians are told, so that one disturbance is none

Spent = tuple[float, float]  # seconds by the clock, and of processors


def main() -> None:
    request = compose([*SWEEP, *sys.argv[1:]])
    small = compose([*SWEEP, *sys.argv[1:], "steps=2", "name=speed-warm-up"])
    conduct(small)  # imports, kernels, caches: paid by nobody

    spent: dict[str, list[Spent]] = {"loop": [loop([*SWEEP, *sys.argv[1:]])]}
    for _ in range(ROUNDS):
        spent.setdefault("sweep", []).append(clocked(lambda: conduct(request)))
        spent.setdefault("quiet", []).append(clocked(lambda: quiet(request)))
    bare = Bare(request)
    turns = [against_engine(bare, request) for _ in range(ROUNDS)]
    report(request, spent, turns, batch=bare.batch)


def compose(overrides: list[str]) -> Request:
    """What `python -m sdviz.sweep` with these overrides would compute."""
    return prepare(last_wins(overrides))


def last_wins(overrides: list[str]) -> list[str]:
    """Hydra refuses a key that is given twice."""
    return list({text.partition("=")[0]: text for text in overrides}.values())


def loop(overrides: list[str]) -> Spent:
    """What one writes by hand, as `clocked`; see by_hand.py."""
    command = [sys.executable, "-m", "experiments.speed.by_hand", *last_wins(overrides)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    wall, processor = map(float, done.stdout.splitlines()[-1].split())
    return wall, processor


def report(
    request: Request,
    spent: dict[str, list[Spent]],
    turns: list[tuple[float, float]],
    *,
    batch: int,
) -> None:
    """Prints the table and puts it beside the sweep's archive.

    On a machine that has other work to do, compare the processors' seconds; (c) needs none, for its
    two sides take turns.
    """
    rows = sum(rows_in(cell) for cell in request.plan.cells)
    medians = {
        key: [statistics.median(run[i] for run in runs) for i in (0, 1)]
        for key, runs in spent.items()
    }
    for i, key in enumerate(("engine", "bare")):
        medians[key] = [statistics.median(turn[i] for turn in turns)]
    names = {
        "loop": "diffusers' pipeline cell by cell, VAE and viz.image at every step",
        "sweep": "sdviz, everything on",
        "quiet": "sdviz, sinks and previews off",
        "engine": "its denoising alone",
        "bare": f"{rows} rows through the bare denoiser, {batch} at once, by turns with it",
    }
    compared = {
        "a": ("loop", "sweep", "by hand / everything on", "at least 3.5, better 6"),
        "b": ("sweep", "quiet", "everything on / all sinks and previews off", "at most 1.15"),
        "c": ("engine", "bare", "engine / bare denoiser", "at most 1.05"),
    }
    print(f"{'':70} {'seconds':>8} {'of processors':>14}")
    for key, name in names.items():
        print(f"{name:70} {medians[key][0]:8.2f}", *(f"{busy:14.2f}" for busy in medians[key][1:]))
    ratios = {}
    for key, (above, below, name, aim) in compared.items():
        ratios[key] = [a / b for a, b in zip(medians[above], medians[below], strict=True)]
        by_processor = "".join(f"{ratio:14.2f}" for ratio in ratios[key][1:])
        print(f"({key}) {name:66} {ratios[key][0]:8.2f} {by_processor:14}   {aim}")
    content = {
        "spent": spent,
        "turns": turns,
        "ratios": ratios,
        "rows": rows,
        "batch": batch,
        "cells": len(request.plan.cells),
        "device": request.config.device,
        "dtype": request.config.dtype,
        "threads": torch.get_num_threads(),
    }
    path = Path(request.config.outputs) / request.config.name / "speed.json"
    path.write_text(json.dumps(content, indent=1) + "\n")
    print(f"table: {path}")


if __name__ == "__main__":
    main()

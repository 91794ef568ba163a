"""How fast is a sweep with everything on? See README.md beside this file.

python experiments/speed/run.py
python experiments/speed/run.py model=sd15 width=512 height=512 device=cuda
"""

from __future__ import annotations

import itertools
import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from experiments.speed.bare import Bare, against_engine, quiet
from experiments.speed.by_hand import clocked
from sdviz.commands.sweep.conduct import conduct
from sdviz.engine.batcher import rows_in
from sdviz.request.compose import prepare
from sdviz.request.request import Request

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
    sides = {"sweep": lambda: conduct(request), "quiet": lambda: quiet(request)}
    for number in range(ROUNDS):
        for key in sorted(sides, reverse=bool(number % 2)):  # neither is always the first
            spent.setdefault(key, []).append(clocked(sides[key]))
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
    told: dict[str, list[tuple[float, ...]]] = {**spent}
    told["engine"], told["bare"] = ([(turn[i],) for turn in turns] for i in (0, 1))
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
        clock, *busy = middle(told[key])
        print(f"{name:70} {clock:8.2f}", *(f"{seconds:14.2f}" for seconds in busy))
    ratios = {}
    for key, (above, below, name, aim) in compared.items():
        # Round by round: the two of a round met the same machine.
        rounds = zip(itertools.cycle(told[above]), told[below], strict=False)
        ratios[key] = middle([tuple(x / y for x, y in zip(*pair, strict=True)) for pair in rounds])
        clock, *busy = ratios[key]
        by_processor = "".join(f"{ratio:14.2f}" for ratio in busy)
        print(f"({key}) {name:66} {clock:8.2f} {by_processor:14}   {aim}")
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


def middle(rounds: Sequence[Sequence[float]]) -> list[float]:
    """The median of each figure of the rounds."""
    return [statistics.median(figures) for figures in zip(*rounds, strict=True)]


if __name__ == "__main__":
    main()

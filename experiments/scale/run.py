"""How an archive of many cells behaves: appending, finding, showing, describing, reporting.

    python -m experiments.scale.run --cells 10000 --frames 20

The denoiser is trivial: smooth pictures that cost nothing, so that what is timed is the archive.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from experiments.scale.browse import browse
from sdviz.archive.reader import Archive
from sdviz.archive.writing.writer import ArchiveWriter
from sdviz.events import (
    CellFinished,
    CellStarted,
    Event,
    Frame,
    SweepFinished,
    SweepStarted,
    Timings,
)
from sdviz.plan.cells import Axis, Cell, Plan, cell_key
from sdviz.plan.settings import Recipe
from sdviz.web import describe

IDENTITY = "0" * 64


def make_plan(cells: int, frames: int, side: int) -> Plan:
    """A grid of CFG scales, samplers and seeds with about `cells` cells."""
    cfgs, samplers = [3.0, 7.0, 11.0, 15.0, 19.0], ["Euler a", "Heun", "DDIM", "UniPC"]
    seeds = list(range(-(-cells // (len(cfgs) * len(samplers)))))
    made = []
    for a, cfg in enumerate(cfgs):
        for b, sampler in enumerate(samplers):
            for c, seed in enumerate(seeds):
                recipe = Recipe(
                    prompt="a red pyramid at dusk", cfg=cfg, sampler=sampler, seed=seed,
                    steps=frames, width=side, height=side,
                )  # fmt: skip
                key = cell_key(recipe, model_identity=IDENTITY, dtype="float32")
                made.append(Cell(len(made), (a, b, c), recipe, key))
    axes = tuple(
        Axis((key,), tuple((value,) for value in values))
        for key, values in (("cfg", cfgs), ("sampler", samplers), ("seed", seeds))
    )
    return Plan(axes, made, identities={"miniature": IDENTITY})


def cell_events(cell: Cell) -> Iterator[Event]:
    """What an engine would tell of one cell whose picture is a gradient."""
    side, steps = cell.recipe.width, cell.recipe.steps
    y, x = np.mgrid[0:side, 0:side] * 255 // side
    yield CellStarted(cell.index)
    for step in range(1, steps + 1):
        third = np.full_like(x, (cell.index + 9 * step) % 256)
        pixels = np.stack([x, y, third], axis=2).astype(np.uint8)
        yield Frame(cell.index, step, steps, float(steps - step), 999.0 - step, 0.01 * step, pixels)
    yield CellFinished(cell.index, pixels, Timings(denoise_s=0.01 * steps, batch=8.0))


def append(outputs: Path, plan: Plan) -> list[float]:
    """Writes the whole sweep; processor milliseconds a cell in each tenth."""
    writer = ArchiveWriter.open(outputs, "scale", plan, {}, reuse=True)
    writer.handle(SweepStarted("scale", plan, {}))
    tenth = max(1, len(plan.cells) // 10)
    times, began = [], processor_seconds()
    for cell in plan.cells:
        for event in cell_events(cell):
            writer.handle(event)
        if (cell.index + 1) % tenth == 0:
            times.append((processor_seconds() - began) * 1000 / tenth)
            began = processor_seconds()
    writer.handle(SweepFinished("finished", sum(times)))
    writer.close()
    return times


def processor_seconds() -> float:
    """Of this process and of the commands that it ran."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def timed(what: str, question: Callable[[], Any]) -> None:
    began, used = time.perf_counter(), processor_seconds()
    question()
    wall, used = time.perf_counter() - began, processor_seconds() - used
    print(f"{what:<34} {wall:8.2f} s, {used:8.2f} s of a processor", flush=True)


def command(*arguments: str) -> Callable[[], Any]:
    line = [sys.executable, "-m", "sdviz.archive", *arguments]
    return lambda: subprocess.run(line, check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--cells", type=int, default=10_000)
    parser.add_argument("--frames", type=int, default=20)
    parser.add_argument("--side", type=int, default=64, help="pixels")
    parser.add_argument("--quick", action="store_true", help="without report and verify")
    options = parser.parse_args()
    outputs = Path(tempfile.mkdtemp(prefix="sdviz-scale-"))
    try:
        plan = make_plan(options.cells, options.frames, options.side)
        measure(outputs, plan, quick=options.quick)
    finally:
        shutil.rmtree(outputs)


def measure(outputs: Path, plan: Plan, *, quick: bool) -> None:
    print(f"{len(plan.cells)} cells of {plan.cells[0].recipe.steps} frames")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tenths = append(outputs, plan)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print("append, processor ms a cell, by tenths: " + " ".join(f"{ms:.1f}" for ms in tenths))
    print(f"memory that writing added: {grown:.0f} MB")
    root = str(outputs / "scale")
    timed("open again: nothing to do", lambda: open_again(outputs, plan))
    timed("list", command("list", str(outputs)))
    timed("show", command("show", root))
    timed("show --json", command("show", root, "--json"))
    timed("find 'sampler=heun cfg>10'", command("find", "sampler=heun cfg>10", str(outputs)))
    with Archive(outputs / "scale") as archive:
        timed("description for the page", lambda: describe.description(archive))
        timed(
            "changes since the last", lambda: describe.changes(archive, int(archive.number("seq")))
        )
    if quick:
        return
    timed("report (a folder)", command("report", root, "--folder"))
    browse(outputs / "scale" / "report" / "index.html")
    timed("verify", command("verify", root))
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"memory of the largest of these commands: {largest:.0f} MB")


def open_again(outputs: Path, plan: Plan) -> None:
    writer = ArchiveWriter.open(outputs, "scale", plan, {}, reuse=True)
    assert not writer.todo
    writer.close()


if __name__ == "__main__":
    main()

"""Sweeps without a model: plans of any size, and the events that an engine would make of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from sdviz.archive.writing.writer import ArchiveWriter
from sdviz.events import (
    CellFinished,
    CellStarted,
    Event,
    Frame,
    LatentStats,
    Progress,
    SweepFinished,
    SweepStarted,
    Timings,
)
from sdviz.plan.cells import Axis, Cell, Plan, cell_key
from sdviz.plan.settings import Recipe

IDENTITY = "45dee52b" * 8


def make_plan(axes: dict[str, list[Any]], *, identity: str = IDENTITY, **fixed: Any) -> Plan:
    """The full product of the axes; other settings by keyword."""
    settings = {"steps": 3, "width": 16, "height": 16, "prompt": "a red pyramid", **fixed}
    cells = []
    for index, coords in enumerate(itertools.product(*(range(len(v)) for v in axes.values()))):
        own = {key: axes[key][at] for key, at in zip(axes, coords, strict=True)}
        recipe = Recipe(**{**settings, **own})
        key = cell_key(recipe, model_identity=identity, dtype="float32")
        cells.append(Cell(index, coords, recipe, key))
    return Plan(
        axes=tuple(Axis((key,), tuple((v,) for v in values)) for key, values in axes.items()),
        cells=cells,
        identities={"miniature": identity},
    )


def picture(cell: Cell, step: int) -> np.ndarray:
    """A smooth picture that depends on the recipe and the step, and on nothing else."""
    height, width = cell.recipe.height, cell.recipe.width
    seed = int(cell.key[:8], 16)
    y, x = np.mgrid[0:height, 0:width]
    planes = [(x * 255 // width), (y * 255 // height), np.full_like(x, (seed + 20 * step) % 256)]
    return np.stack(planes, axis=2).astype(np.uint8)


def cell_events(cell: Cell) -> Iterator[Event]:
    steps = cell.recipe.steps
    yield CellStarted(cell.index)
    for step in range(1, steps + 1):
        yield Frame(
            cell=cell.index,
            step=step,
            steps=steps,
            sigma=float(steps - step),
            timestep=1000.0 - 50 * step,
            seconds=0.01 * step,
            pixels=picture(cell, step),
            stats=LatentStats(0.0, 1.0, -3.0, 3.0, 0.5),
        )
    timings = Timings(encode_s=0.001, denoise_s=0.03, preview_s=0.002, decode_s=0.004, batch=6.0)
    yield CellFinished(cell.index, picture(cell, steps), timings)


def events(plan: Plan, todo: Iterable[Cell], name: str) -> Iterator[Event]:
    total = len(plan.cells) * 5
    yield SweepStarted(name, plan, {"name": name})
    for done, cell in enumerate(todo):
        yield from cell_events(cell)
        yield Progress(5 * (done + 1), total)
    yield SweepFinished("finished", 1.5)


def write(outputs: Path, name: str, plan: Plan, *, reuse: bool = True) -> ArchiveWriter:
    """Runs a whole sweep into outputs/<name> and closes it."""
    writer = ArchiveWriter.open(outputs, name, plan, {"name": name, "cfg": 7}, reuse=reuse)
    try:
        for event in events(plan, writer.todo, name):
            writer.handle(event)
    finally:
        writer.close()
    return writer

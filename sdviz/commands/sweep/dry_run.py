"""`dry_run=true`: what a sweep would compute, and about how long it would take on this machine."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdviz.errors import ArchiveError, ConfigError
from sdviz.plan.labels import duration
from sdviz.plan.passes import evaluations, rows_in

if TYPE_CHECKING:
    from sdviz.archive.records import CellRecord
    from sdviz.plan.cells import Axis, Cell
    from sdviz.request.request import Request

_LATEST = 20  # archives that are looked at for rates
_SHOWN = 8  # values of an axis

Size = tuple[str, int, int]  # model, width, height


def describe(request: Request) -> str:
    """The axes, the numbers of cells and evaluations, and the estimated time, in lines."""
    plan, config = request.plan, request.config
    from sdviz.archive.paths import archive_folders
    from sdviz.archive.writing.reuse import finished_keys

    outputs = Path(config.outputs)
    folders = archive_folders(outputs) if outputs.is_dir() else []
    done = set().union(*map(finished_keys, folders)) if config.reuse else set()
    todo = [cell for cell in plan.everything if cell.key not in done]
    lines = [f"axis {axis.name}: {_values(axis)}" for axis in plan.axes] or ["no axis: one image"]
    excluded = f", {plan.excluded:,} excluded" if plan.excluded else ""
    there = len(plan.everything) - len(todo)
    references = _references(len(plan.references))
    archived = f", {there:,} already archived" if there else ""
    return "\n".join(
        [
            *lines,
            f"cells: {len(plan.cells):,}{references}{excluded}{archived}",
            f"denoiser evaluations: {evaluations(todo):,}",
            f"estimated time: {_time(todo, _rates(folders[:_LATEST], config.device))}",
            f"archive: {Path(config.outputs) / config.name}",
            "dry_run=true: nothing was computed",
        ]
    )


def _references(count: int) -> str:
    return f" and {count:,} converged reference{'s' * (count > 1)}" if count else ""


def _values(axis: Axis) -> str:
    from sdviz.plan.labels import listed, value_label

    def label(values: tuple[Any, ...]) -> str:
        return " + ".join(map(_short, map(value_label, values, axis.keys)))

    shown = listed(map(label, axis.values[:_SHOWN]))
    more = len(axis.values) > _SHOWN
    return f"{shown}, ... ({len(axis.values):,} in all)" if more else shown


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."


def _rates(folders: Iterable[Path], device: str) -> dict[Size, float]:
    """Seconds a row by model and size, as archives of this machine's `device` have them."""
    from sdviz.archive.machine import machine
    from sdviz.archive.reader import Archive
    from sdviz.models.hardware.device import described

    here = _computer(machine() | described(device))
    warm, cold = _Rates(), _Rates()  # the first tick pays for warm-up: counted only if need be
    for folder in folders:
        try:
            with Archive(folder) as archive:
                if _computer(archive.machine) != here:
                    continue
                for cell in archive.everything:
                    if cell.status == "done" and not cell.source:  # computed there, not copied
                        (cold if cell.timings.get("warmup") else warm).add(cell)
        except (ArchiveError, ConfigError, KeyError):
            continue  # damaged, or of another version: an estimate goes without it
    return {**cold.per_row(), **warm.per_row()}


def _computer(machine: Mapping[str, Any]) -> tuple[str, str]:
    """What the speed depends on: the processor, and the GPU where one computes."""
    return machine.get("cpu", ""), machine.get("gpu") or machine.get("device", "cpu")


class _Rates:
    """Seconds and rows by model and size."""

    def __init__(self) -> None:
        self._seconds: dict[Size, float] = defaultdict(float)
        self._rows: dict[Size, int] = defaultdict(int)

    def add(self, cell: CellRecord) -> None:
        from sdviz.archive.records import plan_cell

        recipe = plan_cell(cell).recipe
        size = (recipe.model, recipe.width, recipe.height)
        self._seconds[size] += float(cell.timings.get("total_s") or 0)
        self._rows[size] += rows_in(recipe)

    def per_row(self) -> dict[Size, float]:
        return {size: self._seconds[size] / self._rows[size] for size in self._rows}


def _time(cells: Sequence[Cell], rates: dict[Size, float]) -> str:
    by_size: dict[Size, list[Cell]] = defaultdict(list)
    for cell in cells:
        by_size[(cell.recipe.model, cell.recipe.width, cell.recipe.height)].append(cell)
    known = {size: _rate(size, rates) for size in by_size}
    missing = sorted({size[0] for size, rate in known.items() if rate is None})
    if missing:
        return f"unknown; no earlier sweep with {', '.join(missing)} on this machine"
    seconds = sum((known[size] or 0) * evaluations(group) for size, group in by_size.items())
    guessed = any(size not in rates for size in by_size)
    return duration(seconds) + (", scaled from other sizes" if guessed else "")


def _rate(size: Size, rates: dict[Size, float]) -> float | None:
    """Seconds a row: as measured, or in proportion to the pixels of the model's size nearest to it;
    None for a model that has no sweep yet.
    """
    model, *sides = size
    known = {
        max(1, math.prod(other[1:])): rate for other, rate in rates.items() if other[0] == model
    }
    if size in rates or not known:
        return rates.get(size)
    pixels = max(1, math.prod(sides))
    nearest = min(known, key=lambda other: abs(math.log(other / pixels)))
    return known[nearest] * pixels / nearest

"""Several archives as one: the union of their cells, on the grid of all settings that differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from sdviz.archive.reader import Archive
from sdviz.archive.records import plan_cell
from sdviz.errors import ArchiveError
from sdviz.plan.cells import Axis, Cell, Plan
from sdviz.plan.settings import Recipe

_MOST_PLACES = 1_000_000  # of the merged grid; most of it would be empty anyway


def merged_plan(archives: Sequence[Archive]) -> Plan:
    """One plan of all finished cells; of those with the same key, the first archive's counts.

    Axes are the settings that differ, in the archives' own order, with values as they appear.
    Raises ArchiveError where the archives cannot stand in one: another dtype, or one model's name
    for two models.
    """
    identities, dtype = _agreed(archives)
    cells: dict[str, Cell] = {}
    for cell in _finished(archives):
        cells.setdefault(cell.key, cell)
    if not cells:
        raise ArchiveError("none of the archives has a finished cell; there is nothing to merge")
    recipes = [cell.recipe for cell in cells.values()]
    axes = _axes(archives, recipes)
    places = _places(axes, recipes)
    ordered = sorted(zip(places, cells.values(), strict=True), key=lambda pair: pair[0])
    size = 1
    for axis in axes:
        size *= len(axis.values)
    if size > _MOST_PLACES:
        raise ArchiveError(f"the merged grid would have {size} places; merge fewer archives")
    plan = Plan(
        axes=axes,
        cells=[replace(c, index=i, coords=place) for i, (place, c) in enumerate(ordered)],
        excluded=size - len(cells),
        dtype=dtype,
        identities=identities,
        contents={k: v for archive in archives for k, v in archive.mapping("contents").items()},
    )
    return _with_references(plan, archives)


def _with_references(plan: Plan, archives: Sequence[Archive]) -> Plan:
    """The plan with the references that its cells have in their archives."""
    numbers = {cell.key: cell.index for cell in plan.cells}
    wanted: dict[str, str] = {}  # key of a cell -> key of its reference
    references: list[Cell] = []
    for archive in archives:
        there = {record.i: record for record in archive.everything if record.status == "done"}
        for i, number in enumerate(archive.referred):
            if i not in there or number not in there:
                continue
            reference = there[number]
            wanted.setdefault(there[i].key, reference.key)
            if reference.key not in numbers:
                numbers[reference.key] = index = len(plan.cells) + len(references)
                made = replace(plan_cell(reference), index=index, coords=(), reference=True)
                references.append(made)
    if not wanted:
        return plan
    referred = [numbers[wanted[c.key]] if c.key in wanted else -1 for c in plan.cells]
    return replace(plan, references=references, referred=referred)


def _agreed(archives: Sequence[Archive]) -> tuple[dict[str, str], str]:
    identities: dict[str, str] = {}
    dtypes: dict[str, Path] = {}
    for archive in archives:
        dtypes.setdefault(str(archive.about("dtype", "float32")), archive.path)
        for name, identity in archive.mapping("identities").items():
            if identities.setdefault(name, identity) != identity:
                raise ArchiveError(
                    f"{archive.path}: model={name} is another model there ({identity[:10]}, not"
                    f" {identities[name][:10]}); these archives cannot be merged",
                )
    if len(dtypes) > 1:
        listed = ", ".join(f"{dtype} in {path}" for dtype, path in dtypes.items())
        raise ArchiveError(f"the archives were computed in different dtypes: {listed}")
    return identities, next(iter(dtypes))


def _finished(archives: Sequence[Archive]) -> Iterator[Cell]:
    for archive in archives:
        for record in archive.cells:
            if record.status == "done":
                yield plan_cell(record)


def _axes(archives: Sequence[Archive], recipes: Sequence[Recipe]) -> tuple[Axis, ...]:
    named = [key for archive in archives for axis in archive.dims for key in axis.keys]
    order = list(dict.fromkeys([*named, *(f.name for f in fields(Recipe))]))
    axes = []
    for key in order:
        values: list[Any] = list(dict.fromkeys(getattr(recipe, key) for recipe in recipes))
        if len(values) > 1:
            if all(isinstance(value, (int, float)) for value in values):
                values.sort()
            axes.append(Axis((key,), tuple((value,) for value in values)))
    return tuple(axes)


def _places(axes: Sequence[Axis], recipes: Sequence[Recipe]) -> list[tuple[int, ...]]:
    positions = [{values[0]: at for at, values in enumerate(axis.values)} for axis in axes]
    keys = [axis.keys[0] for axis in axes]
    return [
        tuple(position[getattr(recipe, key)] for key, position in zip(keys, positions, strict=True))
        for recipe in recipes
    ]

"""From the values of settings to a plan: axes, every combination of them, cells. No torch."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from sdviz.errors import ConfigError
from sdviz.plan.cells import Axis, Cell, Plan, cell_key
from sdviz.plan.samplers import rescheduled
from sdviz.plan.settings import DEFAULTS, Recipe

MOST_CELLS = 1_000_000  # a plan of more is a slip on the command line


def make_axes(
    values: Mapping[str, Sequence[Any]], zipped: Sequence[Sequence[str]] = ()
) -> tuple[Axis, ...]:
    """The axes of settings that have several values, in the mapping's order; a zip stands where its
    first key does.

    Raises ConfigError when zipped settings have different numbers of values, or a zip names a
    setting twice.
    """
    group_of: dict[str, Sequence[str]] = {}
    for group in zipped:
        lengths = {key: len(values[key]) for key in group}
        if len(set(lengths.values())) > 1:
            counts = ", ".join(f"{key} has {length}" for key, length in lengths.items())
            raise ConfigError(
                f"zip=[{','.join(group)}]: the settings need the same number of values; {counts}",
                key="zip",
            )
        for key in group:
            if key in group_of:
                raise ConfigError(f"zip: {key} is named twice", key="zip")
            group_of[key] = group
    axes: list[Axis] = []
    done: set[str] = set()
    for name, several in values.items():
        if len(several) < 2 or name in done:
            continue
        keys = tuple(group_of.get(name, (name,)))
        done.update(keys)
        # a repeated value would repeat a cell
        together = tuple(dict.fromkeys(zip(*(values[key] for key in keys), strict=True)))
        if len(together) > 1:
            axes.append(Axis(keys, together))
    return tuple(axes)


def _filled(settings: Mapping[str, Any], of_model: Mapping[str, Any]) -> dict[str, Any]:
    """`settings`, with None replaced by the value in `of_model`, or else by the default."""
    return {
        name: of_model.get(name, DEFAULTS[name]) if value is None else value
        for name, value in settings.items()
    }


def combinations(
    axes: tuple[Axis, ...], fixed: Mapping[str, Any], defaults: Mapping[str, Mapping[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Every setting of every combination of the axes' values, the last axis fastest; the rest as in
    make_plan. Raises ConfigError where there are too many.
    """
    total = math.prod(len(axis.values) for axis in axes)
    if total > MOST_CELLS:
        sizes = " x ".join(f"{axis.name} {len(axis.values)}" for axis in axes)
        raise ConfigError(f"{total:,} cells ({sizes}), more than {MOST_CELLS:,}; give fewer values")
    keys = [key for axis in axes for key in axis.keys]
    filled = {model: _filled(fixed, of_model) for model, of_model in defaults.items()}
    for combination in itertools.product(*(axis.values for axis in axes)):
        varied = dict(zip(keys, itertools.chain(*combination), strict=True))
        model = str(varied.get("model", fixed.get("model")))
        yield {**filled[model], **_filled(varied, defaults[model])}


def recipe_of(settings: Mapping[str, Any]) -> Recipe:
    """Raises ConfigError where the sampler does not go with the schedule."""
    if schedule := settings.get("schedule"):
        return Recipe(**{**settings, "sampler": rescheduled(settings["sampler"], schedule)})
    return Recipe(**settings)


def make_plan(
    axes: tuple[Axis, ...],
    fixed: Mapping[str, Any],
    *,
    defaults: Mapping[str, Mapping[str, Any]],
    identities: Mapping[str, str],
    dtype: str = "float32",
    excluded: Callable[[Mapping[str, Any]], bool] | None = None,
    contents: Mapping[str, str] | None = None,
    search: str = "",
) -> Plan:
    """Every combination of the axes' values, with the fixed settings, that is not excluded.

    `fixed` holds the settings that are no axis. `defaults[model]` says what a setting is for that
    model where the user gave None; it holds at least `width` and `height`. `contents` is as in
    cell_key; `search` is the text that a cell's `sr` replaces in its prompt and negative prompt.
    """
    cells: list[Cell] = []
    dropped = 0
    coords = itertools.product(*(range(len(axis.values)) for axis in axes))
    for place, settings in zip(coords, combinations(axes, fixed, defaults), strict=True):
        if excluded is not None and excluded(settings):
            dropped += 1
            continue
        if search:
            for name in ("prompt", "negative"):
                settings[name] = settings[name].replace(search, settings["sr"])
        recipe = recipe_of(settings)
        key = cell_key(
            recipe, model_identity=identities[recipe.model], dtype=dtype, contents=contents
        )
        cells.append(Cell(len(cells), place, recipe, key))
    return Plan(axes, cells, dropped, dtype, dict(identities), dict(contents or {}))

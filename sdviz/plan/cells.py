"""Axes, cells and their keys: what a sweep computes, known before a model is loaded. No torch."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sdviz.plan.prompts import words_and_hashes
from sdviz.plan.settings import DEFAULTS, SETTINGS, Recipe, names

CHECKER = "safety checker of {}"  # its name among the contents; each model may have one of its own
# How a model takes a setting, if that differs from older archives; also among the contents.
GUIDANCE = "guidance of {}"
SPACING = "DDIM's timestep_spacing of {}"
_KEYED = sorted([*names(lambda row: not row.absorbed), "dtype"])


@functools.lru_cache(maxsize=65_536, typed=True)  # typed: 7 and 7.0 are equal and not the same text
def _fragment(name: str, value: Any) -> str:
    return f"{json.dumps(name)}:{json.dumps(value, ensure_ascii=False)}"


def cell_key(
    recipe: Recipe, *, model_identity: str, dtype: str, contents: Mapping[str, str] | None = None
) -> str:
    """The content hash (64 hex digits) of everything that can change the cell's pixels.

    `model_identity` is the hash of the model's weights (sdviz.models.files.identity), so that a
    model's folder may move and keep its cells. `dtype` is the denoiser's, as torch names it
    ("float32", "bfloat16"). `contents` has, by name, the hash of each file that a setting names,
    for the same reason; and how a model takes a setting (CHECKER, GUIDANCE, SPACING).

    The hashed text (SHA-256, UTF-8) is a JSON object with sorted keys and no spaces. Settings at
    their default are left out.
    """
    fragments = []
    values = vars(recipe)
    for name in _KEYED:
        if name == "model":
            fragments.append(_fragment(name, model_identity))
        elif name == "dtype":
            fragments.append(_fragment(name, dtype))
        elif (value := values[name]) != DEFAULTS[name]:
            content = SETTINGS[name].content if contents else ""
            if contents and content == "words":
                value = words_and_hashes(contents[value], recipe.prompt, recipe.negative)
                if not value:  # no prompt uses its words
                    continue
            elif contents and content == "checker":
                value = f"{value} by {contents.get(CHECKER.format(recipe.model), '')}"
            elif contents and content:
                value = contents[value]
            elif contents and name == "cfg" and GUIDANCE.format(recipe.model) in contents:
                value = max(value, 1.0)
            elif contents and name == "sampler" and value == "DDIM":
                spacing = contents.get(SPACING.format(recipe.model), "")
                value = f"{value} {spacing}".rstrip()
            fragments.append(_fragment(name, value))
    return hashlib.sha256(("{" + ",".join(fragments) + "}").encode()).hexdigest()


@dataclass(frozen=True)
class Axis:
    """One direction of the grid: a setting with its values, or several settings zipped together.

    `values[i]` is the tuple of values, one a key, at position i.
    """

    keys: tuple[str, ...]
    values: tuple[tuple[Any, ...], ...]

    @property
    def name(self) -> str:
        return "+".join(self.keys)


@dataclass(frozen=True)
class Cell:
    """One full recipe, one final image. `coords[a]` is its position along axis a of the plan."""

    index: int
    coords: tuple[int, ...]
    recipe: Recipe
    key: str
    reference: bool = False  # outside the grid: others are measured by it, and it needs no frames


@dataclass(frozen=True)
class Plan:
    """The axes and the cells of a sweep. Cells are in row-major order: the last axis is fastest.

    `index` counts the cells that remain after `exclude=`; `coords` are a cell's place in the grid.
    """

    axes: tuple[Axis, ...]
    cells: Sequence[Cell]
    excluded: int = 0  # combinations that `exclude=` dropped
    dtype: str = "float32"
    identities: Mapping[str, str] = field(default_factory=dict)  # model name -> hash of its weights
    contents: Mapping[str, str] = field(default_factory=dict)  # as in cell_key
    references: Sequence[Cell] = ()  # sdviz.plan.reference; their numbers follow those of `cells`
    referred: Sequence[int] = ()  # cell -> the number of its reference, -1 for none; () for no cell
    distilled: frozenset[str] = frozenset()  # models that have their CFG scale trained in, as Flux

    @functools.cached_property
    def everything(self) -> Sequence[Cell]:
        """All that is to be computed, by number: the grid's cells, and their references."""
        return [*self.cells, *self.references] if self.references else self.cells

    def execution_order(self) -> list[Cell]:
        """The cells as the engine should take them: each model once, then each size, then as
        planned.
        """
        return execution_order(self.everything)


def execution_order(cells: Sequence[Cell]) -> list[Cell]:
    """Cells grouped by model, and within it by size, since only those share a batch; both as first
    seen.
    """
    groups: dict[str, dict[tuple[int, int], list[Cell]]] = {}
    for cell in cells:
        recipe = cell.recipe
        sizes = groups.setdefault(recipe.model, {})
        sizes.setdefault((recipe.width, recipe.height), []).append(cell)
    return [cell for sizes in groups.values() for group in sizes.values() for cell in group]


def settings_of(recipe: Recipe) -> dict[str, Any]:
    """Every setting by its root key's name."""
    return dict(vars(recipe))

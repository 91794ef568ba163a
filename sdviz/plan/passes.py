"""The passes that a cell is denoised in: one, or a second, larger one after it (hires fix). No
torch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING

from sdviz.plan.samplers import resolve
from sdviz.plan.settings import Recipe, is_guided, names

if TYPE_CHECKING:
    from sdviz.plan.cells import Cell

GRID = 8  # pixels: a hires size is rounded down to a multiple of it


@dataclass(frozen=True)
class Pass:
    """One walk through a sampler's schedule."""

    width: int  # pixels
    height: int
    steps: int  # of the whole schedule
    skipped: int  # steps at its beginning that are left out, because an image is there already

    @property
    def count(self) -> int:
        """Steps that are taken."""
        return self.steps - self.skipped


def passes(recipe: Recipe) -> tuple[Pass, ...]:
    """The passes of a cell in their order."""
    skipped = _skipped(recipe.steps, recipe.strength) if recipe.init else 0
    first = Pass(recipe.width, recipe.height, recipe.steps, skipped)
    if recipe.hires_scale == 1:
        return (first,)
    steps = recipe.hires_steps or recipe.steps
    width, height = hires_size(recipe.width, recipe.height, recipe.hires_scale)
    return first, Pass(width, height, steps, _skipped(steps, recipe.hires_strength))


def steps_in(recipe: Recipe) -> int:
    """Steps that a cell takes, and so its number of frames."""
    return sum(part.count for part in passes(recipe))


def evaluations_in(recipe: Recipe) -> int:
    """Denoiser evaluations that a cell takes; two rows each with guidance."""
    sampler = resolve(recipe.sampler)
    return sum(sampler.evaluations(part.count) for part in passes(recipe))


def hires_size(width: int, height: int, scale: float) -> tuple[int, int]:
    """The second pass's (width, height) in pixels."""

    def scaled(side: int) -> int:
        return max(GRID, int(side * scale) // GRID * GRID)

    return scaled(width), scaled(height)


def _skipped(steps: int, strength: float) -> int:
    """As diffusers' img2img pipeline counts (get_timesteps): int(steps * strength) are taken."""
    return steps - min(int(steps * strength), steps)


# What the number of a cell's evaluations depends on.
_COUNT = names(lambda row: row.counts in ("steps", "rows"))
_COUNTS = attrgetter(*_COUNT)


def evaluations(cells: Iterable[Cell]) -> int:
    """Denoiser evaluations of the cells, in rows: one a call without guidance (CFG 1), else two."""
    kinds = Counter(_COUNTS(cell.recipe) for cell in cells)
    return sum(rows_in(Recipe(**dict(zip(_COUNT, k, strict=True)))) * n for k, n in kinds.items())


def rows_in(recipe: Recipe) -> int:
    """Denoiser evaluations of one cell, in rows."""
    return evaluations_in(recipe) * rows_of(recipe)


def rows_of(recipe: Recipe) -> int:
    """Denoiser rows that a cell takes in a tick: two with guidance, one without."""
    return 2 if is_guided(recipe) else 1

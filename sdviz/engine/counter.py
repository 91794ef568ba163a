"""Progress, counted in rows of denoiser evaluations. No torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from sdviz.engine.batcher import rows_of
from sdviz.events import Event, Progress
from sdviz.passes import evaluations_in
from sdviz.plan import Cell


def rows_in(cell: Cell) -> int:
    """Rows that `cell` takes from start to end."""
    return evaluations_in(cell.recipe) * rows_of(cell.recipe)


class Counter:
    """Rows done and rows in all; a cell that leaves early takes its rest off the total."""

    def __init__(self, cells: Iterable[Cell], emit: Callable[[Event], None]) -> None:
        self.total = sum(map(rows_in, cells))
        self.done = 0
        self._emit = emit

    def add(self, rows: int) -> None:
        self.done += rows
        self._emit(Progress(self.done, self.total))

    def settle(self, cell: Cell, evaluations: int) -> None:
        """`cell` is over after `evaluations` of the denoiser."""
        self.total -= rows_in(cell) - evaluations * rows_of(cell.recipe)

    def again(self, cells: Iterable[Cell]) -> None:
        """`cells` are to be computed once more."""
        self.total += sum(map(rows_in, cells))

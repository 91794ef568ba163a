"""Which cells ride in the next tick, and how many rows a tick may have. No torch."""

from __future__ import annotations

import statistics
from collections import Counter, deque
from collections.abc import Callable, Iterable
from itertools import islice, takewhile

from sdviz.events import Event, Progress
from sdviz.plan.cells import Cell
from sdviz.plan.passes import Pass, passes, rows_in, rows_of
from sdviz.plan.samplers import resolve

FIRST_ROWS = 8  # where the search for the best size begins
_GAIN = 0.04  # a larger size must save this share of a row's time, or the search ends
_FEW = 32  # rows: taken unless a row gets clearly dearer, for ticks have a cost of their own
_CLEARLY = 1.0  # of a row's time: more than what the first tick of a size and a disturbance cost it
_LONG = 1.0  # seconds of a tick: such a model is bound by arithmetic, and more rows save nothing
_TURNS = 3  # at each size; their median counts, so that a disturbance does not


class RowBudget:
    """How many rows a tick may have: fixed, or doubled up to `_FEW`, and further while that makes a
    row cheaper.
    """

    def __init__(self, rows: int = 0) -> None:
        """`rows` 0 means: measure."""
        self.rows = rows or FIRST_ROWS
        self.settled = bool(rows)
        self._compared = (FIRST_ROWS, 2 * FIRST_ROWS)
        self._seconds: dict[int, list[float]] = {}  # of a row, at both sizes compared

    def measured(self, rows: int, seconds: float) -> None:
        """A tick of `rows` rows took `seconds`; only ticks that nearly fill the budget teach."""
        if self.settled or rows < 0.75 * self.rows:
            return
        self._seconds.setdefault(self.rows, []).append(seconds / rows)
        small, large = self._compared
        turns, enough = (1, -_CLEARLY) if large <= _FEW else (_TURNS, _GAIN)
        # By turns: a machine that other work slows down for a while is slower for both.
        if seconds > _LONG:
            self.rows, self.settled = small, True
        elif self.rows == small:
            self.rows = large
        elif len(self._seconds[large]) < turns:
            self.rows = small
        elif self._gain() > enough:
            self._compared, self._seconds = (large, 2 * large), {}
        else:
            self.rows, self.settled = small, True

    def _gain(self) -> float:
        """The share of a row's time that the larger size saves."""
        small, large = (self._seconds[size] for size in self._compared)
        return 1 - statistics.median(b / a for a, b in zip(small, large, strict=True))

    def halve(self) -> None:
        """Memory ran out: half the rows from now on, and no more trying."""
        self.rows, self.settled = max(1, self.rows // 2), True


class Batcher:
    """First come, first served, but the longest first among the last; where a tick has no room for
    all that ride, those with the most to do.

    Only cells of one group ride together: of one image size, and with `tiling` or without.
    """

    def __init__(self, cells: Iterable[Cell], budget: RowBudget) -> None:
        self.budget = budget
        self._riding: list[Cell] = []
        self._turns: Counter[int] = Counter()  # a riding cell's index -> ticks in its pass so far
        self._passes: Counter[int] = Counter()  # a cell's index -> the number of its pass
        # Sorted by group, so that no group waits for another's tail more than once.
        self._waiting = deque(sorted(cells, key=self._group))

    def __bool__(self) -> bool:
        return bool(self._riding or self._waiting)

    def next(self) -> list[Cell]:
        """The cells of the next tick; at least one, whatever the budget."""
        self._admit()
        # The most to do first: so all end together.
        first, *rest = sorted(self._riding, key=self._left, reverse=True)
        batch = [first]
        rows = rows_of(first.recipe)
        for cell in rest:
            if rows + rows_of(cell.recipe) <= self.budget.rows:
                batch.append(cell)
                rows += rows_of(cell.recipe)
        riding = {cell.index for cell in batch}
        self._turns.update(riding)
        return [cell for cell in self._riding if cell.index in riding]

    def leave(self, cell: Cell) -> None:
        """`cell` is finished or has failed."""
        self._riding.remove(cell)
        del self._turns[cell.index]

    def again(self, cell: Cell) -> None:
        """`cell` is through with a pass and waits for its next, behind those of its group."""
        self.leave(cell)
        self._passes[cell.index] += 1
        group = self._group(cell)
        same = [i for i, other in enumerate(self._waiting) if self._group(other) == group]
        self._waiting.insert(same[-1] + 1 if same else len(self._waiting), cell)

    def _pass(self, cell: Cell) -> Pass:
        """The one that `cell` is in, or waits for."""
        return passes(cell.recipe)[self._passes[cell.index]]

    def _group(self, cell: Cell) -> tuple[int, int, bool]:
        part = self._pass(cell)
        return part.width, part.height, cell.recipe.tiling

    def _left(self, cell: Cell) -> int:
        """Evaluations that the pass of `cell` still takes."""
        whole = resolve(cell.recipe.sampler).evaluations(self._pass(cell).count)
        return whole - self._turns[cell.index]

    def _admit(self) -> None:
        rows = sum(rows_of(cell.recipe) for cell in self._riding)
        while self._waiting and (rows < self.budget.rows or not self._riding):
            place = self._place_of_next()
            cell = self._waiting[place]
            full = rows + rows_of(cell.recipe) > self.budget.rows
            if self._riding and (full or self._group(cell) != self._group(self._riding[0])):
                return
            del self._waiting[place]
            self._riding.append(cell)
            rows += rows_of(cell.recipe)

    def _place_of_next(self) -> int:
        """Where the cell waits that comes next.

        A long one that started last would end alone, in batches too small to be worth their cost.
        """
        group = self._group(self._waiting[0])
        alike = takewhile(lambda cell: self._group(cell) == group, self._waiting)
        last = list(islice(alike, self.budget.rows + 1))
        if len(last) > self.budget.rows:  # about two batches of cells with guidance
            return 0
        return max(range(len(last)), key=lambda place: self._left(last[place]))


class RowCounter:
    """Rows done and rows in all; a cell that leaves early takes its rest off the total."""

    def __init__(self, cells: Iterable[Cell], emit: Callable[[Event], None]) -> None:
        self.total = sum(rows_in(cell.recipe) for cell in cells)
        self.done = 0
        self._emit = emit

    def add(self, rows: int) -> None:
        self.done += rows
        self._emit(Progress(self.done, self.total))

    def settle(self, cell: Cell, evaluations: int) -> None:
        """`cell` is over after `evaluations` of the denoiser."""
        self.total -= rows_in(cell.recipe) - evaluations * rows_of(cell.recipe)

    def again(self, cells: Iterable[Cell]) -> None:
        """`cells` are to be computed once more."""
        self.total += sum(rows_in(cell.recipe) for cell in cells)

"""What cells cost at a sweep's settled pace, so that their times can be compared. No torch.

A cell's measured seconds depend on when it rode: in the warm-up, in small batches while the size
was searched for, beside other work. What it costs does not: its evaluations, its rows and its
sampler's arithmetic, each at the median of what they took once the batch had its size.
"""

from __future__ import annotations

import itertools
import statistics
from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from sdviz.events import ComparableTimes, Event

_KEPT = 999  # measurements of each kind: the latest
_NEARLY = 0.75  # of the settled rows: a row of a smaller tick is dearer
_AT_ONCE = 5000  # cells in one event
_EVERY_S = 5.0  # how often the finished cells are told on the way

# Width and height of a pass in pixels; and the rows, where a cell's own are all that ride.
Size = tuple[int, ...]


@dataclass
class Use:
    """What one cell has asked for."""

    rows: int  # of an evaluation: two with guidance, one without
    sampler: str
    evaluations: dict[Size, int] = field(default_factory=dict)  # by the size of the pass
    texts: int = 0  # encoded, by the cell itself or by one before it
    images: list[Size] = field(default_factory=list)  # that the VAE has encoded, to start from
    frames: int = 0

    def evaluated(self, size: Size) -> None:
        self.evaluations[size] = self.evaluations.get(size, 0) + 1

    def frozen(self) -> _Frozen:
        """The same as a key: most cells of a sweep ask for the same."""
        evaluations = tuple(self.evaluations.items())
        images = tuple(self.images)
        return _Frozen(self.rows, self.sampler, evaluations, self.texts, images, self.frames)


class _Frozen(NamedTuple):
    rows: int
    sampler: str
    evaluations: tuple[tuple[Size, int], ...]
    texts: int
    images: tuple[Size, ...]
    frames: int


_Key = tuple[int, _Frozen]  # with the group


class Rates:
    """The latest measurements of one kind, by what their cost depends on."""

    def __init__(self) -> None:
        self._seconds: dict[Hashable, deque[float]] = defaultdict(lambda: deque(maxlen=_KEPT))

    def add(self, key: Hashable, seconds: float) -> None:
        self._seconds[key].append(seconds)

    def median(self, key: Hashable) -> float:
        """Without the first, which pays for warm-up, where there are more; 0 without any."""
        several = list(self._seconds.get(key, ()))
        later = several[1:] if 1 < len(several) < _KEPT else several
        return statistics.median(later) if later else 0.0


@dataclass(frozen=True)
class _Cost:
    seconds: float  # of a row
    rows: int  # of the ticks in which it was measured
    is_full: bool  # did these fill the batch?


class Pace:
    """Gathers what everything costs while the cells of a model are computed, and tells the
    comparable seconds of each.

    A `group` of cells shares a LoRA and a VAE. `clock` gives seconds.
    """

    def __init__(
        self, model: str, device: str, emit: Callable[[Event], None], clock: Callable[[], float]
    ) -> None:
        self.clock = clock
        self.steps = Rates()  # a sampler's arithmetic for one evaluation, by (sampler, size)
        self.texts = Rates()  # encoding one text
        self.images = Rates()  # encoding an image, by size
        self.decoding = Rates()  # decoding and finishing one picture, by size
        self.frames = Rates()  # decoding one frame
        self.group = 0  # the one at work
        self._model, self._device, self._emit = model, device, emit
        self._ticks: dict[tuple[int, Size], deque[tuple[int, float]]] = defaultdict(
            lambda: deque(maxlen=_KEPT)
        )
        # Cells by what they have asked for, with their group: a sweep has many cells and few uses.
        self._finished: dict[_Key, list[int]] = defaultdict(list)
        self._untold: dict[_Key, list[int]] = defaultdict(list)
        self._told = clock()

    def ticked(self, size: Size, rows: int, seconds: float) -> None:
        """A forward of `rows` rows took this long, without the samplers' arithmetic. The first of
        all, which pays for warm-up, is not to be told.
        """
        self._ticks[self.group, size].append((rows, seconds))

    def finished(self, cell: int, use: Use) -> None:
        key = (self.group, use.frozen())
        self._finished[key].append(cell)
        self._untold[key].append(cell)

    def tell(self, batch: int, *, settled: bool) -> None:
        """Tells the cells that have finished since, every few seconds once the batch is settled."""
        if settled and self._untold and self.clock() - self._told > _EVERY_S:
            self._tell(self._untold, batch, settled=settled)

    def tell_all(self, batch: int, *, settled: bool) -> None:
        """Tells all that have finished, at the rates as they are now: the same for each.

        In a sweep of very many cells only those not told yet: its rates have long settled.
        """
        is_small = sum(map(len, self._finished.values())) <= _AT_ONCE
        self._tell(self._finished if is_small else self._untold, batch, settled=settled)

    def _tell(self, finished: Mapping[_Key, list[int]], batch: int, *, settled: bool) -> None:
        asked = {(group, size) for group, use in finished for size, _ in use.evaluations}
        costs = {one: cost for one in asked if (cost := self._cost(one, batch)) is not None}
        seconds: dict[int, tuple[float, float]] = {}
        for (group, use), cells in finished.items():
            rows = {size: costs.get((group, size)) for size, _ in use.evaluations}
            known = {size: row.seconds for size, row in rows.items() if row}
            if len(known) == len(rows):
                seconds |= dict.fromkeys(cells, self._seconds(use, known))
        self._untold, self._told = defaultdict(list), self.clock()
        if not seconds:
            return
        rows_a_tick = max(cost.rows for cost in costs.values())
        whole = settled and all(cost.is_full for cost in costs.values())
        several = iter(seconds.items())
        while part := dict(itertools.islice(several, _AT_ONCE)):
            self._emit(ComparableTimes(self._model, part, rows_a_tick, whole, self._device))

    def _cost(self, one: tuple[int, Size], batch: int) -> _Cost | None:
        """Of a row in ticks that nearly fill the batch: those of the group, or else of all groups;
        in the fullest where none does. None where nothing was measured.
        """
        own = self._ticks.get(one, ())
        several = (ticks for (_, size), ticks in self._ticks.items() if size == one[1])
        every = list(itertools.chain(*several))
        for ticks in (own, every):
            full = [(rows, s) for rows, s in ticks if _NEARLY * batch <= rows <= batch]
            if full:
                return _Cost(_row(full), max(rows for rows, _ in full), is_full=True)
        if not every:
            return None
        most = max(rows for rows, _ in every)
        return _Cost(_row((rows, s) for rows, s in every if rows == most), most, is_full=False)

    def _seconds(self, use: _Frozen, rows: Mapping[Size, float]) -> tuple[float, float]:
        """In all, and of them for denoising; `rows` are the seconds of a row by size."""
        denoising = sum(
            count * (use.rows * rows[size] + self.steps.median((use.sampler, size)))
            for size, count in use.evaluations
        )
        total = denoising + self.decoding.median(use.evaluations[-1][0])
        total += use.texts * self.texts.median(None) + use.frames * self.frames.median(None)
        return total + sum(map(self.images.median, use.images)), denoising


def _row(ticks: Iterable[tuple[int, float]]) -> float:
    return statistics.median(seconds / rows for rows, seconds in ticks)

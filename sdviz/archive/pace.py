"""When each frame of an archived sweep came, so that it can be played again as fast as it was."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from sdviz.archive.records import CellRecord

if TYPE_CHECKING:
    from sdviz.archive.reader import Archive

_LAST = "SELECT cell, max(seconds) FROM frame GROUP BY cell"


class Pace:
    """A clock that each frame moves on by what its step took.

    A batch's time is shared among its rows, so the shares of all cells, one after the other, are
    what the sweep took. A cell's other seconds (text, previews, saving) are spread over its steps;
    loading the model is left out.
    """

    def __init__(self, archive: Archive) -> None:
        self.seconds = 0.0  # since the beginning
        self._told: dict[int, float] = {}  # cell -> denoising seconds at its last frame
        cells = {cell.i: cell for cell in archive.everything}
        self._rates = {
            i: _rate(cells.get(i), _number(last)) for i, last in archive.query(_LAST)
        }  # fmt: skip

    def frame(self, row: sqlite3.Row) -> None:
        """Moves the clock to this row of table `frame`; what makes no sense takes no time."""
        cell, seconds = row["cell"], _number(row["seconds"])
        share = seconds - self._told.get(cell, 0.0)
        self._told[cell] = seconds
        self.seconds += max(0.0, share) * self._rates.get(cell, 1.0)


def _rate(cell: CellRecord | None, denoising: float) -> float:
    """All seconds of a cell for each that the denoiser took; 1 where they are not known."""
    total = _number(cell.timings.get("total_s")) if cell is not None else 0.0
    return total / denoising if 0 < denoising <= total else 1.0


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) and abs(value) < 1e9 else 0.0

"""Noise levels and timesteps of the cells, kept once for all cells that share them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from sdviz.archive.store import dumps
from sdviz.plan import Cell


class Schedules:
    """The rows of table `schedule`; `identify` adds one when a cell brings a new schedule."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._known: dict[tuple[str, int, str, str], int] = {}

    def load(self) -> None:
        rows = self._db.execute("SELECT id, sampler, steps, sigmas, timesteps FROM schedule")
        self._known = {(row[1], row[2], row[3], row[4]): row[0] for row in rows}

    def identify(
        self, cell: Cell, sigmas: Sequence[float], timesteps: Sequence[float], seq: int
    ) -> int | None:
        """The number of this schedule; None where the cell told no step."""
        if not sigmas:
            return None
        recipe = cell.recipe
        content = (recipe.sampler, recipe.steps, dumps(sigmas), dumps(timesteps))
        if content not in self._known:
            at = len(self._known)
            self._db.execute("INSERT INTO schedule VALUES (?, ?, ?, ?, ?, ?)", (at, *content, seq))
            self._known[content] = at
        return self._known[content]

"""Transactions on an archive's tables: each has a number, and is seen whole or not at all."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping, Sequence
from typing import Any

from sdviz.archive.store import dumps, loads
from sdviz.plan.cells import Cell


class Journal:
    """`seq` numbers transactions, by which readers find what changed; `n` frames and events."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        self.seq: int = self.get("seq") or 0
        last = "SELECT max(n) AS n FROM frame UNION ALL SELECT max(n) FROM event"
        self.n: int = db.execute(f"SELECT ifnull(max(n), 0) FROM ({last})").fetchone()[0]

    def begin(self) -> None:
        self.seq += 1
        self.db.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """Makes all since `begin` visible to readers, with one number for all of it."""
        self.put("seq", self.seq)
        self.db.execute("COMMIT")

    def rollback(self) -> None:
        self.db.execute("ROLLBACK")

    def get(self, key: str) -> Any:
        """A value of table `sweep`; None where there is none."""
        row = self.db.execute("SELECT value FROM sweep WHERE key=?", (key,)).fetchone()
        return loads(row[0]) if row else None

    def put(self, key: str, value: Any) -> None:
        self.db.execute("INSERT OR REPLACE INTO sweep VALUES (?, ?)", (key, dumps(value)))

    def event(self, kind: str, cell: int | None, data: Mapping[str, Any] | None) -> None:
        """Adds a row to table `event`."""
        self.n += 1
        text = None if data is None else dumps(data)
        self.db.execute(
            "INSERT INTO event VALUES (?, ?, ?, ?, ?)", (self.n, kind, cell, text, self.seq)
        )


def now() -> str:
    """The time in UTC, in the format of archives: 2026-01-31T12:00:00Z."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


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
        """The number of this schedule; None if the cell reported no step."""
        if not sigmas:
            return None
        recipe = cell.recipe
        content = (recipe.sampler, recipe.steps, dumps(sigmas), dumps(timesteps))
        if content not in self._known:
            at = len(self._known)
            self._db.execute("INSERT INTO schedule VALUES (?, ?, ?, ?, ?, ?)", (at, *content, seq))
            self._known[content] = at
        return self._known[content]

"""A sweep that happens once more: a copy of its archive whose rows come when they once came.

Whoever shows archives shows the copy like any sweep that runs. The original is only read.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import time
from pathlib import Path
from types import TracebackType

from sdviz.archive import replay
from sdviz.archive.checksums import write_checksums
from sdviz.archive.lock import ArchiveLock
from sdviz.archive.paths import ArchivePaths
from sdviz.archive.reader import Archive
from sdviz.archive.records import CellRecord, evaluations_taken, steps_taken
from sdviz.archive.replay import Pace
from sdviz.archive.store import connect_writer, settle
from sdviz.archive.upkeep.removal import remove
from sdviz.archive.writing.journal import Journal, now
from sdviz.errors import ArchiveError
from sdviz.regular_files import open_regular

_LATENCY = 0.08  # seconds that a row may wait for its commit
_FRESH = ("name", "status", "created", "started", "ended", "progress", "paced", "seq", "laid_out")
_ROWS = {  # copied as they are: those that cells refer to at once, and those that come in time
    "axis": 'position, keys, "values"',
    "schedule": "id, sampler, steps, sigmas, timesteps",
    "frame": "n, cell, step, sigma, timestep, seconds, mean, std, min, max, guidance, webp, crc",
}
_RESULT = (
    "status", "image", "bytes", "sha256", "pixels", "reason", "notes", "timings", "frames",
    "last_step", "schedule", "source",
)  # fmt: skip


class Stage:
    """The copy of `archive` in the folder `root`, at first with nothing computed.

    An earlier copy there is replaced. Raises ArchiveError where somebody plays that one now.
    """

    def __init__(self, archive: Archive, root: Path, name: str) -> None:
        self._archive = archive
        self._paths = ArchivePaths(root)
        if self._paths.database.exists():
            remove(root)
        self._paths.images.mkdir(parents=True, exist_ok=True)
        self._lock = ArchiveLock(self._paths.lock)
        self._lock.acquire()
        self._db = connect_writer(self._paths.database)
        self._journal = Journal(self._db)
        cells = archive.everything
        self._evaluations = {cell.i: _evaluations(cell) for cell in cells}
        self._total = sum(cell.frames * self._evaluations[cell.i] for cell in cells)
        self._done = 0.0
        self._waiting = {cell.i for cell in cells}
        self._set_up(name)

    def __enter__(self) -> Stage:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leaves the copy as it is; a play that was stopped is an interrupted sweep."""
        if self._db.in_transaction:
            self._journal.rollback()
        if self._waiting:
            self._journal.begin()
            self._journal.put("status", "interrupted")
            self._journal.commit()
        write_checksums(self._paths, database=settle(self._db))
        self._lock.release()

    def play(self, speed: float) -> None:
        """Lets the rows come, `speed` times as fast as they did; 0: at once."""
        pace = Pace(self._archive)
        began = committed = time.monotonic()
        self._journal.begin()
        for table, row in replay.rows(self._archive):
            if table == "frame":
                pace.frame(row)
            pause = began + pace.seconds / speed - time.monotonic() if speed > 0 else 0.0
            if pause > 0 or time.monotonic() - committed > _LATENCY:
                self._commit()
                time.sleep(max(0.0, pause))
                committed = time.monotonic()
                self._journal.begin()
            self._frame(row) if table == "frame" else self._event(row)
        for i in sorted(self._waiting):  # whose events are missing
            self._result(i)
        self._journal.put("status", self._archive.status)
        self._journal.put("ended", now())
        self._commit()

    def _set_up(self, name: str) -> None:
        journal, db = self._journal, self._db
        journal.begin()
        for key, value in self._archive.query("SELECT key, value FROM sweep"):
            if key not in _FRESH:
                db.execute("INSERT INTO sweep VALUES (?, ?)", (key, value))
        journal.put("name", name)
        journal.put("status", "running")
        journal.put("created", now())
        journal.put("started", now())
        journal.put("progress", [0, round(self._total)])
        journal.put("laid_out", journal.seq)
        self._copy("axis")
        self._copy("schedule", seq=journal.seq)
        for row in self._archive.stream("SELECT i, coords, key, recipe FROM cell ORDER BY i"):
            db.execute(
                "INSERT INTO cell (i, coords, key, recipe, status, seq)"
                " VALUES (?, ?, ?, ?, 'waiting', ?)",
                (*row, journal.seq),
            )
        journal.commit()

    def _copy(self, table: str, **more: int) -> None:
        for row in self._archive.stream(f"SELECT {_ROWS[table]} FROM {table}"):
            self._insert(table, row, **more)

    def _insert(self, table: str, row: sqlite3.Row, **more: int) -> None:
        values = [*(row[name.strip('" ')] for name in _ROWS[table].split(",")), *more.values()]
        columns = ", ".join([_ROWS[table], *more])
        marks = ", ".join("?" * len(values))
        self._db.execute(f"INSERT OR REPLACE INTO {table} ({columns}) VALUES ({marks})", values)

    def _commit(self) -> None:
        self._journal.put("progress", [round(self._done), round(self._total)])
        self._journal.commit()

    def _frame(self, row: sqlite3.Row) -> None:
        self._insert("frame", row)
        shown = row["webp"] is not None
        self._done += shown * self._evaluations.get(row["cell"], 1.0)
        self._db.execute(
            "UPDATE cell SET frames=frames+?, last_step=max(last_step, ?), seq=? WHERE i=?",
            (int(shown), row["step"] if shown else 0, self._journal.seq, row["cell"]),
        )

    def _event(self, row: sqlite3.Row) -> None:
        self._db.execute(
            "INSERT INTO event VALUES (?, ?, ?, ?, ?)",
            (row["n"], row["kind"], row["cell"], row["data"], self._journal.seq),
        )
        if row["kind"] == "cell_started":
            self._db.execute(
                "UPDATE cell SET status='running', seq=? WHERE i=?",
                (self._journal.seq, row["cell"]),
            )
        elif row["kind"] in ("cell_finished", "cell_failed"):
            self._result(row["cell"])

    def _result(self, i: int) -> None:
        """What became of cell `i`: its row, and its picture as a second name of the same file."""
        self._waiting.discard(i)
        row = self._archive.query(f"SELECT {', '.join(_RESULT)} FROM cell WHERE i=?", (i,))
        if not row:
            return
        with contextlib.suppress(ArchiveError, OSError):  # `verify` names it; the play goes on
            source = self._archive.image_path(i)
            _same_file(source, self._paths.image(f"images/{source.name}"))
        columns = ", ".join(f"{name}=?" for name in _RESULT)
        self._db.execute(
            f"UPDATE cell SET {columns}, seq=? WHERE i=?", (*row[0], self._journal.seq, i)
        )


def _evaluations(cell: CellRecord) -> float:
    """Of the denoiser, for each of the cell's steps."""
    steps = steps_taken(cell)
    return (evaluations_taken(cell) or steps) / max(steps, 1)


def _same_file(source: Path, target: Path) -> None:
    with open_regular(source) as file:  # raises for what a stranger may have put in its place
        try:
            os.link(source, target)
        except OSError:  # another disk, or one without links
            with target.open("xb") as copy:
                shutil.copyfileobj(file, copy)

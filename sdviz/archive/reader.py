"""An archive, read: cells as records, images as PIL, frames as arrays, events as they were."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from sdviz.archive import replay
from sdviz.archive.lock import is_held
from sdviz.archive.paths import DATABASE, ArchivePaths
from sdviz.archive.records import CellRecord, cell_record, read_scores
from sdviz.archive.store import connect_reader, loads
from sdviz.archive.table import Table
from sdviz.errors import ArchiveError
from sdviz.events import Event
from sdviz.pictures import files
from sdviz.pictures.pixels import Pixels
from sdviz.plan.cells import Axis

if TYPE_CHECKING:
    from typing_extensions import Self

_NEVER = 2**62  # above every cell's number
_LARGEST_FRAME = 16 << 20  # bytes; a WebP frame of ours has some kilobytes


def _is_axis(keys: Any, values: Any) -> bool:
    return (
        isinstance(keys, list)
        and isinstance(values, list)
        and all(isinstance(key, str) for key in keys)
        and all(isinstance(value, list) and len(value) == len(keys) for value in values)
    )


class Database:
    """The database of the archive in folder `path` (or of that sweep.db itself)."""

    def __init__(self, path: str | Path) -> None:
        location = Path(path)
        self.path = location.parent if location.name == DATABASE else location
        self.paths = ArchivePaths(self.path)
        self._db = connect_reader(self.paths.database)
        self.format: int = self.query("PRAGMA user_version")[0][0]

    def close(self) -> None:
        self._db.close()

    def __del__(self) -> None:
        if hasattr(self, "_db"):  # not there when it could not be opened
            self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def query(self, sql: str, values: tuple[Any, ...] = ()) -> list[sqlite3.Row]:
        """Rows of a question in SQL; the tables are described in docs/archive.md."""
        with self._reading():
            return self._db.execute(sql, values).fetchall()

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OverflowError, UnicodeDecodeError, MemoryError) as error:
            raise ArchiveError(
                f"{self.paths.database} cannot be read: {error}; python -m sdviz.archive verify "
                f"{self.path} lists what is damaged"
            ) from error

    def stream(self, sql: str, values: tuple[Any, ...] = ()) -> Iterator[sqlite3.Row]:
        """The same, row by row, for more rows than memory should hold."""
        with self._reading():
            yield from self._db.execute(sql, values)

    def about(self, key: str, default: Any = None) -> Any:
        """A value of table `sweep`: name, created, seconds, config, machine, versions, ..."""
        rows = self.query("SELECT value FROM sweep WHERE key=?", (key,))
        return loads(rows[0][0], default) if rows else default


class Archive(Database):
    """One archive, open for reading; usable while its sweep is written, from any process.

    Everything raises ArchiveError where its part is missing or damaged; others stay readable.
    """

    def mapping(self, key: str) -> dict[str, Any]:
        """The same where it is an object; an empty one where it is anything else."""
        value = self.about(key)
        return value if isinstance(value, dict) else {}

    def number(self, key: str) -> float:
        """The same where it is a number; 0 where it is anything else."""
        value = self.about(key)
        return value if isinstance(value, (int, float)) else 0

    @property
    def comparable(self) -> dict[str, dict[str, Any]]:
        """How the comparable seconds were made, by model: `batch` (rows of the ticks in which a row
        was measured), `settled` (false where too few cells were computed) and `device`.
        """
        kinds = {"batch": int, "settled": bool, "device": str}
        return {
            model: {key: made[key] for key in kinds}
            for model, made in self.mapping("comparable").items()
            if isinstance(made, dict)
            and all(type(made.get(k)) is kind for k, kind in kinds.items())
        }

    @property
    def name(self) -> str:
        return str(self.about("name", self.path.name))

    @property
    def live(self) -> bool:
        """Whether a process is writing this archive now."""
        return is_held(self.paths.lock)

    @property
    def status(self) -> str:
        """running, finished, failed (some cells), interrupted (also: its process died)."""
        status = str(self.about("status", "interrupted"))
        return "interrupted" if status == "running" and not self.live else status

    @property
    def machine(self) -> dict[str, Any]:
        return self.mapping("machine")

    @property
    def versions(self) -> dict[str, str]:
        return self.mapping("versions")

    @property
    def config(self) -> dict[str, Any]:
        return self.mapping("config")

    @property
    def dims(self) -> tuple[Axis, ...]:
        """The axes as the plan has them; one of several keys is zipped."""
        rows = self.query('SELECT keys, "values" FROM axis ORDER BY position')
        axes = [(loads(row[0]), loads(row[1])) for row in rows]
        if not all(_is_axis(*axis) for axis in axes):
            raise ArchiveError(
                f"{self.paths.database}: table axis is damaged",
            )
        return tuple(Axis(tuple(keys), tuple(map(tuple, values))) for keys, values in axes)

    @property
    def axes(self) -> dict[str, list[Any]]:
        """Setting -> its values in order; zipped settings have a list each, of the same length."""
        return {
            key: [values[k] for values in axis.values]
            for axis in self.dims
            for k, key in enumerate(axis.keys)
        }

    @property
    def cells(self) -> list[CellRecord]:
        """The cells of the grid, in its order."""
        return self._records(self.first_outside)

    @property
    def everything(self) -> list[CellRecord]:
        """The same, and after them the references: what has a picture in the archive."""
        return self._records(_NEVER)

    @property
    def referred(self) -> list[int]:
        """Cell -> the number of the converged image that it is measured by, -1 for none; empty
        where there are none (sdviz.plan.reference).
        """
        numbers = self.about("referred", [])
        whole = isinstance(numbers, list) and all(type(number) is int for number in numbers)
        return numbers if whole else []

    @property
    def first_outside(self) -> int:
        """Cells of this number and above are outside the grid: references."""
        return len(self.referred) or _NEVER

    def _records(self, below: int) -> list[CellRecord]:
        live = self.live
        rows = self.stream("SELECT * FROM cell WHERE i < ? ORDER BY i", (below,))
        return [cell_record(row, live=live) for row in rows]

    def cell(self, i: int) -> CellRecord:
        """The record of cell `i`, a reference included."""
        rows = self.query("SELECT * FROM cell WHERE i=?", (i,))
        if not rows:
            raise ArchiveError(f"{self.path} has no cell {i}")
        return cell_record(rows[0], live=self.live)

    def image_path(self, i: int) -> Path:
        """The final image's file; refuses a name that leads out of the archive."""
        cell = self.cell(i)
        if cell.image is None:
            raise ArchiveError(f"cell {i} of {self.path} has no image: it is {cell.status}")
        return self.paths.image(cell.image)

    def image(self, i: int) -> Image.Image:
        """The final image of cell `i`, RGB."""
        return files.decode(self.image_path(i), f"the image of cell {i}")

    def scores(self, since: int = 0) -> dict[int, dict[str, Any]]:
        """Scores and captions of cells, after change `since`: {"scores": {}, "caption": ""}."""
        rows = self.query(
            "SELECT cell, data FROM event WHERE kind='cell_scored' AND seq > ? ORDER BY n", (since,)
        )
        return {row["cell"]: read_scores(loads(row["data"])) for row in rows}

    def steps(self, i: int) -> list[int]:
        """The steps (1..) of cell `i` that have a frame."""
        rows = self.query(
            "SELECT step FROM frame WHERE cell=? AND webp IS NOT NULL ORDER BY step", (i,)
        )
        return [row[0] for row in rows]

    def frame_bytes(self, i: int, step: int) -> bytes:
        """The frame after step `step` as it is stored: WebP."""
        where = "FROM frame WHERE cell=? AND step=?"
        sizes = self.query(f"SELECT length(webp), typeof(webp) {where}", (i, step))
        if not sizes or sizes[0][0] is None:
            raise ArchiveError(f"cell {i} of {self.path} has no frame after step {step}")
        if sizes[0][1] != "blob" or sizes[0][0] > _LARGEST_FRAME:
            raise ArchiveError(f"frame {i}/{step} of {self.path} is damaged: no picture")
        return bytes(self.query(f"SELECT webp {where}", (i, step))[0][0])

    def frame(self, i: int, step: int) -> Pixels:
        """The frame after step `step`: uint8 array (height, width, 3), RGB; WebP is lossy."""
        return np.asarray(files.decode(self.frame_bytes(i, step), f"frame {i}/{step}"))

    def counts(self) -> dict[str, int]:
        """How many cells of the grid there are of each status."""
        rows = self.query(
            "SELECT status, count(*) FROM cell WHERE i < ? GROUP BY status", (self.first_outside,)
        )
        return {str(row[0]): row[1] for row in rows}

    @property
    def timings(self) -> Table:
        """One row per finished cell: its settings along the axes, and seconds by kind."""
        keys = list(self.axes)
        return Table(
            {"cell": c.i, **{key: c.recipe.get(key) for key in keys}, **c.timings}
            for c in self.cells
            if c.status == "done"
        )

    def events(self) -> Iterator[Event]:
        """The sweep's events in the order in which they happened; frames as they were stored."""
        return replay.events(self)

    def as_json(self) -> dict[str, Any]:
        """What `show --json` prints."""
        scored, none = self.scores(), read_scores(None)
        return {
            "format": self.format,
            "name": self.name,
            "status": self.status,
            "created": self.about("created"),
            "seconds": self.about("seconds"),
            "axes": self.axes,
            "zip": [list(axis.keys) for axis in self.dims if len(axis.keys) > 1],
            "excluded": self.about("excluded", 0),
            "dtype": self.about("dtype"),
            "identities": self.mapping("identities"),
            "machine": self.machine,
            "versions": self.versions,
            "comparable": self.comparable,
            "cells": [cell.as_json() | scored.get(cell.i, none) for cell in self.cells],
        }

    def _repr_png_(self) -> bytes | None:
        """The contact sheet, for notebooks; of a large or damaged archive nothing but its repr."""
        from sdviz.archive.export.grid import sheet_png

        try:
            return sheet_png(self)
        except ArchiveError:
            return None

    def __repr__(self) -> str:
        counts = self.counts()
        done, total = counts.get("done", 0), sum(counts.values())
        return f"<Archive {self.path} {self.status}: {done} of {total} cells>"

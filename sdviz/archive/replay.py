"""The events of a sweep out of its archive, as the engine made them."""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import TYPE_CHECKING

import numpy as np

from sdviz.archive.records import CellRecord, plan_cell, read_scores, steps_taken
from sdviz.archive.store import loads
from sdviz.errors import ArchiveError
from sdviz.events import (
    CellFailed,
    CellFinished,
    CellScored,
    CellStarted,
    Event,
    Frame,
    LatentStats,
    Note,
    SweepFinished,
    SweepStarted,
    Timings,
)
from sdviz.pictures import files
from sdviz.plan.cells import Plan

if TYPE_CHECKING:
    from sdviz.archive.reader import Archive

if TYPE_CHECKING:
    from sdviz.archive.reader import Archive


def plan_of(archive: Archive) -> Plan:
    """The sweep's plan again. Cells whose rows are damaged are left out."""
    whole = [plan_cell(cell) for cell in archive.everything if cell.status != "damaged"]
    first_outside = archive.first_outside
    return Plan(
        axes=archive.dims,
        cells=[cell for cell in whole if cell.index < first_outside],
        references=[replace(c, reference=True) for c in whole if c.index >= first_outside],
        referred=archive.referred,
        excluded=int(archive.number("excluded")),
        dtype=str(archive.about("dtype", "float32")),
        identities=archive.mapping("identities"),
        contents=archive.mapping("contents"),
    )


def rows(archive: Archive) -> Iterator[tuple[str, sqlite3.Row]]:
    """("frame", row) and ("event", row) of the tables, in the order in which they were written."""

    def stream(table: str) -> Iterator[tuple[str, sqlite3.Row]]:
        return ((table, row) for row in archive.stream(f"SELECT * FROM {table} ORDER BY n"))

    yield from heapq.merge(stream("frame"), stream("event"), key=lambda item: item[1]["n"])


def events(archive: Archive, pace: Pace | None = None) -> Iterator[Event]:
    """All events in order. `Progress` is not archived; damaged frames are left out.

    After each event, `pace` has the time of that event.
    """
    yield SweepStarted(
        archive.name, plan_of(archive), archive.config, archive.machine, archive.versions
    )
    steps = {cell.i: steps_taken(cell) for cell in archive.everything}
    for table, row in rows(archive):
        if table == "event":
            yield from _event(archive, row)
            continue
        if pace is not None:
            pace.frame(row)
        yield from _frame(row, steps)
    if archive.status != "running":
        yield SweepFinished(archive.status, archive.number("seconds"))


def _frame(row: sqlite3.Row, steps: dict[int, int]) -> Iterator[Event]:
    pixels = None
    if row["webp"] is not None:
        try:
            pixels = np.asarray(files.decode(row["webp"], f"frame {row['cell']}/{row['step']}"))
        except (ArchiveError, TypeError):
            return  # `verify` names it
    stats = None
    if row["mean"] is not None:
        stats = LatentStats(row["mean"], row["std"], row["min"], row["max"], row["guidance"])
    yield Frame(
        cell=row["cell"],
        step=row["step"],
        steps=steps.get(row["cell"], row["step"]),
        sigma=row["sigma"],
        timestep=row["timestep"],
        seconds=row["seconds"],
        pixels=pixels,
        stats=stats,
    )


def _event(archive: Archive, row: sqlite3.Row) -> Iterator[Event]:
    match row["kind"]:
        case "note":
            note = loads(row["data"], {})
            if not isinstance(note, dict):
                return
            yield Note(note.get("kind", ""), note.get("text", ""), note.get("data", {}))
        case "cell_started":
            yield CellStarted(row["cell"])
        case "cell_finished":
            yield from _finished(archive, row["cell"])
        case "cell_scored":
            scored = read_scores(loads(row["data"]))
            yield CellScored(row["cell"], scored["scores"], scored["caption"])
        case "cell_failed":
            yield CellFailed(row["cell"], archive.cell(row["cell"]).reason)


def _finished(archive: Archive, i: int) -> Iterator[Event]:
    cell = archive.cell(i)
    try:
        pixels = np.asarray(archive.image(i))
    except ArchiveError:
        return  # `verify` names it
    known = {f.name: cell.timings[f.name] for f in fields(Timings) if f.name in cell.timings}
    yield CellFinished(i, pixels, Timings(**known), cell.notes)


_LAST = "SELECT cell, max(seconds) FROM frame GROUP BY cell"


class Pace:
    """A clock that each frame moves on by what its step took.

    A batch's time is shared among its rows, so the shares of all cells, one after the other, are
    what the sweep took. A cell's other seconds (text, previews, saving) are spread over its steps;
    loading the model is left out.
    """

    def __init__(self, archive: Archive) -> None:
        self.seconds = 0.0  # since the beginning
        self._latest: dict[int, float] = {}  # cell -> denoising seconds at its last frame
        cells = {cell.i: cell for cell in archive.everything}
        self._rates = {
            i: _rate(cells.get(i), _number(last)) for i, last in archive.query(_LAST)
        }  # fmt: skip

    def frame(self, row: sqlite3.Row) -> None:
        """Moves the clock to this row of table `frame`; what makes no sense takes no time."""
        cell, seconds = row["cell"], _number(row["seconds"])
        share = seconds - self._latest.get(cell, 0.0)
        self._latest[cell] = seconds
        self.seconds += max(0.0, share) * self._rates.get(cell, 1.0)


def _rate(cell: CellRecord | None, denoising: float) -> float:
    """All seconds of a cell for each that the denoiser took; 1 where they are not known."""
    total = _number(cell.timings.get("total_s")) if cell is not None else 0.0
    return total / denoising if 0 < denoising <= total else 1.0


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) and abs(value) < 1e9 else 0.0

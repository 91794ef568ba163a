"""The events of a sweep out of its archive, as the engine made them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from sdviz.archive import png
from sdviz.archive.records import plan_cell, steps_taken
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
from sdviz.plan import Plan

if TYPE_CHECKING:
    from sdviz.archive.reader import Archive


def plan_of(archive: Archive) -> Plan:
    """The sweep's plan again. Cells whose rows are damaged are left out."""
    return Plan(
        axes=archive.dims,
        cells=[plan_cell(cell) for cell in archive.cells if cell.status != "damaged"],
        excluded=int(archive.number("excluded")),
        dtype=str(archive.about("dtype", "float32")),
        identities=archive.mapping("identities"),
        contents=archive.mapping("contents"),
    )


def events(archive: Archive) -> Iterator[Event]:
    """All events in their order. `Progress` is not archived; damaged frames are left out."""
    yield SweepStarted(
        archive.name, plan_of(archive), archive.config, archive.machine, archive.versions
    )
    steps = {cell.i: steps_taken(cell) for cell in archive.cells}
    frames = archive.stream("SELECT * FROM frame ORDER BY n")
    frame = next(frames, None)
    for row in archive.stream("SELECT n, kind, cell, data FROM event ORDER BY n"):
        while frame is not None and frame["n"] < row["n"]:
            yield from _frame(frame, steps)
            frame = next(frames, None)
        yield from _event(archive, row)
    while frame is not None:
        yield from _frame(frame, steps)
        frame = next(frames, None)
    if archive.status != "running":
        yield SweepFinished(archive.status, archive.number("seconds"))


def _frame(row: sqlite3.Row, steps: dict[int, int]) -> Iterator[Event]:
    pixels = None
    if row["webp"] is not None:
        try:
            pixels = np.asarray(png.decode(row["webp"], f"frame {row['cell']}/{row['step']}"))
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
            told = archive.scores().get(row["cell"], {})
            yield CellScored(row["cell"], told.get("scores", {}), told.get("caption", ""))
        case "cell_failed":
            yield CellFailed(row["cell"], archive.cell(row["cell"]).reason)


def _finished(archive: Archive, i: int) -> Iterator[Event]:
    cell = archive.cell(i)
    try:
        pixels = np.asarray(archive.image(i))
    except ArchiveError:
        return  # `verify` names it
    known = {k: v for k, v in cell.timings.items() if k != "total_s"}
    yield CellFinished(i, pixels, Timings(**known), cell.notes)

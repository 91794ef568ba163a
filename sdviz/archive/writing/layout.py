"""Which cells of a plan an archive already has, and its tables laid out for that plan."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any

from sdviz.archive.paths import ArchivePaths
from sdviz.archive.store import dumps
from sdviz.errors import ArchiveError
from sdviz.plan.cells import Cell, Plan
from sdviz.plan.settings import Recipe

SETTINGS = tuple(f.name for f in fields(Recipe))
_KEPT = (
    "status", "image", "bytes", "sha256", "pixels", "notes", "timings", "frames", "last_step",
    "schedule", "source",
)  # fmt: skip


def settings_of(recipe: Recipe) -> dict[str, Any]:
    """Every setting by its root key's name."""
    return {name: getattr(recipe, name) for name in SETTINGS}


def lay_out(db: sqlite3.Connection, paths: ArchivePaths, plan: Plan, seq: int) -> set[int]:
    """Makes the tables those of `plan` and returns the numbers of the cells that are finished.

    A cell is finished when its row says so and its image is there in full length. Finished cells
    stay wherever the plan puts them; what unfinished ones left behind is removed. Raises
    ArchiveError where the plan has no place for a cell that is finished.
    """
    keys, finished = _existing(db, paths)
    same = keys == [cell.key for cell in plan.everything] and _axes(db) == _axis_rows(plan)
    if same:
        _forget_unfinished(db, finished.values(), seq)
        return set(finished.values())
    moved = _match(plan.everything, finished, paths)
    _relay(db, plan, moved, seq)
    return {new for _, new in moved}


def insert_cells(db: sqlite3.Connection, cells: Sequence[Cell], seq: int) -> None:
    """Adds a row for each cell, which waits to be computed."""

    def rows() -> Iterator[tuple[Any, ...]]:
        for cell in cells:
            recipe = dumps(settings_of(cell.recipe))
            yield cell.index, dumps(cell.coords), cell.key, recipe, seq

    db.executemany(
        "INSERT INTO cell (i, coords, key, recipe, status, seq) VALUES (?, ?, ?, ?, 'waiting', ?)",
        rows(),
    )


def _existing(db: sqlite3.Connection, paths: ArchivePaths) -> tuple[list[str], dict[str, int]]:
    """All keys in order, and {key: cell number} of the finished cells."""
    sizes: dict[str, int] = {}
    if paths.images.is_dir():
        with os.scandir(paths.images) as entries:
            sizes = {
                f"images/{entry.name}": entry.stat(follow_symlinks=False).st_size
                for entry in entries
                if entry.is_file(follow_symlinks=False)
            }
    keys: list[str] = []
    finished: dict[str, int] = {}
    for i, key, status, image, size in db.execute(
        "SELECT i, key, status, image, bytes FROM cell ORDER BY i"
    ):
        keys.append(key)
        if status == "done" and image and sizes.get(image) == size:
            finished[key] = i
    return keys, finished


def _axes(db: sqlite3.Connection) -> list[tuple[int, str, str]]:
    return db.execute('SELECT position, keys, "values" FROM axis ORDER BY position').fetchall()


def _axis_rows(plan: Plan) -> list[tuple[int, str, str]]:
    return [(a, dumps(axis.keys), dumps(axis.values)) for a, axis in enumerate(plan.axes)]


def _forget_unfinished(db: sqlite3.Connection, finished: Any, seq: int) -> None:
    db.execute("CREATE TEMP TABLE whole (i INTEGER PRIMARY KEY)")
    db.executemany("INSERT INTO whole VALUES (?)", ((i,) for i in finished))
    db.execute("DELETE FROM frame WHERE cell NOT IN (SELECT i FROM whole)")
    db.execute("DELETE FROM event WHERE cell IS NOT NULL AND cell NOT IN (SELECT i FROM whole)")
    db.execute(
        "UPDATE cell SET status='waiting', image=NULL, bytes=NULL, reason=NULL, timings=NULL,"
        " frames=0, last_step=0, schedule=NULL, seq=?"
        " WHERE status <> 'waiting' AND i NOT IN (SELECT i FROM whole)",
        (seq,),
    )
    db.execute("DROP TABLE whole")


def _match(
    cells: Sequence[Cell], finished: dict[str, int], paths: ArchivePaths
) -> list[tuple[int, int]]:
    """(old number, new number) of every finished cell."""
    left = dict(finished)
    moved = [(left.pop(cell.key), cell.index) for cell in cells if cell.key in left]
    if left:
        raise ArchiveError(
            f"{paths.root} holds {len(finished)} finished cells, and {len(left)} of them are not "
            f"in this sweep: give another name= than {paths.root.name!r}, or reuse=false (which "
            "keeps the old archive)"
        )
    return moved


def _relay(db: sqlite3.Connection, plan: Plan, moved: list[tuple[int, int]], seq: int) -> None:
    db.execute("CREATE TEMP TABLE moved (old INTEGER PRIMARY KEY, new INTEGER)")
    db.executemany("INSERT INTO moved VALUES (?, ?)", moved)
    for table in ("frame", "event"):
        # By way of negative numbers, so that no two cells ever share a number on the way.
        db.execute(f"DELETE FROM {table} WHERE cell NOT IN (SELECT old FROM moved)")
        db.execute(
            f"UPDATE {table} SET cell = -1 - (SELECT new FROM moved WHERE old = cell)"
            f" WHERE cell IN (SELECT old FROM moved WHERE old <> new)"
        )
        db.execute(f"UPDATE {table} SET cell = -1 - cell WHERE cell < 0")
    db.execute(
        "CREATE TEMP TABLE kept AS SELECT moved.new, cell.* FROM cell JOIN moved ON cell.i = old"
    )
    db.execute("DELETE FROM cell")
    insert_cells(db, plan.everything, seq)
    columns = ", ".join(f"{name} = (SELECT {name} FROM kept WHERE new = cell.i)" for name in _KEPT)
    db.execute("CREATE UNIQUE INDEX kept_new ON kept (new)")
    db.execute(f"UPDATE cell SET {columns} WHERE i IN (SELECT new FROM moved)")
    db.execute("DROP TABLE kept")
    db.execute("DROP TABLE moved")
    db.execute("DELETE FROM axis")
    db.executemany('INSERT INTO axis (position, keys, "values") VALUES (?, ?, ?)', _axis_rows(plan))

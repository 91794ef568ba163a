"""How a sweep's archive begins: its folder taken, its plan laid out, and cells reused."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sdviz.archive.lock import ArchiveLock
from sdviz.archive.machine import machine, versions
from sdviz.archive.paths import ArchivePaths
from sdviz.archive.store import connect_writer, dumps, loads
from sdviz.archive.writing.journal import now
from sdviz.archive.writing.recorder import Recorder
from sdviz.archive.writing.reuse import copy_finished
from sdviz.errors import ArchiveError
from sdviz.events import Note
from sdviz.plan.cells import Cell, Plan, settings_of
from sdviz.regular_files import WRITING, delete_below, folder_below


def take_folder(paths: ArchivePaths, lock: ArchiveLock, *, reuse: bool) -> sqlite3.Connection:
    """Makes the archive's folder, takes its lock and opens its database, which the caller closes.

    Without `reuse`, an existing archive is retired first. Raises ArchiveError, and releases the
    lock, if the folder cannot be written or another process is writing it.
    """
    try:
        paths.root.mkdir(parents=True, exist_ok=True)
        lock.acquire()
        if not reuse and paths.database.exists():
            retire(paths.root)
            paths.root.mkdir()
            lock.release()
            lock.acquire()
        with folder_below(paths.root, "images", make=True) as images:
            db = connect_writer(paths.database)
            with contextlib.suppress(FileNotFoundError):
                delete_below(paths.root, paths.checksums)
            for name in images.names():
                if name.startswith(WRITING):
                    images.unlink(name)
    except (OSError, sqlite3.OperationalError) as error:
        lock.release()
        raise ArchiveError(cannot_write(paths.root, error)) from error
    except ArchiveError:
        lock.release()
        raise
    return db


def lay_out_sweep(
    recorder: Recorder, paths: ArchivePaths, plan: Plan, config: Mapping[str, Any]
) -> set[int]:
    """Writes a row for every cell of the plan and records the sweep. Returns the finished cells.

    Raises ArchiveError, and changes nothing, if the plan has no place for a finished cell.
    """
    recorder.begin()
    try:
        finished = lay_out(recorder.db, paths, plan, recorder.seq)
        _describe_sweep(recorder, paths.root.name, plan, config)
    except BaseException:
        recorder.rollback()
        raise
    recorder.commit()
    recorder.forget()
    return finished


def _describe_sweep(recorder: Recorder, name: str, plan: Plan, config: Mapping[str, Any]) -> None:
    known = recorder.get("created")
    recorder.put("name", name)
    recorder.put("status", "running")
    recorder.put("created", known or now())
    recorder.put("config", config)
    recorder.put("machine", machine())
    recorder.put("versions", versions())
    recorder.put("dtype", plan.dtype)
    recorder.put("identities", dict(plan.identities))
    recorder.put("contents", dict(plan.contents))
    recorder.put("excluded", plan.excluded)
    recorder.put("referred", list(plan.referred))
    recorder.put("progress", [0, 0])
    recorder.put("laid_out", recorder.seq)  # who read an earlier layout must read all anew


def reuse_cells(
    recorder: Recorder,
    paths: ArchivePaths,
    plan: Plan,
    finished: set[int],
    sources: Sequence[Path] | None,
) -> tuple[set[int], list[Note]]:
    """Copies cells that other archives have, as in copy_finished: their numbers, and a note for
    each of those archives, which are recorded.
    """
    copied = copy_finished(paths, recorder, plan, finished, sources)
    notes = [_reuse_note(source, cells) for source, cells in copied.items()]
    recorder.begin()
    for note in notes:
        recorder.record(note)
    recorder.commit()
    return {i for cells in copied.values() for i in cells}, notes


def _reuse_note(source: str, cells: Sequence[int]) -> Note:
    count = f"{len(cells)} cell" + ("s" if len(cells) != 1 else "")
    return Note("reuse", f"{count} reused from {source}", {"source": source, "cells": len(cells)})


def write_config(paths: ArchivePaths, config: Mapping[str, Any]) -> None:
    """Writes config.yaml, the configuration that runs the sweep again."""
    from sdviz.archive.writing.config_yaml import dump  # reading archives goes without

    plain = loads(dumps(config))  # tuples become lists, enums and paths text
    paths.write(paths.config, dump(plain).encode("utf-8", "replace"))


def cannot_write(root: Path, error: Exception) -> str:
    """The message for the user if the archive in folder `root` cannot be written."""
    remedy = "free some space, or give outputs= on another disk"
    if isinstance(error, PermissionError):
        remedy = "give outputs= a folder that you can write to"
    return f"{root} cannot be written: {error}; {remedy}"


def retire(root: Path) -> Path:
    """Renames outputs/<name> to <name>.1, or the first number that is free; nothing is deleted."""
    number = 1
    while (kept := root.with_name(f"{root.name}.{number}")).exists():
        number += 1
    root.rename(kept)
    return kept


_KEPT = (
    "status", "image", "bytes", "sha256", "pixels", "notes", "timings", "frames", "last_step",
    "schedule", "source",
)  # fmt: skip


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

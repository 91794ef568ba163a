"""Cells that archives beside this one have: found by key, copied with their frames."""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sdviz.archive.paths import ArchivePaths
from sdviz.archive.store import connect_reader, loads
from sdviz.archive.writing.recorder import Adopted, Recorder
from sdviz.errors import ArchiveError
from sdviz.plan.cells import Plan

_AT_ONCE = 500  # keys in one question; SQLite takes at most 999 in old versions


def copy_finished(
    paths: ArchivePaths,
    recorder: Recorder,
    plan: Plan,
    finished: set[int],
    sources: Sequence[Path] | None = None,
) -> dict[str, list[int]]:
    """Copies every cell of the plan that an archive beside has; archive's name -> cells' numbers.

    `sources` are asked, in their order, or else all archives beside, the newest first. A damaged
    one has nothing to give and is passed over.
    """
    wanted: dict[str, list[int]] = {}
    for cell in plan.everything:
        if cell.index not in finished:
            wanted.setdefault(cell.key, []).append(cell.index)
    copied: dict[str, list[int]] = {}
    for root in _newest_first(paths.root) if sources is None else sources:
        if not wanted:
            break
        try:
            db = connect_reader(root / "sweep.db")
        except ArchiveError:
            continue
        try:
            cells = _copy_from(ArchivePaths(root), db, recorder, wanted)
        except (sqlite3.DatabaseError, ArchiveError):
            continue
        finally:
            db.close()
        if cells:
            copied[root.name] = cells
    return copied


def finished_keys(root: Path) -> set[str]:
    """The keys of the cells that the archive has; none of a damaged one."""
    try:
        with contextlib.closing(connect_reader(root / "sweep.db")) as db:
            return {row[0] for row in db.execute("SELECT key FROM cell WHERE status='done'")}
    except (sqlite3.DatabaseError, ArchiveError):
        return set()


def _newest_first(own: Path) -> list[Path]:
    found = [db.parent for db in own.parent.glob("*/sweep.db") if db.parent != own]
    return sorted(found, key=lambda root: (root / "sweep.db").stat().st_mtime, reverse=True)


def _copy_from(
    source: ArchivePaths, db: sqlite3.Connection, recorder: Recorder, wanted: dict[str, list[int]]
) -> list[int]:
    """Copies what `source` has of `wanted`, and takes it out of there."""
    copied: list[int] = []
    for row in _finished_rows(db, list(wanted)):
        data = _whole_image(source, row)
        if data is None or row["key"] not in wanted:
            continue
        for i in wanted.pop(row["key"]):
            frames = db.execute("SELECT * FROM frame WHERE cell=? ORDER BY step", (row["i"],))
            found = Adopted(row, data, frames, _scores(db, row["i"]), source.root.name)
            recorder.begin()
            try:
                recorder.adopt(i, found)
            except BaseException:
                recorder.rollback()
                raise
            recorder.commit()
            copied.append(i)
    return copied


def _finished_rows(db: sqlite3.Connection, keys: Sequence[str]) -> Iterator[sqlite3.Row]:
    for at in range(0, len(keys), _AT_ONCE):
        some = keys[at : at + _AT_ONCE]
        marks = ",".join("?" * len(some))
        yield from db.execute(
            f"SELECT * FROM cell WHERE status='done' AND key IN ({marks}) ORDER BY i", some
        ).fetchall()


def _whole_image(source: ArchivePaths, row: sqlite3.Row) -> bytes | None:
    """The image's bytes, if they are those that were written."""
    try:
        data = source.image(row["image"]).read_bytes()
    except (OSError, ArchiveError, AttributeError, TypeError):
        return None
    return data if hashlib.sha256(data).hexdigest() == row["sha256"] else None


def _scores(db: sqlite3.Connection, i: int) -> list[Any]:
    rows = db.execute("SELECT data FROM event WHERE kind='cell_scored' AND cell=?", (i,))
    return [loads(row[0]) for row in rows]

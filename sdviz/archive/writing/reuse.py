"""Finds cells in neighbouring archives by key, and copies them with their frames."""

from __future__ import annotations

import contextlib
import hashlib
import math
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sdviz.archive.guard import named
from sdviz.archive.paths import DATABASE, ArchivePaths, archive_folders
from sdviz.archive.records import cell_record
from sdviz.archive.store import connect_reader, loads
from sdviz.archive.writing.recorder import Adopted, Recorder
from sdviz.errors import ArchiveError
from sdviz.plan.cells import Plan
from sdviz.regular_files import read_regular

_LARGEST = 256 << 20  # bytes of an image file
_AT_ONCE = 500  # keys in one question; SQLite takes at most 999 in old versions


def copy_finished(
    paths: ArchivePaths,
    recorder: Recorder,
    plan: Plan,
    finished: set[int],
    sources: Sequence[Path] | None = None,
) -> dict[str, list[int]]:
    """Copies every cell of the plan that another archive has. Returns {archive: cell numbers}.

    It searches `sources` in their order, or else all neighbouring archives, newest first. Damaged
    archives are skipped.
    """
    wanted: dict[str, list[int]] = {}
    for cell in plan.everything:
        if cell.index not in finished:
            wanted.setdefault(cell.key, []).append(cell.index)
    copied: dict[str, list[int]] = {}
    for root in _newest_first(paths.root) if sources is None else sources:
        if not wanted:
            break
        copier = _Copier(ArchivePaths(root), recorder, wanted)
        # Damaged or a stranger's: it has nothing more to give.
        with contextlib.suppress(ArchiveError), named(root):
            copier.copy()
        if copier.failure is not None:  # our own disk is full, say
            raise copier.failure
        if copier.copied:
            copied[root.name] = copier.copied
    return copied


def finished_keys(root: Path) -> set[str]:
    """The keys of the cells that the archive has; none of a damaged one."""
    try:
        with named(root), contextlib.closing(connect_reader(root / DATABASE)) as db:
            return {row[0] for row in db.execute("SELECT key FROM cell WHERE status='done'")}
    except ArchiveError:
        return set()


def _newest_first(archive: Path) -> list[Path]:
    return [root for root in archive_folders(archive.parent) if root != archive]


class _Copier:
    """Copies what the archive `source` has of `wanted`, and takes it out of there."""

    def __init__(
        self, source: ArchivePaths, recorder: Recorder, wanted: dict[str, list[int]]
    ) -> None:
        self._source, self._recorder, self._wanted = source, recorder, wanted
        self.copied: list[int] = []  # numbers in our plan
        self.failure: Exception | None = None  # of writing

    def copy(self) -> None:
        with contextlib.closing(connect_reader(self._source.database)) as db:
            for row in _finished_rows(db, list(self._wanted)):
                cell = self._whole_cell(db, row)
                if cell is None:
                    continue
                for i in self._wanted.pop(row["key"]):
                    self._adopt(i, cell)

    def _whole_cell(self, db: sqlite3.Connection, row: sqlite3.Row) -> Adopted | None:
        """The cell of that row, if it is whole."""
        data = _whole_image(self._source, row)
        record = cell_record(row, live=False)
        if data is None or row["key"] not in self._wanted or record.status != "done":
            return None
        query = "SELECT * FROM frame WHERE cell=? ORDER BY step"
        frames = db.execute(query, (row["i"],)).fetchall()
        pictures = sum(frame["webp"] is not None for frame in frames)
        if not all(map(_is_frame, frames)) or pictures != record.frames:
            return None
        return Adopted(row, data, frames, _scores(db, row["i"]), self._source.root.name)

    def _adopt(self, i: int, adopted: Adopted) -> None:
        recorder = self._recorder
        try:
            recorder.begin()
            try:
                recorder.adopt(i, adopted)
            except BaseException:
                recorder.rollback()
                raise
            recorder.commit()
        except (OSError, sqlite3.OperationalError) as error:
            self.failure = error
            raise
        self.copied.append(i)


def _is_frame(row: sqlite3.Row) -> bool:
    """Whether a frame's row is one that we could have written."""
    numbers = [row["step"], row["sigma"], row["timestep"], row["seconds"]]
    picture = row["webp"]
    return all(isinstance(n, (int, float)) and math.isfinite(n) for n in numbers) and (
        picture is None or (isinstance(picture, bytes) and zlib.crc32(picture) == row["crc"])
    )


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
        data = read_regular(source.image(row["image"]), _LARGEST)
    except (OSError, ArchiveError, AttributeError, TypeError, ValueError):
        return None
    return data if hashlib.sha256(data).hexdigest() == row["sha256"] else None


def _scores(db: sqlite3.Connection, i: int) -> list[Any]:
    rows = db.execute("SELECT data FROM event WHERE kind='cell_scored' AND cell=?", (i,))
    return [loads(row[0]) for row in rows]

"""Deleting archives, and what sweeps left behind in them. Never a file that sdviz did not make."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sdviz.archive.checksums import write_checksums
from sdviz.archive.figures import figures
from sdviz.archive.lock import ArchiveLock
from sdviz.archive.paths import ArchivePaths
from sdviz.archive.reader import Archive
from sdviz.archive.store import connect_writer, settle

_DEAD = "cell NOT IN (SELECT i FROM cell WHERE status IN ('done', 'failed'))"
_IMAGE = re.compile(r"\d{4,}(-.*)?\.png", re.DOTALL)


def own_files(root: Path) -> list[Path]:
    """The files of an archive that sdviz makes; links are never among them."""
    paths = ArchivePaths(root)
    named = [paths.config, paths.grid, paths.checksums, paths.lock]
    database = [root / f"sweep.db{ending}" for ending in ("-wal", "-shm", "-journal", "")]
    images: list[Path] = []
    if paths.images.is_dir() and not paths.images.is_symlink():
        images = [file for file in paths.images.iterdir() if _IMAGE.fullmatch(file.name)]
    report = [root / "report.html", root / "report" / "index.html"]
    report += [file for file in root.glob("report/cell/*.js") if file.stem.isdigit()]
    report += [root / "report" / "figure" / f"{name}.png" for name in figures(root)]
    every = [
        *images,
        *report,
        *root.glob(".writing-*"),
        *paths.images.glob(".writing-*"),
        *named,
        *database,
    ]
    return [file for file in every if file.is_file() and not file.is_symlink()]


def remove(root: Path) -> list[Path]:
    """Deletes an archive and returns what is left, files of others.

    Raises ArchiveError while it is being written.
    """
    lock = ArchiveLock(ArchivePaths(root).lock)
    lock.acquire()
    try:
        for file in own_files(root):
            file.unlink()
    finally:
        lock.release()
    for folder in ("images", "report/cell", "report/figure", "report", "."):
        with contextlib.suppress(OSError):  # not empty: somebody keeps other things there
            (root / folder).rmdir()
    return [file for file in root.rglob("*") if file.is_file()] if root.exists() else []


@dataclass(frozen=True)
class Leftover:
    """Something in an archive that nothing needs."""

    path: Path
    what: str
    bytes: int


def leftovers(root: Path) -> list[Leftover]:
    """Half-written files, pictures of no cell, and frames of cells that were never finished.

    Nothing while the archive is being written.
    """
    with Archive(root) as archive:
        return [] if archive.live else list(_leftovers(archive))


def _leftovers(archive: Archive) -> Iterator[Leftover]:
    known = {cell.image for cell in archive.everything}
    for file in own_files(archive.path):
        if file.name.startswith(".writing-"):
            yield Leftover(file, "half written", file.stat().st_size)
        elif file.parent.name == "images" and f"images/{file.name}" not in known:
            yield Leftover(file, "picture of no cell", file.stat().st_size)
    count, size = archive.query(
        f"SELECT count(*), ifnull(sum(length(webp)), 0) FROM frame WHERE {_DEAD}"
    )[0]
    if count:
        yield Leftover(archive.paths.database, f"{count} frames of unfinished cells", size)


def drop(root: Path) -> None:
    """Removes the leftovers and gives the database's free space back."""
    paths = ArchivePaths(root)
    lock = ArchiveLock(paths.lock)
    lock.acquire()
    try:
        with Archive(root) as archive:
            found = list(_leftovers(archive))
        for leftover in found:
            if leftover.path != paths.database:
                leftover.path.unlink()
        db = connect_writer(paths.database)
        db.execute(f"DELETE FROM frame WHERE {_DEAD}")
        db.execute("VACUUM")
        write_checksums(paths, database=settle(db))
    finally:
        lock.release()

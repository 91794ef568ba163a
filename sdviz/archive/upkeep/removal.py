"""Deleting archives, and what sweeps left behind in them. Never a file that sdviz did not make."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sdviz.archive.checksums import write_checksums
from sdviz.archive.figures import figures
from sdviz.archive.lock import ArchiveLock
from sdviz.archive.paths import ArchivePaths
from sdviz.archive.reader import Archive
from sdviz.archive.store import connect_writer, settle
from sdviz.regular_files import WRITING, delete_below, folder_below

_DEAD = "cell NOT IN (SELECT i FROM cell WHERE status IN ('done', 'failed'))"
_IMAGE = re.compile(r"\d{4,}(-.*)?\.png", re.DOTALL)
_SCRIPT = re.compile(r"\d+\.js")
# Of the archive's folder itself, in the order in which they are deleted.
_NAMED = (
    *("report.html", "grid.png", "config.yaml", "checksums"),
    *("sweep.db-wal", "sweep.db-shm", "sweep.db-journal", "sweep.db", ".lock"),
)


def archive_files(root: Path) -> list[Path]:
    """The files of an archive that sdviz makes; links are never among them."""
    drawn = {f"{name}.png" for name in figures(root)}
    kinds: list[tuple[tuple[str, ...], Callable[[str], object]]] = [
        (("images",), _IMAGE.fullmatch),
        (("report", "cell"), _SCRIPT.fullmatch),
        (("report", "figure"), drawn.__contains__),
        (("report",), {"index.html"}.__contains__),
        ((), _NAMED.__contains__),
    ]
    files: list[Path] = []
    for names, is_ours in kinds:
        # Not there, or a link, which is not followed.
        with contextlib.suppress(OSError), folder_below(root, *names) as folder:
            inside = [name for name in folder.names() if is_ours(name) or name.startswith(WRITING)]
            files += [root.joinpath(*names, name) for name in inside]
    last = {name: at for at, name in enumerate(_NAMED)}
    return sorted(files, key=lambda file: last.get(file.name, -1) if file.parent == root else -1)


def remove(root: Path) -> list[Path]:
    """Deletes an archive and returns what is left, files of others.

    Raises ArchiveError while it is being written.
    """
    paths = ArchivePaths(root)
    lock = ArchiveLock(paths.lock)
    lock.acquire()
    try:
        for file in archive_files(root):
            if file not in (paths.database, paths.lock):
                delete_below(root, file)
        for names in (("images",), ("report", "cell"), ("report", "figure"), ("report",)):
            # Not there, or not empty: somebody keeps other things in it.
            with contextlib.suppress(OSError), folder_below(root, *names[:-1]) as folder:
                folder.rmdir(names[-1])
        for file in (paths.database, paths.lock):  # whoever is killed before can begin again
            with contextlib.suppress(FileNotFoundError):
                delete_below(root, file)
    finally:
        lock.release()
    with contextlib.suppress(OSError):  # not empty
        root.rmdir()
    return [file for file in root.rglob("*") if file.is_file()] if root.exists() else []


def is_emptied(root: Path) -> bool:
    """Whether nothing is left in the folder but what a `remove` that was killed left behind."""
    left = {"images", "report", ".lock"}
    try:
        with folder_below(root) as folder:
            there = {path.name for path in root.iterdir()}
            return bool(there) and there <= left and set(folder.names()) <= {".lock"}
    except OSError:
        return False


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
    for file in archive_files(archive.path):
        size = file.lstat().st_size
        if file.name.startswith(WRITING):
            yield Leftover(file, "half written", size)
        elif file.parent == archive.paths.images and f"images/{file.name}" not in known:
            yield Leftover(file, "picture without a cell", size)
        elif file.name == "sweep.db-wal" and size:
            yield Leftover(file, "log of the database, to be merged into it", size)
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
            unused = list(_leftovers(archive))
        for leftover in unused:
            if not leftover.path.name.startswith(paths.database.name):
                delete_below(root, leftover.path)
        db = connect_writer(paths.database)
        db.execute(f"DELETE FROM frame WHERE {_DEAD}")
        db.execute("VACUUM")
        write_checksums(paths, database=settle(db))
    finally:
        lock.release()

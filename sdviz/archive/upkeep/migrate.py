"""A copy of an archive in today's format, to go on with. The old one stays as it is."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

from sdviz.archive.checksums import write_checksums
from sdviz.archive.figures import figures
from sdviz.archive.formats import FORMAT, brought_up, format_of
from sdviz.archive.lock import is_held
from sdviz.archive.paths import ArchivePaths
from sdviz.archive.store import open_database, settle
from sdviz.archive.upkeep.removal import archive_files
from sdviz.errors import ArchiveError
from sdviz.regular_files import open_below, whole_folder


def migrate(root: Path, into: Path) -> int:
    """Writes the archive in folder `root`, in today's format, to the new folder `into`; returns the
    format that it had. Raises ArchiveError where there is nothing to do, or it cannot be done.
    """
    old = ArchivePaths(root)
    if is_held(old.lock):
        raise ArchiveError(f"{root} is being written; migrate it after its sweep has ended")
    if into.exists():
        raise ArchiveError(f"{into} already exists; give a new folder")
    database = open_database(old.database)
    version = format_of(database, old.database)
    if version == FORMAT:
        database.close()
        raise ArchiveError(
            f"{root} has format {FORMAT}, which is the current one; there is nothing to do"
        )
    with whole_folder(into) as aside:
        _write(database, old, ArchivePaths(aside))
    return version


def _write(database: sqlite3.Connection, old: ArchivePaths, new: ArchivePaths) -> None:
    """Writes all of the archive `old` into the empty folder of `new`."""
    settle(brought_up(database, old.database, str(new.database)))
    skipped = (old.database, old.lock, old.checksums)
    files = [file for file in archive_files(old.root) if file not in skipped]
    files += [old.figures / f"{name}.png" for name in figures(old.root)]
    for file in files:
        if file.name.startswith("sweep.db-"):
            continue  # its log; what was in it is in the new database
        target = new.root / file.relative_to(old.root)
        target.parent.mkdir(parents=True, exist_ok=True)
        with open_below(old.root, file) as source, target.open("xb") as copy:
            shutil.copyfileobj(source, copy)
    write_checksums(new, database=True)

"""Formats of the database: today's, and what makes it of older ones. An older archive itself is
never changed: who reads it reads a copy, and `archive migrate` writes one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from sdviz.errors import ArchiveError

FORMAT = 1  # PRAGMA user_version; grows when a reader of today could no longer read
APPLICATION_ID = 0x5D712  # so that sdviz and `file` recognize the database
TABLES = frozenset({"sweep", "axis", "cell", "frame", "schedule", "event"})

# Format -> what makes the next one of it, inside a transaction. A new format adds its line here,
# and a golden archive of the one before stays in tests/archive/golden. Format 1 is the first.
STEPS: dict[int, Callable[[sqlite3.Connection], None]] = {}


def format_of(connection: sqlite3.Connection, path: Path) -> int:
    """The database's format; ArchiveError where it is not sdviz's, or of a format unknown here."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise ArchiveError(f"{path} is not a database of sdviz")
    if version > FORMAT:
        raise ArchiveError(
            f"{path} has archive format {version}; this sdviz reads up to {FORMAT}. Update sdviz."
        )
    if version != FORMAT and version not in STEPS:
        raise ArchiveError(f"{path} is damaged: there is no archive format {version}")
    return version


def check_today(connection: sqlite3.Connection, path: Path) -> None:
    """Raises ArchiveError, with advice, if the database cannot be continued as it is."""
    version = format_of(connection, path)
    if version != FORMAT:
        raise ArchiveError(
            f"{path} has archive format {version}, the current one is {FORMAT}; to continue with a "
            f"copy: python -m sdviz.archive migrate {path.parent} {path.parent}-{FORMAT}"
        )
    kinds = dict(connection.execute("SELECT name, type FROM sqlite_master"))
    if any(kinds.get(table) != "table" for table in TABLES):
        raise ArchiveError(f"{path} is damaged: a table is missing. Run: sdviz archive verify")


def brought_up(old: sqlite3.Connection, path: Path, copy: str = "") -> sqlite3.Connection:
    """A copy of an older database in today's format. `old` is closed.

    The copy is the new file `copy`, or else a temporary one that SQLite deletes when it is closed.
    Raises ArchiveError if the database is damaged.
    """
    new = sqlite3.connect(copy, isolation_level=None, check_same_thread=False)
    try:
        old.backup(new)
        new.execute("PRAGMA trusted_schema=OFF")  # it may be a stranger's
        new.execute("BEGIN")
        while (version := format_of(new, path)) != FORMAT:
            STEPS[version](new)
            new.execute(f"PRAGMA user_version={version + 1}")
        new.execute("COMMIT")
        check_today(new, path)
    except (sqlite3.Error, ArchiveError) as error:
        new.close()
        if isinstance(error, sqlite3.Error):
            raise ArchiveError(f"{path} is damaged: {error}") from error
        raise
    finally:
        old.close()
    return new

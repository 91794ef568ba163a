"""The database of an archive: its tables, its format version, and how it is opened.

docs/archive.md says what every column means. A reader never writes, and trusts nothing it reads.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sdviz.archive.formats import APPLICATION_ID, FORMAT, brought_up, check_today, format_of
from sdviz.errors import ArchiveError

SCHEMA = """
CREATE TABLE sweep (
    key    TEXT PRIMARY KEY,
    value  TEXT NOT NULL              -- JSON
) WITHOUT ROWID;
CREATE TABLE axis (
    position     INTEGER PRIMARY KEY,
    keys         TEXT NOT NULL,       -- JSON list of settings; several: they are zipped
    "values"     TEXT NOT NULL        -- JSON list; one list of values, one a key, for each position
);
CREATE TABLE cell (
    i         INTEGER PRIMARY KEY,    -- its number in the plan, row-major
    coords    TEXT NOT NULL,          -- JSON list: position along each axis
    key       TEXT NOT NULL,          -- content hash of everything that can change the pixels
    recipe    TEXT NOT NULL,          -- JSON object of all settings
    status    TEXT NOT NULL,          -- waiting, running, done, failed
    image     TEXT,                   -- path relative to the archive
    bytes     INTEGER,                -- size of that file
    sha256    TEXT,                   -- of that file
    pixels    TEXT,                   -- sha256 of "WIDTHxHEIGHT RGB " and the raw pixels
    reason    TEXT,                   -- why it failed
    notes     TEXT,                   -- JSON list
    timings   TEXT,                   -- JSON object, seconds
    frames    INTEGER NOT NULL DEFAULT 0,  -- how many have a picture
    last_step INTEGER NOT NULL DEFAULT 0,  -- the last step with a picture
    schedule  INTEGER,                -- schedule.id
    source    TEXT,                   -- archive that it was copied from
    seq       INTEGER NOT NULL        -- number of its last change
);
CREATE INDEX cell_key ON cell (key);
CREATE INDEX cell_seq ON cell (seq);
CREATE TABLE frame (
    n         INTEGER PRIMARY KEY,    -- order among all frames and events
    cell      INTEGER NOT NULL,
    step      INTEGER NOT NULL,
    sigma     REAL NOT NULL,
    timestep  REAL NOT NULL,
    seconds   REAL NOT NULL,
    mean      REAL,
    std       REAL,
    min       REAL,
    max       REAL,
    guidance  REAL,
    webp      BLOB,                   -- NULL where the step has measures but no picture
    crc       INTEGER,                -- CRC-32 of webp
    UNIQUE (cell, step)
);
CREATE TABLE schedule (
    id         INTEGER PRIMARY KEY,
    sampler    TEXT NOT NULL,
    steps      INTEGER NOT NULL,
    sigmas     TEXT NOT NULL,         -- JSON list: noise level after each step
    timesteps  TEXT NOT NULL,         -- JSON list: what each step evaluated
    seq        INTEGER NOT NULL
);
CREATE TABLE event (
    n      INTEGER PRIMARY KEY,
    kind   TEXT NOT NULL,             -- note, cell_started, cell_finished, cell_failed, cell_scored
    cell   INTEGER,
    data   TEXT,                      -- JSON
    seq    INTEGER NOT NULL
);
CREATE INDEX event_cell ON event (cell);
CREATE INDEX event_seq ON event (seq);
"""


def connect_writer(path: Path) -> sqlite3.Connection:
    """Opens or makes the database for writing; the caller holds the archive's lock.

    Raises ArchiveError for a damaged one, sqlite3.OperationalError where it cannot be written.

    Write-ahead logging lets the board read while the sweep writes. With synchronous=NORMAL a killed
    process loses nothing, and a power cut loses at most the last commits, never the database.
    """
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
    # A full disk, say, is an OperationalError: nothing is wrong with the archive.
    with _closed_on_failure(connection, path, let_pass=(sqlite3.OperationalError,)):
        made = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if made:
            check_today(connection, path)  # before anything is changed
        connection.execute("PRAGMA journal_mode=WAL")  # stays as it is where the disk has no WAL
        connection.execute("PRAGMA synchronous=NORMAL")
        if not made:
            _create(connection)
    return connection


def settle(connection: sqlite3.Connection) -> bool:
    """Closes a writer's connection, all rows in the one file; False where a reader prevents it.

    A log stays beside it, empty, while somebody else, such as the board, has the archive open.
    """
    whole = False
    try:
        connection.execute("PRAGMA busy_timeout=2000")
        whole = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
        connection.execute("PRAGMA busy_timeout=50")
        connection.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.Error:
        pass  # the log is part of the database, and the next writer clears it away
    finally:
        connection.close()
    return whole


def connect_reader(path: Path) -> sqlite3.Connection:
    """Opens the database read-only, or a copy of it where its format is an older one.

    Raises ArchiveError where it is none, or of a newer format.
    """
    connection = open_database(path)
    with _closed_on_failure(connection, path):
        if format_of(connection, path) != FORMAT:
            return _guarded(brought_up(connection, path))
        check_today(connection, path)
    return connection


def open_database(path: Path) -> sqlite3.Connection:
    """The same, of whatever format it is."""
    if not path.is_file():
        raise ArchiveError(f"{path.parent} is not an archive: it has no {path.name}")
    try:
        return _reader(path, "mode=ro")
    except sqlite3.OperationalError:
        # A write-ahead log cannot be opened on a read-only medium, unless nobody can be writing.
        try:
            return _reader(path, "mode=ro&immutable=1")
        except sqlite3.DatabaseError as error:
            raise ArchiveError(_unreadable(path, error)) from error
    except sqlite3.DatabaseError as error:
        raise ArchiveError(_unreadable(path, error)) from error


def _reader(path: Path, flags: str) -> sqlite3.Connection:
    uri = path.resolve().as_uri() + "?" + flags
    connection = sqlite3.connect(
        uri, uri=True, isolation_level=None, check_same_thread=False, timeout=10
    )
    with _closed_on_failure(connection, path, let_pass=(sqlite3.DatabaseError,)):
        _guarded(connection)
        connection.execute("SELECT count(*) FROM sqlite_master")  # opens the file
    return connection


@contextlib.contextmanager
def _closed_on_failure(
    connection: sqlite3.Connection, path: Path, *, let_pass: tuple[type[sqlite3.Error], ...] = ()
) -> Iterator[None]:
    """What SQLite says of a damaged file becomes an ArchiveError, but for `let_pass`."""
    try:
        yield
    except BaseException as error:
        connection.close()
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, let_pass):
            raise ArchiveError(_unreadable(path, error)) from error
        raise


def _guarded(connection: sqlite3.Connection) -> sqlite3.Connection:
    """Reads only, and trusts nothing that it reads."""
    connection.row_factory = sqlite3.Row
    # A stranger's blob may not be text where text is said; show it rather than fail.
    connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
    connection.execute("PRAGMA query_only=ON")
    connection.execute("PRAGMA trusted_schema=OFF")
    connection.execute("PRAGMA cell_size_check=ON")
    return connection


def _create(connection: sqlite3.Connection) -> None:
    connection.executescript(
        f"BEGIN; {SCHEMA} PRAGMA application_id={APPLICATION_ID};"
        f" PRAGMA user_version={FORMAT}; COMMIT;"
    )


def _unreadable(path: Path, error: Exception) -> str:
    return f"{path} cannot be read: {error}. Run: python -m sdviz.archive verify {path.parent}"


def dumps(value: Any) -> str:
    """JSON as the archive stores it; values that JSON lacks become text."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


def loads(text: str | None, default: Any = None) -> Any:
    """What `dumps` wrote; `default` where there is nothing. Raises ArchiveError on damaged text."""
    if text is None:
        return default
    try:
        return json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise ArchiveError(f"the archive holds text that is not JSON: {text[:60]!r}") from error

"""The database of an archive: its tables, its format version, and how it is opened.

docs/archive.md says what every column means. A reader never writes, and trusts nothing it reads.
"""

from __future__ import annotations

import contextlib
import functools
import json
import math
import os
import re
import sqlite3
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sdviz.archive.formats import (
    APPLICATION_ID,
    FORMAT,
    TABLES,
    brought_up,
    check_today,
    format_of,
)
from sdviz.errors import ArchiveError
from sdviz.regular_files import kind_of, open_regular

_JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")
_LONGEST = 64 << 20  # bytes of a text or blob that is read; a frame has some kilobytes

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
_INDEXES = re.findall(r"CREATE INDEX [^;]+", SCHEMA)


def connect_writer(path: Path) -> sqlite3.Connection:
    """Opens or makes the database for writing; the caller holds the archive's lock.

    Raises ArchiveError for a damaged one, sqlite3.OperationalError where it cannot be written.

    Write-ahead logging lets the board read while the sweep writes. With synchronous=NORMAL a killed
    process loses nothing, and a power cut loses at most the last commits, never the database.
    """
    _check_files(path, is_read=False)
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
    # A full disk, say, is an OperationalError: nothing is wrong with the archive.
    with _closed_on_failure(connection, path, let_pass=(sqlite3.OperationalError,)):
        made = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if made:
            check_today(connection, path)  # before anything is changed
            _check_columns(connection, path)
        connection.execute("PRAGMA journal_mode=WAL")  # stays as it is where the disk has no WAL
        connection.execute("PRAGMA synchronous=NORMAL")
        if not made:
            _create(connection)
    return connection


def is_unbegun(path: Path) -> bool:
    """Whether the database was made, and its process killed before there was a table in it."""
    try:
        with contextlib.closing(open_database(path)) as connection:
            return not connection.execute("SELECT 1 FROM sqlite_master").fetchone()
    except (ArchiveError, sqlite3.Error):
        return False


def settle(connection: sqlite3.Connection) -> bool:
    """Closes a writer's connection and moves all rows into the one file.

    Returns False if a reader prevents that. An empty log remains next to the file while another
    process, such as the board, has the archive open.
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
            connection = _guarded(brought_up(connection, path))
        check_today(connection, path)
        _check_columns(connection, path)
    return connection


def open_database(path: Path) -> sqlite3.Connection:
    """The same, of whatever format it is."""
    _check_files(path, is_read=True)
    try:
        return _reader(path, "mode=ro")
    except UnicodeDecodeError as error:  # SQLite's message has the damaged bytes in it
        raise ArchiveError(_unreadable(path, error)) from error
    except sqlite3.OperationalError:
        # A write-ahead log cannot be opened on a read-only medium, unless nobody can be writing.
        try:
            return _reader(path, "mode=ro&immutable=1")
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            raise ArchiveError(_unreadable(path, error)) from error
    except sqlite3.DatabaseError as error:
        raise ArchiveError(_unreadable(path, error)) from error


def _reader(path: Path, flags: str) -> sqlite3.Connection:
    uri = path.resolve().as_uri() + "?" + flags
    connection = sqlite3.connect(
        uri, uri=True, isolation_level=None, check_same_thread=False, timeout=10
    )
    with _closed_on_failure(connection, path, let_pass=(sqlite3.DatabaseError, UnicodeDecodeError)):
        _guarded(connection)
        connection.execute("SELECT count(*) FROM sqlite_master")  # opens the file
    return connection


@contextlib.contextmanager
def _closed_on_failure(
    connection: sqlite3.Connection, path: Path, *, let_pass: tuple[type[Exception], ...] = ()
) -> Iterator[None]:
    """What SQLite says of a damaged file becomes an ArchiveError, but for `let_pass`.

    What it says may have the damaged bytes in it, which Python then fails to decode.
    """
    try:
        yield
    except BaseException as error:
        connection.close()
        known = (ArchiveError, OSError, *let_pass)
        if isinstance(error, Exception) and not isinstance(error, known):
            raise ArchiveError(_unreadable(path, error)) from error
        raise


def _check_files(path: Path, *, is_read: bool) -> None:
    """Are the database and its logs regular files? SQLite would follow a link, and wait for a FIFO.

    Raises ArchiveError, also where a database to be written lies in a folder that is a link.
    """
    if not is_read and path.parent.is_symlink():
        raise ArchiveError(f"{path.parent} is a link, which is not followed; name its folder")
    for name in (path.name, *(f"{path.name}{ending}" for ending in ("-wal", "-shm", "-journal"))):
        try:
            mode = os.lstat(path.with_name(name)).st_mode
        except FileNotFoundError:
            if is_read and name == path.name:
                raise ArchiveError(f"{path.parent} is not an archive: it has no {name}") from None
            continue
        except OSError as error:
            raise ArchiveError(f"{path.parent} is not an archive: {error}") from error
        if not stat.S_ISREG(mode):
            raise ArchiveError(f"{path.parent} is not an archive: its {name} is {kind_of(mode)}")
        if name.endswith("-journal") and _names_another(path.with_name(name)):
            raise ArchiveError(f"{path.parent / name} names another file to be deleted; delete it")


def _names_another(journal: Path) -> bool:
    """Whether a rollback journal ends in the name of a super-journal, which SQLite would delete.

    Ours never do; a stranger's may name any file (sqlite.org/fileformat.html, section 3).
    """
    with open_regular(journal) as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - len(_JOURNAL_MAGIC)))
        return file.read() == _JOURNAL_MAGIC


@functools.lru_cache(maxsize=1)
def _columns() -> dict[str, list[tuple[Any, ...]]]:
    """The columns of each table, as today's format has them."""
    with contextlib.closing(sqlite3.connect(":memory:")) as made:
        made.executescript(SCHEMA)
        return {table: _described(made, table) for table in TABLES}


def _described(connection: sqlite3.Connection, table: str) -> list[tuple[Any, ...]]:
    """Name, type, NOT NULL, place in the primary key and kind of each column; 0 is a plain one."""
    rows = connection.execute(f"PRAGMA table_xinfo({table})")
    return [(row[1], row[2].upper(), row[3], row[5], row[6]) for row in rows]


def _check_columns(connection: sqlite3.Connection, path: Path) -> None:
    """Raises ArchiveError unless all tables have the plain columns of SCHEMA.

    Anything else that SQLite would compute while it reads or writes is refused too, because it
    could take any amount of time and memory.
    """
    for table, columns in _columns().items():
        actual = _described(connection, table)
        if actual[: len(columns)] != columns or any(column[-1] for column in actual):
            names = {column[0] for column in actual}
            lacks = [column[0] for column in columns if column[0] not in names]
            what = (
                f"table {table} lacks {', '.join(lacks)}" if lacks else f"table {table} is foreign"
            )
            raise ArchiveError(f"{path} is damaged: {what}")
    for kind, name, sql in connection.execute("SELECT type, name, sql FROM sqlite_master"):
        text = " ".join(str(sql or "").split())
        if kind == "index" and (sql is None or text in _INDEXES):
            continue
        if kind != "table" or re.search(r"CREATE VIRTUAL|\bCHECK\b", text, re.IGNORECASE):
            raise ArchiveError(f"{path} is damaged: {kind} {name} is foreign")


def _guarded(connection: sqlite3.Connection) -> sqlite3.Connection:
    """Reads only, and trusts nothing that it reads."""
    connection.row_factory = sqlite3.Row
    # A foreign archive may store bytes that are no text in a text column: show them, do not fail.
    connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
    connection.execute("PRAGMA query_only=ON")
    connection.execute("PRAGMA trusted_schema=OFF")
    connection.execute("PRAGMA cell_size_check=ON")
    if sys.version_info >= (3, 11):
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST)
    return connection


def _create(connection: sqlite3.Connection) -> None:
    connection.executescript(
        f"BEGIN; {SCHEMA} PRAGMA application_id={APPLICATION_ID};"
        f" PRAGMA user_version={FORMAT}; COMMIT;"
    )


def _unreadable(path: Path, error: Exception) -> str:
    return f"{path} cannot be read: {error}. Run: python -m sdviz.archive verify {path.parent}"


def as_json(value: Any, *, indent: int | None = None, compact: bool = False) -> str:
    """JSON for others to read: a number that is not finite, which JSON lacks, becomes null."""
    options: dict[str, Any] = {"ensure_ascii": False, "default": str, "indent": indent}
    if compact:
        options["separators"] = (",", ":")
    try:
        return json.dumps(value, allow_nan=False, **options)
    except ValueError:
        return json.dumps(finite(value), **options)


def finite(value: Any) -> Any:
    """The same value, with None for numbers that are not finite."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(one) for key, one in value.items()}
    return [finite(one) for one in value] if isinstance(value, (list, tuple)) else value


def dumps(value: Any) -> str:
    """JSON as the archive stores it; values that JSON lacks become text."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


def loads(text: str | None, default: Any = None) -> Any:
    """What `dumps` wrote; `default` where there is nothing. Raises ArchiveError on damaged text.

    NaN and infinities, which a stranger may have written, become None.
    """
    if text is None:
        return default
    try:
        return json.loads(text, parse_constant=lambda _: None, parse_float=_finite_float)
    except (ValueError, TypeError, RecursionError) as error:
        shown = str(text)[:60]
        raise ArchiveError(f"the archive holds text that is not JSON: {shown!r}") from error


def _finite_float(text: str) -> float | None:
    value = float(text)
    return value if math.isfinite(value) else None

"""An archive's database, open for reading: rows, and the values that tell of the whole sweep."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from sdviz.archive.paths import ArchivePaths
from sdviz.archive.store import connect_reader, loads
from sdviz.errors import ArchiveError

if TYPE_CHECKING:
    from typing_extensions import Self


class Database:
    """The database of the archive in folder `path` (or of that sweep.db itself)."""

    def __init__(self, path: str | Path) -> None:
        given = Path(path)
        self.path = given.parent if given.name == "sweep.db" else given
        self.paths = ArchivePaths(self.path)
        self._db = connect_reader(self.paths.database)
        self.format: int = self.query("PRAGMA user_version")[0][0]

    def close(self) -> None:
        self._db.close()

    def __del__(self) -> None:
        if hasattr(self, "_db"):  # not there when it could not be opened
            self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def query(self, sql: str, values: tuple[Any, ...] = ()) -> list[sqlite3.Row]:
        """Rows of a question in SQL; the tables are described in docs/archive.md."""
        with self._reading():
            return self._db.execute(sql, values).fetchall()

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OverflowError) as error:
            raise ArchiveError(
                f"{self.paths.database} cannot be read: {error};"
                f" python -m sdviz.archive verify {self.path} says what is damaged"
            ) from error

    def stream(self, sql: str, values: tuple[Any, ...] = ()) -> Iterator[sqlite3.Row]:
        """The same, row by row, for more rows than memory should hold."""
        with self._reading():
            yield from self._db.execute(sql, values)

    def about(self, key: str, default: Any = None) -> Any:
        """A value of table `sweep`: name, created, seconds, config, machine, versions, ..."""
        rows = self.query("SELECT value FROM sweep WHERE key=?", (key,))
        return loads(rows[0][0], default) if rows else default

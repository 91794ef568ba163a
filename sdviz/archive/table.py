"""Rows of the same columns: printed, written, or handed to pandas if it is there."""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sdviz.errors import ArchiveError


class Table(Sequence[Mapping[str, Any]]):
    """A list of mappings with the same keys; `.columns`, `.to_pandas()`."""

    def __init__(self, rows: Iterable[Mapping[str, Any]]) -> None:
        self._rows = list(rows)

    @property
    def columns(self) -> list[str]:
        """The union of all rows' keys, in order of appearance."""
        return list(dict.fromkeys(key for row in self._rows for key in row))

    def to_pandas(self) -> Any:
        """A pandas DataFrame; raises ArchiveError where pandas is not installed."""
        try:
            import pandas
        except ImportError as error:
            raise ArchiveError("to_pandas() needs pandas: python -m pip install pandas") from error
        return pandas.DataFrame(self._rows, columns=self.columns)

    def __getitem__(self, at: Any) -> Any:
        return self._rows[at]

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return iter(self._rows)

    def __repr__(self) -> str:
        return text_table(self.columns, [[row.get(c) for c in self.columns] for row in self._rows])


def show_value(value: Any) -> str:
    """A value as a person reads it: 7 for 7.0, nothing for None, text on one line."""
    if value is None:
        return ""
    if isinstance(value, float):
        return format(value, ".6g")
    return "".join(c if c.isprintable() else " " for c in str(value))


def text_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    widest: int = 48,
    whole: Sequence[str] = (),
) -> str:
    """Columns in line on a terminal, where Chinese takes two places a character; values wider than
    `widest` places are cut, but for those of the columns `whole`.
    """

    def shown(value: Any, column: str) -> str:
        text = show_value(value)
        return text if column in whole else _cut(text, widest)

    lines = [list(columns), *(list(map(shown, row, columns)) for row in rows)]
    widths = [max(map(_width, column)) for column in zip(*lines, strict=True)] if columns else []
    return "\n".join(
        "  ".join(
            value + " " * (width - _width(value)) for value, width in zip(line, widths, strict=True)
        ).rstrip()
        for line in lines
    )


def _cut(text: str, limit: int) -> str:
    if _width(text) <= limit:
        return text
    places = itertools.accumulate(map(_width, text))
    return text[: sum(place < limit for place in places)] + "…"


def _width(text: str) -> int:
    """Places that `text` takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "WF")
        for c in text
    )

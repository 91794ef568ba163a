"""Rules as the commands take them: `sampler=heun cfg>10 status=done total_s<2`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sdviz.archive.guard import guarded
from sdviz.archive.reader import Archive
from sdviz.archive.records import COMPARABLE, SECONDS, CellRecord
from sdviz.errors import ArchiveError, ConfigError, nearest
from sdviz.plan.rules import Rule, matches, parse_rule
from sdviz.plan.settings import SETTINGS
from sdviz.plan.values import one_value

_TEXTS = ("status", "key", "name", "source")
_NUMBERS = (*SECONDS, *COMPARABLE, "batch")


def read_rule(text: str) -> Rule:
    """A rule over settings, times, `status`, `key`, `name` and `source`. Raises ConfigError."""
    return parse_rule(text, _value)


def _value(key: str, text: str) -> Any:
    if key in _TEXTS:
        return text
    if key in _NUMBERS:
        try:
            return float(text)
        except ValueError:
            raise ConfigError(f"{key}={text}: must be a number of seconds", key=key) from None
    if key not in SETTINGS:
        raise ConfigError(
            f"{key}: no such key; {nearest(key, [*SETTINGS, *_TEXTS, *_NUMBERS])}", key=key
        )
    return one_value(key, text)


def chosen(archive: Archive, only: str | None) -> list[CellRecord]:
    """The cells that the rule holds for, all without one; ArchiveError where there are none."""
    cells = archive.cells
    if only:
        rule = read_rule(only)
        cells = [cell for cell in cells if matches([rule], facts(cell, archive.name))]
    if not cells:
        raise ArchiveError(
            f"{archive.path}: there is no such cell",
        )
    return cells


@dataclass(frozen=True)
class Match:
    """A cell, and the archive that has it."""

    path: Path
    name: str
    cell: CellRecord

    def as_json(self) -> dict[str, Any]:
        """The cell as `find --json` prints it."""
        return {
            "path": str(self.path),
            "name": self.name,
            "cell": self.cell.i,
            **self.cell.as_json(),
        }


def find(
    folders: Sequence[Path], rule: Rule, *, damaged: Callable[[ArchiveError], None]
) -> Iterator[Match]:
    """Every cell that the rule holds for; `status`, `key`, `name` and times are settings too.

    An archive that cannot be read is skipped; `damaged` is called with the reason.
    """
    for folder in folders:
        try:
            with guarded(folder) as archive:
                name = archive.name
                cells = [c for c in archive.cells if matches([rule], facts(c, name))]
        except ArchiveError as error:
            damaged(error)
            continue
        yield from (Match(folder, name, cell) for cell in cells)


def facts(cell: CellRecord, name: str) -> dict[str, Any]:
    """What a rule may ask of a cell of the archive `name`: settings, times, and four words more."""
    more = {"status": cell.status, "key": cell.key, "name": name, "source": cell.source}
    return {**cell.timings, **cell.recipe, **more}

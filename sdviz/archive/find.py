"""Cells that match a rule, in any number of archives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sdviz.archive.reader import Archive
from sdviz.archive.records import CellRecord
from sdviz.errors import ArchiveError
from sdviz.where import Rule, matches


@dataclass(frozen=True)
class Found:
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


def find(folders: Sequence[Path], rule: Rule) -> Iterator[Found]:
    """Every cell that the rule holds for; `status`, `key`, `name` and times are settings too.

    An archive that cannot be read is passed over; `list` and `verify` name it.
    """
    for folder in folders:
        try:
            with Archive(folder) as archive:
                name, cells = archive.name, archive.cells
        except ArchiveError:
            continue
        for cell in cells:
            if matches([rule], facts(cell, name)):
                yield Found(folder, name, cell)


def facts(cell: CellRecord, name: str) -> dict[str, Any]:
    """What a rule may ask of a cell of the archive `name`: settings, times, and four words more."""
    more = {"status": cell.status, "key": cell.key, "name": name, "source": cell.source}
    return {**cell.timings, **cell.recipe, **more}

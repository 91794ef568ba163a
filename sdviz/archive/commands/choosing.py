"""The cells that `--only RULE` leaves."""

from __future__ import annotations

from sdviz.archive.commands.rules import read_rule
from sdviz.archive.find import facts
from sdviz.archive.reader import Archive
from sdviz.archive.records import CellRecord
from sdviz.errors import ArchiveError
from sdviz.where import matches


def chosen(archive: Archive, only: str | None) -> list[CellRecord]:
    """The cells that the rule holds for, all without one; ArchiveError where there are none."""
    cells = archive.cells
    if only:
        rule = read_rule(only)
        cells = [cell for cell in cells if matches([rule], facts(cell, archive.name))]
    if not cells:
        raise ArchiveError(f"{archive.path}: there is no such cell")
    return cells

"""The cells that `--only RULE` leaves."""

from __future__ import annotations

from sdviz.archive.commands.rules import read_rule
from sdviz.archive.reader import Archive
from sdviz.archive.records import CellRecord
from sdviz.errors import ArchiveError
from sdviz.where import matches


def chosen(archive: Archive, only: str | None) -> list[CellRecord]:
    """The cells that the rule holds for, all without one; ArchiveError where there are none."""
    cells = archive.cells
    if only:
        rule = read_rule(only)
        told = ({**c.timings, **c.recipe, "status": c.status, "key": c.key} for c in cells)
        cells = [c for c, settings in zip(cells, told, strict=True) if matches([rule], settings)]
    if not cells:
        raise ArchiveError(f"{archive.path}: there is no such cell")
    return cells

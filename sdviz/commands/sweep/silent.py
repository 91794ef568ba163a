"""Settings that made no difference: cells that differ in one alone, and have equal pictures."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import fields
from math import comb
from pathlib import Path

from sdviz.archive.reader import Archive
from sdviz.errors import ArchiveError
from sdviz.events import CellFinished, Event
from sdviz.pictures.files import pixel_hash
from sdviz.plan.cells import Cell
from sdviz.plan.settings import Recipe


class Pictures:
    """The hashes of a sweep's pictures, by cell: of those that are made now, and those archived."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: dict[int, str] = {}

    def handle(self, event: Event) -> None:
        if isinstance(event, CellFinished):
            self._made[event.cell] = pixel_hash(event.pixels)

    def hashes(self) -> dict[int, str]:
        try:
            with Archive(self._folder) as archive:
                archived = {cell.i: cell.pixels for cell in archive.cells if cell.pixels}
        except ArchiveError:
            archived = {}
        return archived | self._made


def warnings(cells: Iterable[Cell], hashes: Mapping[int, str]) -> list[str]:
    """A text for each model and setting that made no difference, in all pairs of cells that differ
    in it alone, or in some.
    """
    names = [field.name for field in fields(Recipe)]
    by_model: dict[str, dict[tuple[Hashable, ...], str]] = defaultdict(dict)
    for cell in cells:
        if not cell.reference and cell.index in hashes:
            values = tuple(getattr(cell.recipe, name) for name in names)
            by_model[cell.recipe.model][values] = hashes[cell.index]
    texts = []
    for model, pictures in by_model.items():
        for place, name in enumerate(names):
            equal, pairs = _compared(pictures, place)
            if equal and equal == pairs:
                texts.append(
                    f"{name}: made no difference on {model}; cells that differ only in it are "
                    "the same picture"
                )
            elif equal:
                texts.append(
                    f"{name}: made no difference on {model} in {equal:,} of {pairs:,} pairs of "
                    "cells that differ only in it"
                )
    return texts


def _compared(pictures: Mapping[tuple[Hashable, ...], str], place: int) -> tuple[int, int]:
    """Of the pairs that differ in the setting at `place` alone: the equal ones, and all."""
    if len({values[place] for values in pictures}) < 2:
        return 0, 0
    groups: dict[Hashable, list[str]] = defaultdict(list)
    for values, picture in pictures.items():
        groups[values[:place] + values[place + 1 :]].append(picture)
    equal = sum(comb(n, 2) for group in groups.values() for n in Counter(group).values())
    return equal, sum(comb(len(group), 2) for group in groups.values())

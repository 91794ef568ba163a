"""The converged images of an archive and the cells that they measure (sdviz.plan.reference)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from sdviz.archive.records import CellRecord, plan_cell
from sdviz.errors import ArchiveError, ConfigError
from sdviz.pictures.measures import normalized_rms
from sdviz.pictures.pixels import Pixels
from sdviz.plan.reference import converges

if TYPE_CHECKING:
    from sdviz.archive.reader import Archive


class References:
    """A snapshot; without references it costs one query of a small table."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._referred = archive.referred
        self._done: set[int] = set()
        if self._referred:
            rows = archive.query("SELECT i FROM cell WHERE status='done'")
            self._done = {row[0] for row in rows}

    def of(self, i: int) -> int | None:
        """The number of the reference of cell `i`, if it is there."""
        number = self._referred[i] if 0 <= i < len(self._referred) else -1
        return number if number in self._done else None

    def flags(self, record: CellRecord) -> dict[str, bool]:
        """`ref`: the cell can be measured. `noisy`: its sampler converges to no one image."""
        flags = {"ref": True} if self.of(record.i) is not None else {}
        if not self._referred or record.status == "damaged":
            return flags
        try:
            return flags if converges(plan_cell(record).recipe) else {**flags, "noisy": True}
        except (ConfigError, TypeError):  # written by a later sdviz, or invalid
            return flags

    def measured_by(self, changed: Iterable[int]) -> set[int]:
        """The cells whose reference is among these numbers."""
        changed = set(changed)
        return {i for i, number in enumerate(self._referred) if number in changed}

    def pixels(self, i: int) -> Pixels | None:
        """The reference of cell `i`, uint8 (height, width, 3); None where there is none."""
        number = self.of(i)
        if number is None:
            return None
        try:
            return np.asarray(self._archive.image(number))
        except ArchiveError:
            return None  # damaged; `verify` names it

    def distance(self, i: int, final: Pixels | None) -> dict[str, float]:
        """`reference`: how far the final image of cell `i` is from its reference, 0..1."""
        reference = self.pixels(i)
        if final is None or reference is None or final.shape != reference.shape:
            return {}
        return {"reference": round(normalized_rms(final, reference), 5)}

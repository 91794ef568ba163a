"""Scores and captions of cells that were archived without them: their pictures are there, so that
no model of a sweep is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from sdviz.archive.reader import Archive
from sdviz.errors import ArchiveError
from sdviz.events import CellScored, Event, Note
from sdviz.plan.cells import Cell, Plan
from sdviz.plan.config import Config, ModelSpec

Scored = tuple[dict[str, float], str]  # the scores of a cell by name, and its caption


def unscored(folder: Path, plan: Plan, todo: Iterable[Cell], config: Config) -> dict[Cell, Scored]:
    """The finished cells that lack a requested score or caption, with the ones that they have."""
    coming = {cell.index for cell in todo}
    with Archive(folder) as archive:
        known = archive.scores()
    cells = {}
    for cell in plan.cells:
        if cell.index in coming:
            continue
        one = known.get(cell.index, {"scores": {}, "caption": ""})
        if set(config.score) - set(one["scores"]) or (config.caption and not one["caption"]):
            cells[cell] = (one["scores"], one["caption"])
    return cells


def score(
    folder: Path,
    cells: dict[Cell, Scored],
    config: Config,
    emit: Callable[[Event], None],
    should_stop: Callable[[], bool],
) -> None:
    """Scores the archived pictures of `cells`. Each event has the new scores and the earlier ones.

    Pictures that cannot be read are skipped. Raises ModelError if a scoring model fails.
    """
    from sdviz.engine.scores import Scorer  # loads torch: not before it is needed

    by_model: dict[str, list[Cell]] = {}
    for cell in cells:
        by_model.setdefault(cell.recipe.model, []).append(cell)
    for name, group in by_model.items():
        spec = config.models.get(name) or ModelSpec(name=name, id=name)
        scorer = Scorer(config, spec, config.device)
        for cell in group:
            if should_stop():
                return
            try:
                with Archive(folder) as archive:
                    pixels = np.asarray(archive.image(cell.index))
            except ArchiveError:
                continue
            fresh, (known, caption) = scorer.attempt(cell, pixels), cells[cell]
            if isinstance(fresh, Note):
                emit(fresh)
                continue
            scores = {**known, **fresh.scores}
            emit(CellScored(cell.index, scores, fresh.caption or caption))

"""The scorer: what models of pictures say of each finished cell."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sdviz.errors import ModelError, SdvizError, reason_of
from sdviz.events import UNSCORED, CellFinished, CellScored, Event, Note
from sdviz.models.addons.scores import caption_folder, clip_folder, head_file
from sdviz.plan.config import Config, ModelSpec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sdviz.models.addons.scoring import Aesthetic, Captioner, Clip
    from sdviz.plan.cells import Cell


class Scorer:
    """Tells what it thinks of each finished cell, after the cell itself is told."""

    def __init__(self, config: Config, spec: ModelSpec, device: str) -> None:
        self._names = config.score
        self._clip: Clip | None = None
        self._aesthetic: Aesthetic | None = None
        self._captioner: Captioner | None = None
        try:
            self._load(config, spec, device)
        except SdvizError:
            raise
        except Exception as error:  # third parties raise whatever they like
            raise ModelError(f"score: its models cannot be loaded: {error!r}") from error

    def _load(self, config: Config, spec: ModelSpec, device: str) -> None:
        from sdviz.models.addons import scoring

        if config.score:
            self._clip = scoring.Clip(clip_folder(config, spec), device)
        if "aesthetic" in config.score and self._clip:
            self._aesthetic = scoring.Aesthetic(head_file(config), self._clip)
        if config.caption:
            self._captioner = scoring.Captioner(caption_folder(config), device)

    def listening(
        self, cells: dict[int, Cell], emit: Callable[[Event], None]
    ) -> Callable[[Event], None]:
        """An `emit` that scores what is finished; `cells` by their index."""

        def emit_and_score(event: Event) -> None:
            emit(event)
            if isinstance(event, CellFinished):
                emit(self.attempt(cells[event.cell], event.pixels))

        return emit_and_score

    def attempt(self, cell: Cell, pixels: NDArray[np.uint8]) -> CellScored | Note:
        """As `score`; a failure costs the score, not the picture."""
        try:
            return self.score(cell, pixels)
        except Exception as error:  # the guard of a score: the picture is there
            text = f"cell {cell.index} is not scored: {reason_of(error)}"
            return Note(UNSCORED, text, {"cell": cell.index})

    def score(self, cell: Cell, pixels: NDArray[np.uint8]) -> CellScored:
        """What is said of a cell's picture, (H, W, 3)."""
        scores = {}
        if self._clip and "clip" in self._names:
            scores["clip"] = round(self._clip.score(cell.recipe.prompt, pixels), 3)
        if self._aesthetic:
            scores["aesthetic"] = round(self._aesthetic.score(pixels), 3)
        caption = self._captioner.caption(pixels) if self._captioner else ""
        return CellScored(cell.index, scores, caption)

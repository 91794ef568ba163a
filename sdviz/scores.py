"""Scores and captions of finished pictures: what is asked for, and where its models are. No torch.

score=clip             how well the picture fits its prompt, 0..100
score=clip,aesthetic   and how it pleases, about 1..10; score_aesthetic= names the linear head
caption=blip           the picture in words
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from sdviz.config import Config, ModelSpec, nearest
from sdviz.errors import ConfigError, SdvizError
from sdviz.events import CellFinished, CellScored, Event
from sdviz.models import places

if TYPE_CHECKING:
    from sdviz.models.scoring import Aesthetic, Captioner, Clip
    from sdviz.plan import Cell

NAMES = ("clip", "aesthetic")
CLIP = "openai/clip-vit-large-patch14"  # that of Stable Diffusion 1, and of the aesthetic head
BLIP = "Salesforce/blip-image-captioning-base"


def is_asked(config: Config) -> bool:
    return bool(config.score or config.caption)


def check(config: Config) -> Iterator[SdvizError]:
    """What is wrong with `score=` and `caption=`, before anything is loaded."""
    for name in config.score:
        if name not in NAMES:
            yield ConfigError(f"score={name}: {nearest(name, NAMES)}")
    try:
        if config.score:
            for spec in config.models.values():
                clip_folder(config, spec)
        if config.caption:
            caption_folder(config)
        if "aesthetic" in config.score:
            head_file(config)
    except SdvizError as error:
        yield error


def clip_folder(config: Config, spec: ModelSpec) -> Path:
    """Of the CLIP that is named, else the model's own clip/, else OpenAI's. Raises ModelError."""
    if not config.score_clip:
        own = places.find(spec) / "clip"
        if own.is_dir():
            return own
    return places.anywhere(config.score_clip or CLIP, key="score_clip")


def head_file(config: Config) -> Path:
    if not config.score_aesthetic:
        raise ConfigError(
            "score=aesthetic: score_aesthetic= must name the predictor's file, such as "
            "sa_0_4_vit_l_14_linear.pth of github.com/LAION-AI/aesthetic-predictor"
        )
    file = Path(config.score_aesthetic).expanduser()
    if not file.is_file():
        raise ConfigError(f"score_aesthetic={config.score_aesthetic}: there is no such file")
    return file


def caption_folder(config: Config) -> Path:
    name = BLIP if config.caption == "blip" else config.caption
    return places.anywhere(name, key="caption")


class Scorer:
    """Tells what it thinks of each finished cell, after the cell itself is told."""

    def __init__(self, config: Config, spec: ModelSpec, device: str) -> None:
        from sdviz.models import scoring

        self._names = config.score
        self._clip: Clip | None = None
        self._aesthetic: Aesthetic | None = None
        self._captioner: Captioner | None = None
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
                emit(self.score(cells[event.cell], event))

        return emit_and_score

    def score(self, cell: Cell, event: CellFinished) -> CellScored:
        scores = {}
        if self._clip and "clip" in self._names:
            scores["clip"] = round(self._clip.score(cell.recipe.prompt, event.pixels), 3)
        if self._aesthetic:
            scores["aesthetic"] = round(self._aesthetic.score(event.pixels), 3)
        caption = self._captioner.caption(event.pixels) if self._captioner else ""
        return CellScored(event.cell, scores, caption)

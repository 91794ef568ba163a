"""Cells of a model that cannot be batched: one after the other, through diffusers' own pipeline."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

import torch

from sdviz.engine.batcher import RowCounter
from sdviz.engine.devices import free, now
from sdviz.engine.finishing import Finisher
from sdviz.engine.frames import statistics
from sdviz.engine.pace import Pace, Use
from sdviz.engine.preview import to_pixels
from sdviz.errors import CellError, reason_of
from sdviz.events import CellFailed, CellFinished, CellStarted, Event, Frame, Note
from sdviz.events import Timings as Times
from sdviz.models.families.whole_pipeline import Evaluation, Stopped, WholePipeline
from sdviz.models.hardware.options import TILED, is_exhausted, tile, uncompile
from sdviz.pictures.pixels import Pixels
from sdviz.plan import samplers
from sdviz.plan.cells import Cell
from sdviz.plan.config import Config
from sdviz.plan.passes import rows_of


class Solo:
    """As Engine, for a WholePipeline: a tick is a cell."""

    def __init__(
        self,
        model: WholePipeline,
        cells: Sequence[Cell],
        *,
        config: Config,
        emit: Callable[[Event], None],
        counter: RowCounter,
        finisher: Finisher,
        pace: Pace,
        should_stop: Callable[[], bool],
        notes: tuple[str, ...] = (),
    ) -> None:
        self.overflowed: list[Cell] = []
        self._model = model
        self._waiting = deque(cells)
        self._config = config.preview
        self._emit = emit
        self._counter = counter
        self._finisher = finisher
        self._pace = pace
        self._should_stop = should_stop
        self._notes = notes
        self._is_warm = False
        self._shows = config.preview.decoder != "none"
        text = f"{model.name} is not batched: its cells run one after the other"
        emit(Note("solo", text, {"pipeline": model.name}))
        if self._config.of in ("prompt", "negative"):
            text = f"preview.of={self._config.of}: {model.name} cannot show it; frames show x0"
            emit(Note("preview", text, {"of": "x0"}))
        for note in model.notes:
            emit(Note("parts", f"{model.name}: {note}", {}))

    @property
    def is_idle(self) -> bool:
        return not self._waiting

    def tick(self) -> None:
        """One cell, from its first step to its image."""
        cell = self._waiting.popleft()
        self._emit(CellStarted(cell.index))
        run = _Run(self, cell)
        reason, exhausted, compiling = "", False, False
        try:
            image = self._model.generate(cell.recipe, run.watch, run.encoded)
        except Stopped:
            self._waiting.clear()
            return
        except Exception as error:  # the guard of a cell: what it asks for cannot be
            reason, exhausted = reason_of(error), is_exhausted(error)
            compiling = uncompile(self._model.unet, error)
        self._counter.settle(cell, run.evaluations)
        if reason:  # outside the handler, whose traceback would keep what the forward has made
            if compiling:
                told = reason.splitlines()[0]
                self._emit(Note("options", f"engine.compile: {told}; continuing without it"))
                self._again(cell)
            elif not (exhausted and self._spare(cell)):
                said = "memory ran out: " if exhausted else ""
                self._emit(CellFailed(cell.index, said + reason))
            return
        if torch.isfinite(image).all():
            try:
                run.finish(image)
            except Exception as error:  # the guard of a cell: safety checker and watermark
                self._emit(CellFailed(cell.index, reason_of(error)))
        elif self._model.dtype == torch.float32:
            self._emit(CellFailed(cell.index, "NaN or infinite pixels"))
        else:
            self.overflowed.append(cell)
        self._is_warm = True

    def _spare(self, cell: Cell) -> bool:
        """The cell once more, its VAE in tiles; False if it has been so already, or cannot be."""
        free(self._model.device)
        if not tile(self._model.vae):
            return False
        text = "memory ran out; continuing with the VAE in tiles"
        self._emit(Note("memory", text, {"vae_tiling": True}))
        self._notes = (*self._notes, TILED)
        self._again(cell)
        return True

    def _again(self, cell: Cell) -> None:
        self._counter.again([cell])
        self._waiting.appendleft(cell)


class _Run:
    """One cell on its way through the pipeline."""

    def __init__(self, solo: Solo, cell: Cell) -> None:
        self.solo = solo
        self.cell = cell
        self.evaluations = 0
        self._sampler = samplers.resolve(cell.recipe.sampler)
        self._since = now(solo._model.device)
        self._denoise = self._preview = self._encode = 0.0
        self._last: Evaluation | None = None
        rows = rows_of(cell.recipe)
        self._size = (cell.recipe.width, cell.recipe.height, rows)
        self._use = Use(rows=1, sampler=cell.recipe.sampler, texts=1)  # a row is an evaluation here

    def encoded(self) -> None:
        """Until now texts were encoded: pipelines do it before they ask for timesteps."""
        began, self._since = self._since, now(self.solo._model.device)
        self._encode += self._since - began
        self.solo._pace.texts.add(None, self._since - began)

    def watch(self, seen: Evaluation) -> None:
        """Frames and progress; raises Stopped where the sweep is to stop."""
        solo = self.solo
        arrived = now(solo._model.device)
        self._denoise += arrived - self._since
        if solo._is_warm or self.evaluations:
            solo._pace.ticked(self._size, 1, arrived - self._since)
        self._use.evaluated(self._size)
        self.evaluations += 1
        self._last = seen
        solo._counter.add(rows_of(self.cell.recipe))
        step = self._sampler.step_completed(seen.number, self.cell.recipe.steps)
        if step and step < self.cell.recipe.steps and step % solo._config.every == 0:
            self._show(step, seen)
            solo._pace.frames.add(None, now(solo._model.device) - arrived)
            self._use.frames += 1
        if solo._should_stop():
            raise Stopped
        self._since = now(solo._model.device)
        self._preview += self._since - arrived

    def _show(self, step: int, seen: Evaluation) -> None:
        latent = seen.latents if self.solo._config.of == "xt" else seen.x0
        self._frame(step, seen, latent, self._picture(latent))

    def _picture(self, latent: torch.Tensor) -> Pixels | None:
        solo = self.solo
        if not solo._shows:
            return None
        try:
            return to_pixels(solo._model.decode(latent, self.cell.recipe))[0]
        except Exception as error:  # a frame is not worth the cell
            solo._shows = False
            text = f"no frames: {solo._model.name}'s latents cannot be decoded: {error}"
            solo._emit(Note("preview", text, {"decoder": "none"}))
            return None

    def _frame(
        self, step: int, seen: Evaluation, latent: torch.Tensor, pixels: Pixels | None
    ) -> None:
        self.solo._emit(
            Frame(
                cell=self.cell.index,
                step=step,
                steps=self.cell.recipe.steps,
                sigma=seen.sigma,
                timestep=seen.timestep,
                seconds=self._denoise,
                pixels=pixels,
                stats=statistics(latent, None),
            )
        )

    def finish(self, image: torch.Tensor) -> None:
        """The last frame, which is the image itself, and the end of the cell."""
        solo = self.solo
        done = solo._finisher.finish(self.cell.recipe, to_pixels(image[None])[0])
        if self._last is None:
            raise CellError(f"{solo._model.name} does not use the sampler that it is given")
        shown = done.pixels if solo._config.decoder != "none" else None
        self._frame(self.cell.recipe.steps, self._last, self._last.latents, shown)
        times = Times(
            encode_s=self._encode,
            denoise_s=self._denoise,
            preview_s=self._preview,
            decode_s=now(solo._model.device) - self._since,
            batch=float(rows_of(self.cell.recipe)),
            warmup=not solo._is_warm,
        )
        solo._pace.decoding.add(self._size, times.decode_s)
        solo._pace.finished(self.cell.index, self._use)
        notes = (*solo._notes, *done.notes)
        solo._emit(CellFinished(self.cell.index, done.pixels, times, notes))

"""The tick: rows of many cells, whatever their samplers and positions, through one forward."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch

from sdviz.engine import guidance as arithmetic
from sdviz.engine.batcher import Batcher, RowBudget, RowCounter
from sdviz.engine.devices import Tiles, free, now
from sdviz.engine.finishing import Finisher
from sdviz.engine.frames import Frames, View
from sdviz.engine.pace import Pace
from sdviz.engine.preview import in_chunks, to_pixels
from sdviz.engine.start import Starter
from sdviz.engine.track import Track
from sdviz.errors import reason_of
from sdviz.events import CellFailed, CellFinished, CellStarted, Event, Note
from sdviz.models.denoiser import Denoiser
from sdviz.models.families.seamless import Tiling
from sdviz.models.hardware.options import is_exhausted, uncompile
from sdviz.pictures.pixels import Pixels
from sdviz.plan.cells import Cell
from sdviz.plan.config import Config


class Engine:
    """Computes cells of one model: `tick` until `is_idle`.

    What a cell cannot do fails that cell alone; `overflowed` are those that half precision was too
    small for.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        cells: Sequence[Cell],
        *,
        config: Config,
        budget: RowBudget,
        emit: Callable[[Event], None],
        counter: RowCounter,
        finisher: Finisher,
        pace: Pace,
        notes: tuple[str, ...] = (),
    ) -> None:
        self.denoiser = denoiser
        self.budget = budget
        self.overflowed: list[Cell] = []
        self._batcher = Batcher(cells, self.budget)
        self._tracks: dict[int, Track] = {}  # riding, by the cell's index
        self._starter = Starter(denoiser, config, pace)
        self._tiling = Tiling(denoiser.convolutional)
        self._tiles = Tiles(denoiser, emit)
        self._frames = Frames(denoiser, config.preview, emit, pace)
        self._emit = emit
        self._counter = counter
        self._finisher = finisher
        self._pace = pace
        self._notes = notes  # of every cell that this engine computes
        self._is_warm = False

    @property
    def is_idle(self) -> bool:
        return not self._batcher

    def close(self) -> None:
        """Nothing is left open between two ticks."""

    @torch.inference_mode()
    def tick(self) -> None:
        """One forward of the denoiser, and everything that follows from it."""
        tracks = self._board()
        try:
            self._advance(tracks)
        except Exception as error:  # the guard of a batch: whatever it is, others go on
            for track in tracks:
                if track.cell.index in self._tracks:
                    self._fail(track.cell, reason_of(error))

    def _advance(self, boarded: Sequence[Track]) -> None:
        start = now(self.denoiser.device)
        looks = self._looks(boarded)
        predicted = self._predict(looks) if looks else None
        if predicted is None:
            return
        tracks, rows, prediction = predicted
        guided, guidance = arithmetic.guide(prediction, rows)
        x0 = arithmetic.denoised(guided, rows, self.denoiser.prediction_type)
        if self.denoiser.prediction_type == "sample":
            guided = arithmetic.noise(x0, rows)
        shown = self._frames.subject(x0, prediction, rows)
        forward = now(self.denoiser.device) - start
        views = self._step(tracks, guided, shown, guidance)
        seconds = now(self.denoiser.device) - start
        self._share(tracks, seconds)
        if self._is_warm:
            self._pace.ticked(tracks[0].size, len(rows.distinct), forward)
            self.budget.measured(len(rows.distinct), seconds)
        self._frames.show(views, seconds=seconds, is_warm=self._is_warm)
        self._finish([view for view in views if view.track.is_finished])
        self._go_on([view.track for view in views if view.track.is_over])
        self._counter.add(len(rows.conditioning))
        self._is_warm = True
        self._pace.tell(self.budget.rows, settled=self.budget.settled)

    def _board(self) -> list[Track]:
        """The tracks of this tick; a cell that is new to the batch gets its own."""
        tracks = []
        cells = self._batcher.next()
        self._tiling.switch(on=cells[0].recipe.tiling)  # the same of all that ride together
        for cell in cells:
            if cell.index not in self._tracks:
                try:
                    self._tracks[cell.index] = self._start(cell)
                except Exception as error:  # the guard of a cell: what it asks for cannot be
                    self._fail(cell, reason_of(error))
                    continue
            tracks.append(self._tracks[cell.index])
        return tracks

    def _start(self, cell: Cell) -> Track:
        self._emit(CellStarted(cell.index))
        return self._tiles.attempt(lambda: self._starter.first(cell))

    def _looks(self, tracks: Sequence[Track]) -> list[tuple[Track, arithmetic.Look]]:
        """What the denoiser is to see of each track; a scheduler's failure is its cell's own."""
        looks = []
        for track in tracks:
            try:
                looks.append((track, track.look()))
            except Exception as error:  # the guard of a cell
                self._fail(track.cell, reason_of(error))
        return looks

    def _predict(
        self, looks: Sequence[tuple[Track, arithmetic.Look]]
    ) -> tuple[list[Track], arithmetic.Rows, torch.Tensor] | None:
        """The tracks that have a prediction, their rows and the predictions (rows, c, h, w).

        None if they are to be tried again, or have failed. Where a forward of several fails, each
        is tried alone, so that a cell takes no other along.
        """
        tracks = [track for track, _ in looks]
        rows = arithmetic.expand(tracks, [look for _, look in looks])
        try:
            prediction = self._submit(rows, tracks)
            return None if prediction is None else (tracks, rows, prediction)
        except Exception as error:  # the guard of a cell
            if len(looks) == 1:
                self._fail(tracks[0].cell, reason_of(error))
                return None
        alone = [(look, self._predict([look])) for look in looks]
        sound = [(look, found[2]) for look, found in alone if found is not None]
        if not sound:
            return None
        tracks = [track for (track, _), _ in sound]
        rows = arithmetic.expand(tracks, [look for (_, look), _ in sound])
        return tracks, rows, torch.cat([prediction for _, prediction in sound])

    def _submit(self, rows: arithmetic.Rows, tracks: Sequence[Track]) -> torch.Tensor | None:
        """Predictions (rows, c, h, w) on the CPU; None if to be tried again, or failed."""
        size = self.budget.rows
        try:
            parts = rows.batches(size)
            predictions = [
                self.denoiser.predict(
                    rows.inputs[part], rows.timesteps[part], [rows.conditioning[i] for i in part]
                ).cpu()
                for part in parts
            ]
        except (RuntimeError, MemoryError) as error:
            if uncompile(getattr(self.denoiser, "unet", None), error):
                text = f"engine.compile: {str(error).splitlines()[0]}; continuing without it"
                self._emit(Note("options", text))
                return None
            if not is_exhausted(error):
                raise
            words = str(error)
        else:
            order = {row: i for i, row in enumerate(row for part in parts for row in part)}
            return torch.cat(predictions)[[order[row] for row in rows.alike]]
        # Outside the handler, whose traceback would keep the tensors of the failed forward.
        self.budget.halve()
        free(self.denoiser.device)
        if size == 1:
            for track in tracks:
                self._fail(track.cell, f"memory ran out at a single row: {words}")
            return None
        self._emit(
            Note(
                "memory",
                f"memory ran out at {size} rows; continuing with {self.budget.rows}",
                {"rows": self.budget.rows},
            )
        )
        return None

    def _step(
        self,
        tracks: Sequence[Track],
        guided: torch.Tensor,
        shown: torch.Tensor,
        guidance: Sequence[float | None],
    ) -> list[View]:
        """Lets every scheduler step; a view for each track whose step is complete."""
        views = []
        for i, track in enumerate(tracks):
            timestep = float(track.timestep)
            start = self._pace.clock()
            try:
                step = track.step(guided[i : i + 1])
            except Exception as error:  # the guard of a cell: a scheduler's failure is its own
                self._fail(track.cell, reason_of(error))
                continue
            seconds = self._pace.clock() - start
            self._pace.steps.add((track.sampler.name, track.size), seconds)
            if not math.isfinite(track.latents.sum()):  # a tenth of what torch.isfinite takes
                self._overflow(track.cell, f"NaN or infinite latents after step {step}")
            elif step:
                views.append(View(track, step, timestep, shown[i : i + 1], guidance[i]))
        return views

    def _share(self, tracks: Sequence[Track], seconds: float) -> None:
        """A batch's time is shared among its rows."""
        rows = sum(track.rows for track in tracks)
        for track in tracks:
            share = seconds * track.rows / rows
            track.clock.ticked(share, rows=rows, warmup=not self._is_warm, size=track.size)

    def _finish(self, views: Sequence[View]) -> None:
        """Final images by the full VAE; the last frame is the image itself."""
        if not views:
            return
        start = now(self.denoiser.device)
        latents = torch.cat([view.track.latents for view in views])
        try:
            decoded = self._tiles.attempt(lambda: self._decoded(latents))
        except MemoryError:
            for view in views:
                self._fail(view.track.cell, "memory ran out in the VAE")
            return
        except Exception as error:  # the guard of a cell
            if len(views) == 1:
                self._fail(views[0].track.cell, reason_of(error))
            else:
                for view in views:
                    self._finish([view])
            return
        seconds = (now(self.denoiser.device) - start) / len(views)
        for view, (pixels, is_finite) in zip(views, decoded, strict=True):
            view.track.clock.decode = seconds
            if is_finite:
                self._keep(view, pixels)
            else:
                self._overflow(view.track.cell, "NaN or infinite pixels from the VAE")

    def _decoded(self, latents: torch.Tensor) -> list[tuple[Pixels, bool]]:
        """Each image, and whether all of it is finite; worked out where the images are."""
        images = in_chunks(self.denoiser.decode, latents)
        finite = torch.isfinite(images).flatten(1).all(1).tolist()
        return list(zip(to_pixels(images), finite, strict=True))

    def _keep(self, view: View, pixels: Pixels) -> None:
        """The end of a cell whose image is sound."""
        cell, clock = view.track.cell, view.track.clock
        start = now(self.denoiser.device)
        try:
            done = self._finisher.finish(cell.recipe, pixels)
        except Exception as error:  # the guard of a cell: safety checker and watermark
            self._fail(cell, reason_of(error))
            return
        clock.decode += now(self.denoiser.device) - start
        self._pace.decoding.add(view.track.size, clock.decode)
        self._pace.finished(cell.index, clock.use)
        self._frames.last(view, done.pixels)
        self._leave(cell)
        notes = (*self._notes, *self._tiles.notes, *done.notes)
        self._emit(CellFinished(cell.index, done.pixels, clock.timings(), notes))

    def _go_on(self, tracks: Sequence[Track]) -> None:
        """Tracks whose pass is over, and whose cell is not, begin the next pass."""
        for track in tracks:
            cell = track.cell
            if track.is_finished:
                continue
            try:
                self._tracks[cell.index] = self._next(track)
            except Exception as error:  # the guard of a cell: what it asks for cannot be
                self._fail(cell, reason_of(error))
                continue
            self._batcher.again(cell)

    def _next(self, track: Track) -> Track:
        return self._tiles.attempt(lambda: self._starter.after(track))

    def _overflow(self, cell: Cell, reason: str) -> None:
        """Half precision overflows where float32 does not: then the cell gets a second chance."""
        if self.denoiser.dtype == torch.float32:
            self._fail(cell, reason)
            return
        self.overflowed.append(cell)
        self._leave(cell)

    def _fail(self, cell: Cell, reason: str) -> None:
        self._leave(cell)
        self._emit(CellFailed(cell.index, reason))

    def _leave(self, cell: Cell) -> None:
        track = self._tracks.pop(cell.index, None)
        self._counter.settle(cell, track.evaluations if track else 0)
        self._batcher.leave(cell)

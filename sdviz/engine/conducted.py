"""Cells that are diffusers' own pipelines, unmodified, side by side in one continuous batch.

Each cell is a pipeline in a greenlet (`conductor`). It stops where it calls its denoiser or its
VAE's decoder; a tick takes the calls that have waited longest and are of one form, computes them as
one, and lets each pipeline go on with its own rows.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import torch
from greenlet import getcurrent

from sdviz.engine.batcher import RowBudget, RowCounter
from sdviz.engine.calls import Call, together
from sdviz.engine.conductor import Captured, Remembered
from sdviz.engine.devices import free, now
from sdviz.engine.finishing import Finisher
from sdviz.engine.pace import Pace
from sdviz.engine.preview import to_pixels
from sdviz.engine.ride import Ride, rows_of_ride
from sdviz.errors import CellError, reason_of
from sdviz.events import CellFailed, CellFinished, CellStarted, Event, Note
from sdviz.models.families.whole_pipeline import WholePipeline
from sdviz.models.hardware.options import TILED, is_exhausted, tile, uncompile
from sdviz.plan.cells import Cell
from sdviz.plan.config import Config
from sdviz.plan.passes import rows_of

# Components that denoise, and those that decode; the rest encode texts.
_DENOISERS = ("transformer", "unet", "prior", "decoder")
_DECODERS = ("vae", "vqvae", "vqgan", "movq")
# Largest difference between rows alone and among others, as a share of the output's range.
_ROUNDING = {torch.float32: 1e-4, torch.float16: 0.02, torch.bfloat16: 0.06}


class Conducted:
    """As Engine, for a WholePipeline."""

    def __init__(
        self,
        model: WholePipeline,
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
        self.overflowed: list[Cell] = []
        self.budget = budget
        self._model = model
        self._waiting = deque(cells)
        self._riding: list[Ride] = []
        self._config = config.preview
        self._emit = emit
        self._counter = counter
        self._finisher = finisher
        self._pace = pace
        self._notes = notes
        self._is_warm = False
        self._shows = config.preview.decoder != "none"
        self._merges: bool | None = None  # None: not tried yet
        self._encoders: dict[str, Remembered] = {}
        if self._config.of in ("prompt", "negative"):
            text = f"preview.of={self._config.of}: {model.name} cannot show it; frames show x0"
            emit(Note("preview", text, {"of": "x0"}))
        for note in model.notes:
            emit(Note("parts", f"{model.name}: {note}", {}))

    @property
    def is_idle(self) -> bool:
        return not (self._waiting or self._riding)

    @torch.inference_mode()
    def tick(self) -> None:
        """One forward, or one decoding, over the calls of many cells, and all that follows."""
        self._admit()
        rides = self._next()
        if rides:
            start = now(self._model.device)
            answers = self._answers([ride.due for ride in rides])
            if answers is not None:
                self._hand_out(rides, answers, now(self._model.device) - start)
        self._settle()

    def close(self) -> None:
        """Leaves all pipelines where they stand."""
        for ride in self._riding:
            ride.body.close()
        self._riding = []

    def _admit(self) -> None:
        """New cells, as many as a tick has rows."""
        while self._waiting and sum(map(rows_of_ride, self._riding)) < self.budget.rows:
            cell = self._waiting.popleft()
            self._emit(CellStarted(cell.index))
            ride = Ride(cell, self._apart, self._config, shows=self._shows, pace=self._pace)
            self._riding.append(ride)
            ride.start()

    def _apart(self) -> WholePipeline:
        return self._model.apart(self._stand_in)

    def _stand_in(self, name: str, module: torch.nn.Module) -> Any:
        here = getcurrent()
        if any(part in name for part in _DENOISERS):
            return Captured(module, ["forward"], here)
        if any(part in name for part in _DECODERS):
            return Captured(module, ["decode"], here)
        return self._encoders.setdefault(name, Remembered(module))

    def _next(self) -> list[Ride]:
        """The rides of this tick: the one that has waited longest, and those of its form."""
        due = sorted((ride for ride in self._riding if ride.call), key=lambda ride: ride.since)
        if not due:
            return []
        first = due[0].due
        if self._merges is False:
            return due[:1]
        chosen, rows = due[:1], first.rows
        for ride in due[1:]:
            fits = rows + ride.due.rows <= self.budget.rows
            if fits and ride.due.function == first.function and ride.due.form == first.form:
                chosen.append(ride)
                rows += ride.due.rows
        return chosen

    def _answers(self, calls: Sequence[Call]) -> list[Any] | None:
        """What each call gets: a result, or an exception that it raises. None where the tick is to
        be tried again.
        """
        try:
            answers = together(calls)
        except Exception as error:  # the guard of a tick
            reason, exhausted = reason_of(error), is_exhausted(error)
            compiling = uncompile(self._model.unet, error)
            failure = error.with_traceback(None)
        else:
            if len(calls) > 1 and self._merges is None and calls[0].name == "forward":
                return self._proven(calls, answers)
            return answers
        # Outside the handler, whose traceback would keep what the forward has made.
        if compiling:
            text = f"engine.compile: {reason.splitlines()[0]}; continuing without it"
            self._emit(Note("options", text))
            return None
        if exhausted and self._spare(calls):
            return None
        if len(calls) == 1:
            return [CellError(f"memory ran out: {reason}") if exhausted else failure]
        answers = []
        for call in calls:  # which of them it is, each alone tells
            while (alone := self._answers([call])) is None:
                continue
            answers += alone
        if not any(isinstance(answer, Exception) for answer in answers):
            self._part(f"its calls cannot be joined ({reason})", calls[0])
        return answers

    def _proven(self, calls: Sequence[Call], answers: list[Any]) -> list[Any]:
        """The answers, once the first call's rows are known to be the same alone; or each call's
        own, and no more merging.
        """
        alone = calls[0].run()
        self._merges = _agree(alone, answers[0], self._model.dtype)
        if self._merges:
            return answers
        self._part("its rows influence one another", calls[0])
        return [alone, *(call.run() for call in calls[1:])]

    def _part(self, why: str, call: Call) -> None:
        """No more merging for this model."""
        self._merges = False
        self.budget.rows, self.budget.settled = call.rows, True
        text = f"{self._model.name}: {why}; cells are computed one by one"
        self._emit(Note("solo", text, {"pipeline": self._model.name}))

    def _spare(self, calls: Sequence[Call]) -> bool:
        """Less at once, where memory ran out; False where it is as little as it can be."""
        free(self._model.device)
        if calls[0].name == "decode" and tile(self._model.vae):
            text = "memory ran out in the VAE; continuing with it in tiles"
            self._emit(Note("memory", text, {"vae_tiling": True}))
            self._notes = (*self._notes, TILED)
            return True
        rows = sum(call.rows for call in calls)
        if len(calls) == 1:
            return False
        self.budget.halve()
        text = f"memory ran out at {rows} rows; continuing with {self.budget.rows}"
        self._emit(Note("memory", text, {"rows": self.budget.rows}))
        return True

    def _hand_out(self, rides: Sequence[Ride], answers: Sequence[Any], seconds: float) -> None:
        calls = [ride.due for ride in rides]
        rows = sum(call.rows for call in calls)
        is_forward = calls[0].name == "forward"
        if is_forward and self._is_warm:
            self._pace.ticked(rides[0].size, rows, seconds)
        for ride, call, answer in zip(rides, calls, answers, strict=True):
            share = seconds * call.rows / rows
            ride.answered(answer, share, rows=rows, warmup=not self._is_warm, forward=is_forward)
        if is_forward:
            if self._is_warm:
                self.budget.measured(rows, seconds)
            self._is_warm = True

    def _settle(self) -> None:
        """Frames that are due, and cells that are over."""
        for ride in list(self._riding):
            for seen in ride.take_evaluations():
                self._counter.add(rows_of(ride.cell.recipe))
                ride.last = seen
            for frame in ride.take_frames():
                self._emit(frame)
            if ride.trouble and self._shows:
                self._shows = False
                text = f"no frames: {self._model.name}'s latents cannot be decoded: "
                self._emit(Note("preview", text + ride.trouble, {"decoder": "none"}))
            if ride.body.is_over and not ride.is_showing:
                self._riding.remove(ride)
                self._counter.settle(ride.cell, ride.evaluations)
                self._end(ride)
        for ride in self._riding:
            ride.shows = self._shows
        self._pace.tell(self.budget.rows, settled=self.budget.settled)

    def _end(self, ride: Ride) -> None:
        cell = ride.cell
        try:
            image = ride.body.result
            if torch.isfinite(image).all():
                self._keep(ride, image)
            elif self._model.dtype == torch.float32:
                self._emit(CellFailed(cell.index, "NaN or infinite pixels"))
            else:
                self.overflowed.append(cell)
        except Exception as error:  # the guard of a cell: what it asks for cannot be
            self._emit(CellFailed(cell.index, reason_of(error)))

    def _keep(self, ride: Ride, image: torch.Tensor) -> None:
        """The last frame, which is the image itself, and the end of the cell."""
        if ride.last is None:
            raise CellError(f"{self._model.name} ignores the given sampler")
        done = self._finisher.finish(ride.cell.recipe, to_pixels(image[None])[0])
        shown = done.pixels if self._config.decoder != "none" else None
        steps = ride.cell.recipe.steps
        self._emit(ride.frame(steps, ride.last, ride.last.latents, shown))
        notes = (*self._notes, *done.notes)
        self._pace.decoding.add(ride.size, ride.clock.decode)
        self._pace.finished(ride.cell.index, ride.clock.use)
        timings = ride.clock.timings()
        self._emit(CellFinished(ride.cell.index, done.pixels, timings, notes))


def _agree(alone: Any, among: Any, dtype: torch.dtype) -> bool:
    """Are an output's rows the same among others as alone, but for rounding?"""
    first, second = _tensor(alone), _tensor(among)
    if first is None or second is None or first.shape != second.shape:
        return False
    spread = float(first.float().abs().max().clamp(min=1e-6))
    difference = float((first.float() - second.float()).abs().max())
    return difference <= _ROUNDING.get(dtype, 1e-4) * spread


def _tensor(result: Any) -> torch.Tensor | None:
    """The prediction in an output, whatever form it has."""
    while not isinstance(result, torch.Tensor):
        if isinstance(result, dict):
            result = tuple(result.values())
        if not isinstance(result, list | tuple) or not result:
            return None
        result = result[0]
    return result

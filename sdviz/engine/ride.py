"""One cell on its way through its own pipeline, and the frames that are drawn beside it."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable
from typing import Any

import torch

from sdviz.engine.calls import Call
from sdviz.engine.conductor import Body
from sdviz.engine.devices import now
from sdviz.engine.frames import statistics
from sdviz.engine.pace import Pace, Use
from sdviz.engine.preview import to_pixels
from sdviz.engine.track import Clock
from sdviz.errors import reason_of
from sdviz.events import Frame
from sdviz.models.families.whole_pipeline import Evaluation, WholePipeline
from sdviz.pictures.pixels import Pixels
from sdviz.plan import samplers
from sdviz.plan.cells import Cell
from sdviz.plan.config import PreviewConfig
from sdviz.plan.passes import rows_of


class Ride:
    """One cell on its way through its pipeline, and what its frames need beside it."""

    def __init__(
        self,
        cell: Cell,
        apart: Callable[[], WholePipeline],
        config: PreviewConfig,
        *,
        shows: bool,
        pace: Pace,
    ) -> None:
        """`apart` makes a pipeline of the cell's own; its frames have a second one."""
        self.cell = cell
        self.shows = shows
        recipe = cell.recipe
        self.size = (recipe.width, recipe.height)
        self.clock = Clock(Use(rows=1, sampler=recipe.sampler, texts=1))
        self.evaluations = 0
        self.last: Evaluation | None = None
        self.trouble = ""
        self.since = 0.0
        self._config = config
        self._pace = pace
        self._sampler = samplers.resolve(cell.recipe.sampler)
        model, self._tail_of = apart(), apart()
        self._device = model.device
        self._seen: list[Evaluation] = []
        self._frames: list[Frame] = []
        self._output: Any = None  # of the denoiser's latest call: the tail of a frame is given it
        self._tails: deque[tuple[int, Evaluation, torch.Tensor]] = deque()
        self._tail: Body[torch.Tensor] | None = None
        self._mark = self._shown = 0.0
        self.body = Body(
            lambda: model.generate(cell.recipe, self._watch, self._encoded), model.device
        )

    @property
    def call(self) -> Call | None:
        """What it waits for: its tail's call before its own."""
        return self._tail.call if self._tail else self.body.call

    @property
    def due(self) -> Call:
        call = self.call
        assert call is not None, "only rides that wait are asked"
        return call

    @property
    def is_showing(self) -> bool:
        return self._tail is not None or bool(self._tails)

    def start(self) -> None:
        self._mark = now(self._device)
        self.body.start()
        self._moved()

    def answered(
        self, answer: Any, seconds: float, *, rows: int, warmup: bool, forward: bool
    ) -> None:
        """Goes on with what its call gives: a result, or an exception that the call raises."""
        if self._tail is not None:
            self.clock.preview += seconds
            self._shown += seconds
            self._show(answer)
            return
        if forward:
            self._output = answer
            self.clock.use.rows = self.due.rows
            self.clock.ticked(seconds, rows=rows, warmup=warmup, size=self.size)
        else:
            self.clock.decode += seconds
        self._mark = now(self._device)
        _go_on(self.body, answer)
        arithmetic = now(self._device) - self._mark
        if forward:
            self._pace.steps.add((self._sampler.name, self.size), arithmetic)
        self._moved()

    def take_evaluations(self) -> list[Evaluation]:
        seen, self._seen = self._seen, []
        return seen

    def take_frames(self) -> list[Frame]:
        frames, self._frames = self._frames, []
        return frames

    def frame(
        self, step: int, seen: Evaluation, latent: torch.Tensor, pixels: Pixels | None
    ) -> Frame:
        return Frame(
            cell=self.cell.index,
            step=step,
            steps=self.cell.recipe.steps,
            sigma=seen.sigma,
            timestep=seen.timestep,
            seconds=self.clock.denoise,
            pixels=pixels,
            stats=statistics(latent, None),
        )

    def _encoded(self) -> None:
        """Until now texts were encoded: pipelines do it before they ask for timesteps."""
        seconds = now(self._device) - self._mark
        self.clock.encode += seconds
        self._pace.texts.add(None, seconds)
        self._mark = now(self._device)

    def _watch(self, seen: Evaluation) -> None:
        self.evaluations += 1
        self._seen.append(seen)
        step = self._sampler.step_completed(seen.number, self.cell.recipe.steps)
        if step and step < self.cell.recipe.steps and step % self._config.every == 0:
            latents = seen.latents if self._config.of == "xt" else seen.x0
            self._tails.append((step, seen, latents))

    def _moved(self) -> None:
        """The body has gone on to its next call: the arithmetic between is its own."""
        self.clock.denoise += now(self._device) - self._mark
        self.since = now(self._device)
        self._show()

    def _show(self, *answer: Any) -> None:
        """Frames that are due: each is the pipeline's own tail, run from the frame's latents. It
        goes on with an `answer` to its call.
        """
        start = now(self._device)
        if answer and self._tail:
            _go_on(self._tail, *answer)
        while self._tails:
            if not self.shows:
                self._finish_tail(None)
                continue
            if self._tail is None:
                tail = self._tail_of.tail
                drawn = functools.partial(tail, self.cell.recipe, self._tails[0][2])
                self._tail = Body(drawn, self._device)
                self._tail.start()
            while self._tail.call and self._tail.call.name == "forward":
                self._tail.go_on(self._output)
            if not self._tail.is_over:  # it waits for its VAE
                break
            self._shown += now(self._device) - start
            self.clock.preview += now(self._device) - start
            start = now(self._device)
            try:
                self._finish_tail(to_pixels(self._tail.result[None])[0])
            except Exception as error:  # a frame is not worth the cell
                self.trouble, self.shows = reason_of(error), False
        else:
            return
        self._shown += now(self._device) - start
        self.clock.preview += now(self._device) - start

    def _finish_tail(self, pixels: Pixels | None) -> None:
        step, seen, latents = self._tails.popleft()
        if pixels is not None:
            self._pace.frames.add(None, self._shown)
            self.clock.use.frames += 1
        self._tail, self._shown = None, 0.0
        self._frames.append(self.frame(step, seen, latents, pixels))


def _go_on(body: Body[Any], answer: Any) -> None:
    if isinstance(answer, BaseException):
        body.fail(answer)
    else:
        body.go_on(answer)


def rows_of_ride(ride: Ride) -> int:
    return ride.call.rows if ride.call else rows_of(ride.cell.recipe)

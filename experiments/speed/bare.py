"""The engine's denoising against the denoiser alone, by turns in one process."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import replace

import torch

from sdviz import engine, models
from sdviz.engine.batcher import rows_in
from sdviz.engine.devices import now
from sdviz.events import CellFinished, Event, Progress
from sdviz.models.denoiser import Text
from sdviz.models.hardware.options import is_exhausted
from sdviz.plan.config import PreviewConfig
from sdviz.request.request import Request

BATCHES = (8, 16, 24, 32, 48, 64)


def quiet(request: Request, emit: Callable[[Event], None] = lambda event: None) -> None:
    """The sweep with no frame decoded, and nothing told to anyone but `emit`."""
    engine.run(
        request.plan.cells,
        plan=request.plan,
        config=replace(request.config, preview=PreviewConfig(decoder="none")),
        emit=emit,
    )


class Bare:
    """The denoiser alone, called at the batch size that is best for it."""

    def __init__(self, request: Request) -> None:
        """Loads the model, and finds out which size is best."""
        config, recipe = request.config, request.plan.cells[0].recipe
        self._device = config.device
        self._denoiser = models.load(
            config.models[recipe.model], device=config.device, dtype=config.dtype
        )
        self._shape = self._denoiser.latent_shape(recipe.width, recipe.height)
        text = Text(recipe.prompt, width=recipe.width, height=recipe.height)
        (self._text,) = self._denoiser.encode([text])
        self.batch = self._best()

    @torch.inference_mode()
    def seconds(self, rows: int) -> float:
        """What `rows` rows take at once."""
        x, timesteps = torch.randn(rows, *self._shape), torch.linspace(999, 1, rows)
        start = now(self._device)
        self._denoiser.predict(x, timesteps, [self._text] * rows)
        return now(self._device) - start

    def _best(self) -> int:
        """The size whose rows are cheapest, by the median of five turns after a first."""
        sizes = [size for size in BATCHES if self._fits(size)]
        turns = [{size: self.seconds(size) / size for size in sizes} for _ in range(5)]
        return min(sizes, key=lambda size: statistics.median(turn[size] for turn in turns))

    def _fits(self, rows: int) -> bool:
        try:
            self.seconds(rows)
        except (RuntimeError, MemoryError) as error:
            if rows == BATCHES[0] or not is_exhausted(error):
                raise
            return False
        return True


def against_engine(bare: Bare, request: Request) -> tuple[float, float]:
    """Seconds of (the engine's denoising of a sweep, as many rows through the denoiser alone).

    After every tick of the engine the denoiser alone catches up with its rows: the machine is the
    same for both, however its speed wavers from minute to minute.
    """
    engine_s = bare_s = 0.0
    caught_up = 0

    def told(event: Event) -> None:
        nonlocal engine_s, bare_s, caught_up
        if isinstance(event, CellFinished):
            engine_s += event.timings.denoise_s
        elif isinstance(event, Progress):
            while event.evaluations - caught_up >= bare.batch:
                bare_s += bare.seconds(bare.batch)
                caught_up += bare.batch

    quiet(request, told)
    total = sum(rows_in(cell) for cell in request.plan.cells)
    return engine_s, bare_s / caught_up * total

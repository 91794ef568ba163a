"""A cell while it is being denoised: its scheduler, its generator, its latent, its clocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from sdviz.engine.noise import start_noise
from sdviz.engine.pace import Size, Use
from sdviz.events import Timings
from sdviz.models.denoiser import Conditioning
from sdviz.models.families import schedulers
from sdviz.plan import samplers
from sdviz.plan.cells import Cell
from sdviz.plan.passes import passes, rows_of


class Track:
    """Mutable and private to the engine; latents are float32 on the CPU, whatever the device.

    So the same seed is the same noise everywhere, and a scheduler's small arithmetic does not wait
    for a GPU.
    """

    def __init__(
        self,
        cell: Cell,
        conditioning: Sequence[Conditioning],
        *,
        scheduler: Any,
        shape: tuple[int, int, int],
        number: int = 0,
        source: Source | None = None,
    ) -> None:
        """`conditioning` is (negative, prompt), or (prompt,) without guidance; `shape` (c, h, w).

        `number` is that of the pass; `source` gives the latent to start from, if not noise alone.
        """
        recipe = cell.recipe
        self.cell = cell
        self.number = number
        self.part = passes(recipe)[number]
        self.conditioning = conditioning
        self.sampler = samplers.resolve(recipe.sampler)
        self.scheduler = scheduler
        generator = torch.Generator("cpu").manual_seed(recipe.seed)
        self.arguments = schedulers.step_arguments(scheduler, generator, recipe.eta)
        # The VAE draws before the noise is drawn, as in diffusers' img2img pipeline.
        clean = source(generator) if source else None
        factor = self.part.width // shape[2]
        noise = start_noise(recipe, shape, generator, factor=factor)
        self.timesteps = schedulers.timesteps(scheduler, self.part.skipped)
        self.latents = schedulers.noised(scheduler, self.timesteps, clean, noise)
        self.evaluation = 0  # denoiser evaluations done in this pass
        self.evaluations_before = 0  # in the passes before it
        self.steps_before = 0
        self.clock = Clock(Use(self.rows, recipe.sampler))
        self.clock.use.texts = len(conditioning)

    def go_on_from(self, before: Track) -> None:
        """Counts on where the pass before this one has ended."""
        before.clock.use.texts += self.clock.use.texts
        self.clock = before.clock
        self.evaluations_before = before.evaluations_before + before.evaluation
        self.steps_before = before.steps_before + before.part.count

    @property
    def rows(self) -> int:
        return rows_of(self.cell.recipe)

    @property
    def size(self) -> Size:
        """Of the pass."""
        return self.part.width, self.part.height

    @property
    def timestep(self) -> torch.Tensor:
        """The model's timestep of the evaluation that is due; not an integer for every sampler."""
        timestep: torch.Tensor = self.timesteps[self.evaluation]
        return timestep

    @property
    def evaluations(self) -> int:
        """Of the denoiser, done for the cell."""
        return self.evaluations_before + self.evaluation

    @property
    def is_over(self) -> bool:
        """This pass is."""
        return self.evaluation == len(self.timesteps)

    @property
    def is_finished(self) -> bool:
        """The cell is."""
        return self.is_over and self.number == len(passes(self.cell.recipe)) - 1

    def look(self) -> tuple[torch.Tensor, float]:
        """(x, sigma): the model's input (1, c, h, w), variance-preserving, and its noise level."""
        x = self.scheduler.scale_model_input(self.latents, self.timestep)
        return x, schedulers.sigma(self.scheduler, self.timestep)

    def step(self, prediction: torch.Tensor) -> int:
        """Takes the guided prediction; the step of the cell, from 1, that is complete now, 0 within
        one.
        """
        self.latents = self.scheduler.step(
            prediction, self.timestep, self.latents, **self.arguments
        )[0]
        completed = self.sampler.step_completed(self.evaluation, self.part.count)
        self.evaluation += 1
        return completed and self.steps_before + completed

    def noise_left(self) -> float:
        """sigma after the steps so far; 0 at the end."""
        return 0.0 if self.is_over else schedulers.sigma(self.scheduler, self.timestep)


class Clock:
    """The seconds of one cell: its share, by rows, of every batch that it was part of."""

    def __init__(self, use: Use) -> None:
        self.use = use
        self.encode = self.denoise = self.preview = self.decode = 0.0
        self.last = 0.0  # the latest tick's share
        self.ticks = 0
        self.rows = 0
        self.warmup = False

    def ticked(self, seconds: float, *, rows: int, warmup: bool, size: Size) -> None:
        """`seconds` are this cell's share of a tick of `rows` rows, in a pass of `size`."""
        self.use.evaluated(size)
        self.denoise += seconds
        self.last = seconds
        self.ticks += 1
        self.rows += rows
        self.warmup |= warmup

    def timings(self) -> Timings:
        return Timings(
            encode_s=self.encode,
            denoise_s=self.denoise,
            preview_s=self.preview,
            decode_s=self.decode,
            batch=self.rows / max(1, self.ticks),
            warmup=self.warmup,
        )


# Latents (1, c, h, w) to start from, without noise; the VAE's own randomness out of the generator.
Source = Callable[[torch.Generator], torch.Tensor]

"""How a cell begins each of its passes: text, scheduler, noise, and an image where there is one."""

from __future__ import annotations

from dataclasses import replace

from sdviz.config import Config
from sdviz.engine.conditioning import Encoder
from sdviz.engine.devices import now
from sdviz.engine.init import InitImages, Source, enlarged
from sdviz.engine.track import Track
from sdviz.models.denoiser import Denoiser
from sdviz.models.schedulers import Schedulers
from sdviz.passes import passes
from sdviz.plan import Cell
from sdviz.samplers import resolve


class Starter:
    """Makes tracks for one denoiser."""

    def __init__(self, denoiser: Denoiser, config: Config) -> None:
        self._denoiser = denoiser
        self._encoder = Encoder(denoiser)
        self._schedulers = Schedulers(denoiser.scheduler_config)
        self._images = InitImages(denoiser, config.inits)

    def first(self, cell: Cell) -> Track:
        """The track of a cell's first pass."""
        start = now(self._denoiser.device)
        source = self._images.source(cell.recipe) if cell.recipe.init else None
        track = self._make(cell, 0, source)
        track.clock.encode += now(self._denoiser.device) - start
        return track

    def after(self, track: Track) -> Track:
        """The track of the pass after that of `track`, which is over; its clock runs on."""
        start = now(self._denoiser.device)
        recipe = track.cell.recipe
        part = passes(recipe)[track.number + 1]
        source = enlarged(self._denoiser, track.latents, part, recipe.hires_upscaler)
        following = self._make(track.cell, track.number + 1, source)
        following.go_on_from(track)
        following.clock.encode += now(self._denoiser.device) - start
        return following

    def _make(self, cell: Cell, number: int, source: Source | None) -> Track:
        recipe = cell.recipe
        part = passes(recipe)[number]
        # Some families tell the denoiser the size.
        sized = replace(recipe, width=part.width, height=part.height)
        return Track(
            cell,
            self._encoder.conditioning(sized),
            scheduler=self._schedulers.make(
                resolve(recipe.sampler), steps=part.steps, skipped=part.skipped, seed=recipe.seed
            ),
            shape=self._denoiser.latent_shape(part.width, part.height),
            number=number,
            source=source,
        )

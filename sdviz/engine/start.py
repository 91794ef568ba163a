"""How a cell begins each of its passes: text, scheduler, noise, and an image where there is one."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from sdviz.engine.devices import now
from sdviz.engine.pace import Pace
from sdviz.engine.preview import to_pixels
from sdviz.engine.track import Source, Track
from sdviz.errors import CellError
from sdviz.models.denoiser import Conditioning, Denoiser, Text
from sdviz.models.families.schedulers import Schedulers
from sdviz.pictures import image_input
from sdviz.plan.cells import Cell
from sdviz.plan.config import Config, InitImage
from sdviz.plan.passes import Pass, passes
from sdviz.plan.samplers import resolve
from sdviz.plan.settings import Recipe


class Starter:
    """Makes tracks for one denoiser."""

    def __init__(self, denoiser: Denoiser, config: Config, pace: Pace) -> None:
        self._denoiser = denoiser
        self._encoder = Encoder(denoiser, pace)
        self._schedulers = Schedulers(denoiser.scheduler_config)
        self._images = InitImages(denoiser, config.inits, pace)

    def first(self, cell: Cell) -> Track:
        """The track of a cell's first pass."""
        start = now(self._denoiser.device)
        source = self._images.source(cell.recipe) if cell.recipe.init else None
        track = self._make(cell, 0, source)
        if source:
            track.clock.use.images.append((track.part.width, track.part.height))
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


_KEPT = 32  # encodings; 0.1 MB each at 512x512


class InitImages:
    """The init images of a sweep, each encoded once for each size."""

    def __init__(self, denoiser: Denoiser, inits: Mapping[str, InitImage], pace: Pace) -> None:
        self._denoiser = denoiser
        self._pace = pace
        self._inits = inits
        self._encoded: OrderedDict[tuple[str, int, int, str, bool], Any] = OrderedDict()

    def source(self, recipe: Recipe) -> Source:
        """Raises CellError where the image is not the one that the sweep was planned with."""
        wanted = (recipe.init, recipe.width, recipe.height, recipe.resize, recipe.tiling)
        if wanted not in self._encoded:
            image = self._read(recipe.init)
            image = image_input.resized(image, recipe.width, recipe.height, recipe.resize)
            start = now(self._denoiser.device)
            self._encoded[wanted] = _encode(self._denoiser, image)
            seconds = now(self._denoiser.device) - start
            self._pace.images.add((recipe.width, recipe.height), seconds)
        self._encoded.move_to_end(wanted)
        while len(self._encoded) > _KEPT:
            self._encoded.popitem(last=False)
        return _sampled(self._denoiser, self._encoded[wanted])

    def _read(self, name: str) -> Image.Image:
        known = self._inits[name]
        image = image_input.read(Path(known.path), f"init={name}")
        if image_input.identity(image) != known.pixels:
            raise CellError(f"init={name}: {known.path} has changed since the sweep was planned")
        return image


def enlarged(denoiser: Denoiser, latents: torch.Tensor, part: Pass, upscaler: str) -> Source:
    """The first pass's `latents` (1, c, h, w) at the size of the second, `part`.

    By bilinear or nearest interpolation of the latent itself (stable-diffusion-webui's "Latent" and
    "Latent (nearest)"), or of the decoded picture by Lanczos.
    """
    if upscaler == "pixel":
        (pixels,) = to_pixels(denoiser.decode(latents))
        image = image_input.resized(Image.fromarray(pixels), part.width, part.height, "stretch")
        return _sampled(denoiser, _encode(denoiser, image))
    mode = "nearest" if upscaler == "latent-nearest" else "bilinear"
    _, rows, columns = denoiser.latent_shape(part.width, part.height)
    larger = F.interpolate(latents, size=(rows, columns), mode=mode)
    return lambda generator: larger


def _encode(denoiser: Denoiser, image: Image.Image) -> Any:
    """The VAE's distribution of latents for an image."""
    unit = torch.from_numpy(np.array(image)).float().div(255).permute(2, 0, 1)[None]
    vae = denoiser.vae
    return vae.encode((2 * unit - 1).to(denoiser.device, vae.dtype)).latent_dist


def _sampled(denoiser: Denoiser, distribution: Any) -> Source:
    def sample(generator: torch.Generator) -> torch.Tensor:
        return denoiser.scaled(distribution.sample(generator)).float().cpu()

    return sample


_TEXTS_KEPT = 256  # encodings; 60 MB for Stable Diffusion 1 in float32


class Encoder:
    """What each cell rides with, encoded by the denoiser's own text encoder."""

    def __init__(self, denoiser: Denoiser, pace: Pace) -> None:
        self._denoiser = denoiser
        self._pace = pace
        self._encoded: OrderedDict[Text, Conditioning] = OrderedDict()

    def conditioning(self, recipe: Recipe) -> list[Conditioning]:
        """(negative, prompt), or (prompt,) without guidance."""
        prompt, negative = self._denoiser.texts(recipe)
        return [self._encode(text) for text in (negative, prompt) if text is not None]

    def _encode(self, text: Text) -> Conditioning:
        if text not in self._encoded:
            start = now(self._denoiser.device)
            self._encoded[text] = self._denoiser.encode([text])[0]
            self._pace.texts.add(None, now(self._denoiser.device) - start)
        self._encoded.move_to_end(text)
        while len(self._encoded) > _TEXTS_KEPT:
            self._encoded.popitem(last=False)
        return self._encoded[text]

"""Images into latents: where img2img and the second pass of a hires fix start from."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from sdviz import images
from sdviz.config import InitImage
from sdviz.errors import CellError
from sdviz.models.denoiser import Denoiser
from sdviz.passes import Pass
from sdviz.plan import Recipe
from sdviz.preview import to_pixels

# Latents (1, c, h, w) to start from, without noise; the VAE's own randomness out of the generator.
Source = Callable[[torch.Generator], torch.Tensor]

_KEPT = 32  # encodings; 0.1 MB each at 512x512


class InitImages:
    """The init images of a sweep, each encoded once for each size."""

    def __init__(self, denoiser: Denoiser, inits: Mapping[str, InitImage]) -> None:
        self._denoiser = denoiser
        self._inits = inits
        self._encoded: OrderedDict[tuple[str, int, int, str, bool], Any] = OrderedDict()

    def source(self, recipe: Recipe) -> Source:
        """Raises CellError where the image is not the one that the sweep was planned with."""
        wanted = (recipe.init, recipe.width, recipe.height, recipe.resize, recipe.tiling)
        if wanted not in self._encoded:
            image = self._read(recipe.init)
            image = images.resized(image, recipe.width, recipe.height, recipe.resize)
            self._encoded[wanted] = _encode(self._denoiser, image)
        self._encoded.move_to_end(wanted)
        while len(self._encoded) > _KEPT:
            self._encoded.popitem(last=False)
        return _sampled(self._denoiser, self._encoded[wanted])

    def _read(self, name: str) -> Image.Image:
        known = self._inits[name]
        image = images.read(Path(known.path), f"init={name}")
        if images.identity(image) != known.pixels:
            raise CellError(f"init={name}: {known.path} has changed since the sweep was planned")
        return image


def enlarged(denoiser: Denoiser, latents: torch.Tensor, part: Pass, upscaler: str) -> Source:
    """The first pass's `latents` (1, c, h, w) at the size of the second, `part`.

    By bilinear or nearest interpolation of the latent itself (stable-diffusion-webui's "Latent" and
    "Latent (nearest)"), or of the decoded picture by Lanczos.
    """
    if upscaler == "pixel":
        (pixels,) = to_pixels(denoiser.decode(latents))
        image = images.resized(Image.fromarray(pixels), part.width, part.height, "stretch")
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
    scale = denoiser.vae.config.scaling_factor

    def sample(generator: torch.Generator) -> torch.Tensor:
        latents: torch.Tensor = scale * distribution.sample(generator)
        return latents.float().cpu()

    return sample

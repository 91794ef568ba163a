"""Latents to frames, by the full VAE, a tiny one, or a linear map fitted to the model's own VAE."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from sdviz.errors import ConfigError
from sdviz.models.denoiser import Denoiser
from sdviz.models.hardware.options import is_exhausted
from sdviz.plan.config import PreviewConfig

Decode = Callable[
    [torch.Tensor], torch.Tensor
]  # latents (n, c, h, w) -> images (n, 3, H, W), -1..1

SHARE = 0.1  # of a sweep's time that `auto` lets previews take
_HOPELESS = 4  # times too dear alone: together they are not that much cheaper
_TIMES = 4  # that a full VAE costs what a tiny one does, at the least
# Decoded at once, because a decoder's memory grows with every one:
_MOST = 32  # images; more save no time
_LATENT_PIXELS = 8 * 64 * 64  # eight images of 512x512


def to_pixels(images: torch.Tensor) -> list[NDArray[np.uint8]]:
    """uint8 (H, W, 3) of images (n, 3, H, W) in -1..1, rounded as diffusers' VaeImageProcessor."""
    return list(_bytes(images).cpu().numpy())


def _bytes(images: torch.Tensor) -> torch.Tensor:
    """As to_pixels, where the images are: a GPU is quicker at it, and has a quarter to send."""
    unit = images.mul(0.5).add_(0.5).clamp_(0, 1)
    return unit.mul_(255).round_().to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def in_chunks(decode: Decode, latents: torch.Tensor) -> torch.Tensor:
    """`decode` for a few latents at a time, for fewer where memory runs out."""
    size = min(len(latents), _at_once(latents))
    while True:
        try:
            return torch.cat([decode(chunk) for chunk in torch.split(latents, size)])
        except (RuntimeError, MemoryError) as error:
            if size == 1 or not is_exhausted(error):
                raise
        size //= 2


def _pictures(decode: Decode, latents: torch.Tensor) -> list[NDArray[np.uint8]]:
    """A picture (H, W, 3) a latent; as bytes already where they wait for the rest."""
    return list(in_chunks(lambda few: _bytes(decode(few)), latents).cpu().numpy())


def _at_once(latents: torch.Tensor) -> int:
    height, width = latents.shape[-2:]
    return max(1, min(_MOST, _LATENT_PIXELS // (height * width)))


class Previewer:
    """Decodes frames with the decoder that is configured, or with the best it can afford."""

    def __init__(self, denoiser: Denoiser, config: PreviewConfig) -> None:
        if config.decoder == "tiny" and denoiser.tiny_vae is None:
            raise ConfigError(
                "preview.decoder=tiny: this model has no tiny VAE; use rgb, vae or auto",
                key="preview.decoder",
            )
        self._denoiser = denoiser
        self._every = config.every
        self.chosen = ""
        self._decode: Decode | None = None
        if config.decoder != "auto":
            self.take(config.decoder)

    @property
    def is_off(self) -> bool:
        return self.chosen == "none"

    def take(self, name: str) -> None:
        """Decodes with the decoder of that name from now on."""
        self.chosen, self._decode = name, _decoder(name, self._denoiser)

    def cheaper(self) -> str:
        """The decoder that costs less than the present one; "" if none does."""
        there = ["vae", *(["tiny"] if self._denoiser.tiny_vae is not None else []), "rgb"]
        return "" if self.is_off else next(iter(there[there.index(self.chosen) + 1 :]), "")

    def choose(self, latents: torch.Tensor, *, seconds_a_step: float) -> dict[str, float]:
        """Takes the best decoder that costs below a tenth of the time; seconds a frame of each
        tried, without what memory was too small for.

        `latents` (n, c, h, w) are those of a tick; `seconds_a_step` is what a cell's step costs.
        """
        seconds: dict[str, float] = {}
        chosen = "rgb"
        most = self._every * seconds_a_step * SHARE / (1 - SHARE)
        # The full VAE is dear to try: where there is a tiny one, it says whether that is any use.
        for name in ("vae",) if self._denoiser.tiny_vae is None else ("tiny", "vae"):
            try:
                self.take(name)
                seconds[name] = _seconds_a_frame(self._decode, latents, most)
            except (RuntimeError, MemoryError) as error:
                if not is_exhausted(error):
                    raise
                continue
            if seconds[name] < most:
                chosen = name
            if seconds[name] * _TIMES > most:
                break
        if chosen != self.chosen:
            self.take(chosen)
        if chosen not in seconds:
            seconds[chosen] = _seconds_a_frame(self._decode, latents, most)
        return seconds

    def frames(self, latents: torch.Tensor) -> list[NDArray[np.uint8]]:
        """One picture (H, W, 3) a latent (n, c, h, w), at the size of the final image."""
        assert self._decode is not None
        return _pictures(self._decode, latents)


def _decoder(name: str, denoiser: Denoiser) -> Decode | None:
    if name == "none":
        return None
    if name == "vae":
        return _light_vae(denoiser)
    if name == "tiny":
        return _tiny(denoiser)
    assert name == "rgb", name
    return linear_rgb(denoiser)


def _light_vae(denoiser: Denoiser) -> Decode:
    """The full VAE; in bfloat16 on a CPU that computes in it, about four times as fast."""
    if denoiser.device != "cpu" or not _has_bfloat16():
        return denoiser.decode
    light = copy.copy(denoiser)
    light.vae = _light(denoiser.vae)
    return light.decode


def _light(vae: Any) -> Any:
    return vae if vae.dtype == torch.bfloat16 else copy.deepcopy(vae).to(torch.bfloat16)


def _has_bfloat16() -> bool:
    """Whether the CPU has instructions for bfloat16; without them it is slower than float32."""
    asked = getattr(torch.cpu, "_is_avx512_bf16_supported", None)  # no public question for it yet
    return bool(asked and asked())


def _tiny(denoiser: Denoiser) -> Decode:
    vae = denoiser.tiny_vae
    assert vae is not None
    if denoiser.device == "cpu" and _has_bfloat16():
        vae = _light(vae)
    return lambda latents: vae.decode(
        latents.to(denoiser.device, vae.dtype) / vae.config.scaling_factor, return_dict=False
    )[0].float()


def linear_rgb(denoiser: Denoiser) -> Decode:
    """The linear map from a latent's channels to red, green and blue that fits the model's own VAE.

    Fitted by least squares to what the VAE decodes from latents that it encoded itself, of flat
    patches of colour; each latent pixel is compared with the mean of the pixels it stands for.
    """
    latents, images = _samples(denoiser)
    pooled = F.adaptive_avg_pool2d(images, (latents.shape[-2], latents.shape[-1]))
    known = _with_one(latents)
    solution = torch.linalg.lstsq(
        known, pooled.movedim(1, -1).flatten(0, 2), driver="gelsd"
    ).solution
    weights = solution.to(denoiser.device)
    factor = images.shape[-1] // latents.shape[-1]

    def decode(latents: torch.Tensor) -> torch.Tensor:
        # On the device: for a large frame a CPU takes as long as a GPU for a step.
        n, _, h, w = latents.shape
        known = _with_one(latents.to(denoiser.device, torch.float32))
        colours = (known @ weights).reshape(n, h, w, 3).movedim(-1, 1)
        return F.interpolate(colours, scale_factor=factor, mode="bilinear")

    return decode


def _with_one(latents: torch.Tensor) -> torch.Tensor:
    """(n h w, c + 1): a row a latent pixel, with a one for the bias."""
    pixels = latents.movedim(1, -1).flatten(0, 2)
    return torch.cat([pixels, pixels.new_ones(len(pixels), 1)], dim=1)


def _samples(denoiser: Denoiser) -> tuple[torch.Tensor, torch.Tensor]:
    """Latents (4, c, 16, 16) of patches of colour, and what the VAE decodes from them."""
    vae = denoiser.vae
    generator = torch.Generator().manual_seed(0)
    patches = torch.rand((4, 3, 4, 4), generator=generator) * 2 - 1
    factor = 2 ** (len(vae.config.block_out_channels) - 1)
    images = F.interpolate(patches, size=(16 * factor, 16 * factor), mode="bilinear")
    encoded = vae.encode(images.to(denoiser.device, vae.dtype)).latent_dist.mode()
    latents = denoiser.scaled(encoded.float())
    return latents.cpu(), in_chunks(denoiser.decode, latents).cpu()


def _seconds_a_frame(decode: Decode | None, latents: torch.Tensor, most: float) -> float:
    """What a frame costs when those of a tick are decoded together.

    A single frame that costs far more than `most` seconds says enough: more would waste time.
    """
    assert decode is not None
    alone = _fastest(decode, latents[:1])
    few = latents[: _at_once(latents)]
    if len(few) == 1 or alone > _HOPELESS * most:
        return alone
    return min(alone, _fastest(decode, few) / len(few))


def _fastest(decode: Decode, latents: torch.Tensor) -> float:
    """Seconds of the faster of two decodings: the first pays for warm-up."""
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        _pictures(decode, latents)  # to the CPU: the device is synchronised by it
        seconds.append(time.perf_counter() - start)
    return min(seconds)


__all__: Sequence[str] = ("Previewer", "in_chunks", "linear_rgb", "to_pixels")

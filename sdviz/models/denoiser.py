"""What the engine asks of a model: the one interface that every batched model family implements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import torch

from sdviz.plan.settings import Recipe

# What the denoiser needs of one text, by its own argument names, without a batch dimension:
# "encoder_hidden_states" (tokens, width), and for some families "text_embeds", "time_ids".
Conditioning: TypeAlias = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class Text:
    """One encoding that a cell needs; equal ones are computed once a sweep."""

    prompt: str
    negative: bool = False  # some families treat the two sides of the guidance differently
    width: int = 0  # pixels, for the families that are conditioned on the size; else 0
    height: int = 0
    clip_skip: int = 1  # as in Recipe
    emphasis: str = "a1111"
    embedding: str = ""


class Denoiser(Protocol):
    """A diffusion model in memory: text encoder, denoiser, VAE.

    `x` is always variance-preserving, sqrt(abar) x0 + sqrt(1 - abar) noise, as in training.
    """

    device: str
    dtype: torch.dtype
    prediction_type: str  # epsilon, v_prediction, sample
    scheduler_config: Mapping[str, Any]  # the model's own, never that of a scheduler made from it
    vae: Any  # diffusers' AutoencoderKL, for previews to fit and to time
    tiny_vae: Any | None  # AutoencoderTiny that takes latents as the denoiser sees them

    @property
    def convolutional(self) -> Sequence[Any]:
        """What sees the picture, denoiser and VAE; `tiling` wraps its convolutions around."""
        ...

    def texts(self, recipe: Recipe) -> tuple[Text, Text | None]:
        """The texts that a cell rides with: (prompt, negative prompt or None without guidance)."""
        ...

    def encode(self, texts: Sequence[Text]) -> list[Conditioning]:
        """One conditioning a text."""
        ...

    def latent_shape(self, width: int, height: int) -> tuple[int, int, int]:
        """(channels, rows, columns) of the latent of an image of `width` x `height` pixels."""
        ...

    def predict(
        self, x: torch.Tensor, timesteps: torch.Tensor, rows: Sequence[Conditioning]
    ) -> torch.Tensor:
        """Predictions (n, c, h, w), float32, of `x` (n, c, h, w) at one timestep (n,) a row."""
        ...

    def scaled(self, encoded: torch.Tensor) -> torch.Tensor:
        """Latents as the denoiser takes them, of what the VAE's encoder gives (n, c, h, w)."""
        ...

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Images (n, 3, H, W), float32, about -1..1, from latents (n, c, h, w) by the full VAE."""
        ...

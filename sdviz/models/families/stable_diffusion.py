"""Stable Diffusion 1 and 2: a CLIP text encoder, a UNet, an AutoencoderKL (Rombach et al. 2022)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from sdviz.models.denoiser import Conditioning, Text
from sdviz.models.families.clip_text import ClipText
from sdviz.plan.settings import Recipe, is_guided

_HIDDEN = "encoder_hidden_states"


class UNetDenoiser:
    """The part of a Denoiser that does not know its text encoder."""

    # Does its pipeline heed the statistics of the VAE's latents, where it encodes and decodes?
    _normalises_encoded = False
    _normalises_decoded = False

    def __init__(
        self,
        *,
        unet: Any,
        vae: Any,
        scheduler_config: Mapping[str, Any],
        tiny_vae: Any | None = None,
        prediction: str = "auto",
        make_pipeline: Callable[[], Any] | None = None,
    ) -> None:
        """`make_pipeline` makes diffusers' own pipeline of the same parts, which can load LoRAs."""
        self.unet = unet
        self.vae = vae
        self.tiny_vae: Any | None = tiny_vae
        self.make_pipeline = make_pipeline
        own = scheduler_config.get("prediction_type", "epsilon")
        self.prediction_type: str = own if prediction == "auto" else prediction
        self.scheduler_config: Mapping[str, Any] = {
            **scheduler_config,
            "prediction_type": self.prediction_type,
        }
        self.device = str(unet.device)
        self.dtype: torch.dtype = unet.dtype
        self._scale = 2 ** (len(vae.config.block_out_channels) - 1)

    @property
    def convolutional(self) -> Sequence[Any]:
        return [self.unet, self.vae]

    def latent_shape(self, width: int, height: int) -> tuple[int, int, int]:
        return int(self.unet.config.in_channels), height // self._scale, width // self._scale

    def predict(
        self, x: torch.Tensor, timesteps: torch.Tensor, rows: Sequence[Conditioning]
    ) -> torch.Tensor:
        """One forward of the UNet; every row has a timestep and a text of its own."""
        added = {
            name: torch.stack([row[name] for row in rows]) for name in rows[0] if name != _HIDDEN
        }
        prediction: torch.Tensor = self.unet(
            x.to(self.device, self.dtype),
            timesteps.to(self.device),
            encoder_hidden_states=torch.stack([row[_HIDDEN] for row in rows]),
            added_cond_kwargs=added or None,
            return_dict=False,
        )[0]
        return prediction.float()

    def scaled(self, encoded: torch.Tensor) -> torch.Tensor:
        factor = float(self.vae.config.scaling_factor)
        statistics = self._statistics(encoded) if self._normalises_encoded else None
        if statistics is None:
            return encoded * factor
        mean, std = statistics
        return (encoded - mean) * factor / std

    def _statistics(self, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor] | None:
        """(mean, standard deviation) of the VAE's latents by channel, if its configuration has
        them.
        """
        config = self.vae.config
        mean, std = getattr(config, "latents_mean", None), getattr(config, "latents_std", None)
        if not mean or not std:
            return None
        made = (torch.tensor(one, device=like.device, dtype=like.dtype) for one in (mean, std))
        mean, std = (one.view(1, -1, 1, 1) for one in made)
        return mean, std

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        scaled = latents.to(self.device, self.vae.dtype) / self.vae.config.scaling_factor
        statistics = self._statistics(scaled) if self._normalises_decoded else None
        if statistics is not None:
            mean, std = statistics
            scaled = scaled * std + mean
        images: torch.Tensor = self.vae.decode(scaled, return_dict=False)[0]
        return images.float()


class StableDiffusion(UNetDenoiser):
    """A Denoiser made of diffusers' and transformers' own components."""

    def __init__(
        self, *, tokenizer: Any, text_encoder: Any, trust_pickle: bool = False, **parts: Any
    ) -> None:
        """`trust_pickle` is for embeddings."""
        super().__init__(**parts)
        self._words = ClipText(tokenizer, text_encoder, trust_pickle=trust_pickle)

    def texts(self, recipe: Recipe) -> tuple[Text, Text | None]:
        """CFG 1 is the prompt's own prediction: one text, one row."""
        how: dict[str, Any] = {
            "clip_skip": recipe.clip_skip,
            "emphasis": recipe.emphasis,
            "embedding": recipe.embedding,
        }
        prompt = Text(recipe.prompt, **how)
        return prompt, Text(recipe.negative, **how) if is_guided(recipe) else None

    def encode(self, texts: Sequence[Text]) -> list[Conditioning]:
        """The hidden states of CLIP, 77 tokens a chunk."""
        # One at a time: an encoding must not depend on which other prompts a sweep has.
        return [
            {"encoder_hidden_states": self._words.encode(text)[0].to(self.dtype)} for text in texts
        ]

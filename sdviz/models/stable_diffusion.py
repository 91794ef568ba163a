"""Stable Diffusion 1 and 2: a CLIP text encoder, a UNet, an AutoencoderKL (Rombach et al. 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sdviz.models.clip_text import ClipText
from sdviz.models.denoiser import Conditioning, Text
from sdviz.models.unet import UNetDenoiser
from sdviz.plan import Recipe


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
        return Text(recipe.prompt, **how), None if recipe.cfg == 1 else Text(recipe.negative, **how)

    def encode(self, texts: Sequence[Text]) -> list[Conditioning]:
        """The hidden states of CLIP, 77 tokens a chunk."""
        # One at a time: an encoding must not depend on which other prompts a sweep has.
        return [
            {"encoder_hidden_states": self._words.encode(text)[0].to(self.dtype)} for text in texts
        ]

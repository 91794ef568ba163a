"""Stable Diffusion XL: two CLIP text encoders, and a UNet told the size (Podell et al. 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from sdviz.models.denoiser import Conditioning, Text
from sdviz.models.families.clip_text import ClipText
from sdviz.models.families.stable_diffusion import UNetDenoiser
from sdviz.plan.settings import Recipe, is_guided


class SizedDenoiser(UNetDenoiser):
    """A UNet with three conditionings: hidden states, a pooled text, and the size in pixels."""

    _normalises_encoded = True

    def __init__(self, *, zeros_for_empty: bool = True, **parts: Any) -> None:
        """`zeros_for_empty`: an empty negative prompt is zeros, and not the encoding of ""."""
        super().__init__(**parts)
        self._zeros_for_empty = zeros_for_empty

    def texts(self, recipe: Recipe) -> tuple[Text, Text | None]:
        """Without guidance the prompt's own prediction counts: one text, one row."""
        how: dict[str, Any] = {
            "width": recipe.width,
            "height": recipe.height,
            "clip_skip": recipe.clip_skip,
            "emphasis": recipe.emphasis,
            "embedding": recipe.embedding,
        }
        prompt = Text(recipe.prompt, **how)
        negative = Text(recipe.negative, negative=True, **how) if is_guided(recipe) else None
        return prompt, negative

    def encode(self, texts: Sequence[Text]) -> list[Conditioning]:
        # One at a time: an encoding must not depend on which other prompts a sweep has.
        return [self._conditioning(text) for text in texts]

    def _conditioning(self, text: Text) -> Conditioning:
        hidden, pooled = self._encode(text)
        if text.negative and not text.prompt and self._zeros_for_empty:
            hidden, pooled = torch.zeros_like(hidden), torch.zeros_like(pooled)
        # Podell et al., section 2.2: original size, crop at the top left, target size.
        size = (text.height, text.width)
        time_ids = torch.tensor([*size, 0, 0, *size], dtype=self.dtype, device=self.device)
        return {"encoder_hidden_states": hidden, "text_embeds": pooled, "time_ids": time_ids}

    def _encode(self, text: Text) -> tuple[torch.Tensor, torch.Tensor]:
        """(hidden states (tokens, width), pooled (width,)) of a text."""
        raise NotImplementedError


class StableDiffusionXL(SizedDenoiser):
    """A Denoiser of diffusers' and transformers' own components."""

    _normalises_decoded = True

    def __init__(
        self,
        *,
        tokenizers: Sequence[Any],
        text_encoders: Sequence[Any],
        trust_pickle: bool = False,
        **parts: Any,
    ) -> None:
        """Pairs in the pipeline's order; the last encoder projects, and gives the pooled text.
        `trust_pickle` is for embeddings.
        """
        super().__init__(**parts)
        self._words = [
            ClipText(tokenizer, encoder, part=part, penultimate=True, trust_pickle=trust_pickle)
            for part, (tokenizer, encoder) in enumerate(zip(tokenizers, text_encoders, strict=True))
        ]

    def _encode(self, text: Text) -> tuple[torch.Tensor, torch.Tensor]:
        """CLIP's last hidden states but one, side by side, and the projection of the last token."""
        encoded = [words.encode(text) for words in self._words]
        pooled = encoded[-1][1]
        assert pooled is not None, "the last encoder of Stable Diffusion XL projects"
        hidden = torch.cat([states for states, _ in encoded], dim=-1)
        return hidden.to(self.dtype), pooled.to(self.dtype)

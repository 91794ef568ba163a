"""Kolors: Stable Diffusion XL's UNet with ChatGLM3 as its text encoder (Kuaishou 2024)."""

from __future__ import annotations

from typing import Any

import torch

from sdviz.models.denoiser import Text
from sdviz.models.families.sdxl import SizedDenoiser

MAX_TOKENS = 256


class Kolors(SizedDenoiser):
    """A Denoiser of diffusers' own components; it reads Chinese as well as English."""

    def __init__(self, *, tokenizer: Any, text_encoder: Any, **parts: Any) -> None:
        super().__init__(**parts)
        self.tokenizer = tokenizer
        self.text_encoder = text_encoder

    def _encode(self, text: Text) -> tuple[torch.Tensor, torch.Tensor]:
        """ChatGLM's last hidden states but one, and the last token's state as the pooled text."""
        words = self.tokenizer(
            text.prompt,
            padding="max_length",
            max_length=MAX_TOKENS,
            truncation=True,
            return_tensors="pt",
        ).to(self.device)
        states = self.text_encoder(
            input_ids=words["input_ids"],
            attention_mask=words["attention_mask"],
            position_ids=words["position_ids"],
            output_hidden_states=True,
        ).hidden_states  # each (tokens, 1, width)
        return states[-2][:, 0].to(self.dtype), states[-1][-1, 0].to(self.dtype)

"""How a model is computed: with less memory, or faster. What is computed stays, within rounding."""

from __future__ import annotations

from typing import Any

import torch

from sdviz.config import EngineConfig


def apply(config: EngineConfig, *, unet: Any, vae: Any) -> None:
    """Sets the options on a model's parts; again on the same ones does no harm."""
    if config.attention_slicing:
        unet.set_attention_slice("auto")
    if config.vae_tiling:
        vae.enable_tiling()
    if config.channels_last:
        for part in (unet, vae):
            part.to(memory_format=torch.channels_last)
    if config.compile and unet._compiled_call_impl is None:
        unet.compile(dynamic=True)  # rows come and go: one program for every number of them

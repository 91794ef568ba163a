"""The safety checker of Stable Diffusion (Rombach et al. 2022): does a picture show what it should
not?

It compares CLIP's vector of the picture with those of 17 concepts, each with its own threshold.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker

from sdviz.models.addons import scoring


class SafetyChecker:
    """The checker in a folder of diffusers' layout."""

    def __init__(self, folder: Path, device: str) -> None:
        """ModelError where it cannot be loaded."""
        key = "model.safety_checker"
        self._model: Any = scoring.loaded(StableDiffusionSafetyChecker, folder, key, device)
        self._device = device
        self._side = int(self._model.config.vision_config.image_size)

    @torch.inference_mode()
    def flags(self, pixels: scoring.Pixels) -> bool:
        """Is the picture one that it would black out?"""
        seen = scoring.seen(pixels, self._side).to(self._device)
        _, flagged = self._model(clip_input=seen, images=[pixels])
        return bool(flagged[0])

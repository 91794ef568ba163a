"""The invisible watermark of Stable Diffusion XL: 48 fixed bits in the picture's frequencies.

The marker is diffusers' own, over the package invisible-watermark, which needs OpenCV.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from sdviz.models.scoring import Pixels


class Watermark:
    """Marks pictures of 256 pixels a side or more (sdviz.models.extras); smaller have no room."""

    def __init__(self) -> None:
        from diffusers.pipelines.stable_diffusion_xl.watermark import StableDiffusionXLWatermarker

        self._marker: Any = StableDiffusionXLWatermarker()

    def put(self, pixels: Pixels) -> Pixels:
        """The picture with its mark."""
        images = torch.from_numpy(pixels.astype(np.float32) / 127.5 - 1).permute(2, 0, 1)[None]
        marked = self._marker.apply_watermark(images)[0].permute(1, 2, 0)
        whole: Pixels = ((marked + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).numpy()
        return whole

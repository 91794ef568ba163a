"""Pictures whose edges fit together: convolutions that wrap around."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn


class Tiling:
    """Switches the convolutions of some modules between zeros and the opposite edge as padding.

    As stable-diffusion-webui does for its "Tiling" (modules/sd_hijack.py, apply_circular).
    """

    def __init__(self, modules: Iterable[nn.Module]) -> None:
        self._convolutions = [
            layer
            for module in modules
            for layer in module.modules()
            if isinstance(layer, nn.Conv2d)
        ]
        self._is_on = any(layer.padding_mode == "circular" for layer in self._convolutions)

    def switch(self, *, on: bool) -> None:
        """Lets the convolutions wrap around, or not; free where they do so already."""
        if on == self._is_on:
            return
        for layer in self._convolutions:
            layer.padding_mode = "circular" if on else "zeros"
        self._is_on = on

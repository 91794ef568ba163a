"""A model that stays in memory from one sweep to the next, for `python -m sdviz.live`."""

from __future__ import annotations

import gc
from typing import Any

from sdviz import models
from sdviz.plan.config import ModelSpec


class Keeper:
    """Loads like sdviz.models.load, and keeps the last model; another one takes its place."""

    def __init__(self) -> None:
        self._known: object = None
        self._denoiser: Any = None

    def load(self, spec: ModelSpec, *, device: str = "cpu", dtype: str = "float32") -> Any:
        """As sdviz.models.load: at once where it is the model that was loaded last."""
        wanted = (repr(spec), device, dtype)
        if self._denoiser is None or self._known != wanted:
            self.forget()
            self._denoiser = models.load(spec, device=device, dtype=dtype)
            self._known = wanted
        return self._denoiser

    def forget(self) -> None:
        """Free the model; also where a sweep has changed its layers (a LoRA, another VAE)."""
        self._known = self._denoiser = None
        gc.collect()

"""Models: what can be known of one without its weights, and the denoiser that it becomes.

`inspect` and everything it returns need no torch; `load` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sdviz.config import ModelSpec
from sdviz.models.info import ModelInfo, inspect

if TYPE_CHECKING:
    from sdviz.models.denoiser import Denoiser
    from sdviz.models.pipeline import WholePipeline

__all__ = ["ModelInfo", "inspect", "load"]


def load(
    spec: ModelSpec, *, device: str = "cpu", dtype: str = "float32"
) -> Denoiser | WholePipeline:
    """The model that `spec` names, in memory; see sdviz.models.loading."""
    from sdviz.models.loading import load as load_now

    return load_now(spec, device=device, dtype=dtype)

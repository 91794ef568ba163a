"""Models: what can be known of one without its weights, and the denoiser that it becomes.

`inspect` and everything it returns need no torch; `load` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sdviz.models.info import ModelInfo, inspect
from sdviz.plan.config import ModelSpec

if TYPE_CHECKING:
    from sdviz.models.denoiser import Denoiser
    from sdviz.models.families.whole_pipeline import WholePipeline

# The modules that other rooms import; the rest is this room's own.
FACE = (
    "addons.checks",
    "addons.embeddings",
    "addons.fitting",
    "addons.safety",
    "addons.scores",
    "addons.scoring",
    "addons.watermark",
    "denoiser",
    "families.schedulers",
    "families.seamless",
    "families.whole_pipeline",
    "files.diffusers_source",
    "files.refusal",
    "hardware.device",
    "hardware.options",
    "hardware.room",
)


__all__ = ["ModelInfo", "inspect", "load"]


def load(
    spec: ModelSpec, *, device: str = "cpu", dtype: str = "float32"
) -> Denoiser | WholePipeline:
    """The model that `spec` names, in memory; see sdviz.models.loading."""
    from sdviz.models.loading import load as load_now

    return load_now(spec, device=device, dtype=dtype)

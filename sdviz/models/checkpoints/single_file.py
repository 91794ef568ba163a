"""Checkpoints of one file: which model is in one, and its layout. No torch."""

from __future__ import annotations

from pathlib import Path

from sdviz.errors import ModelError
from sdviz.models.checkpoints import transformer_file, unet_file
from sdviz.models.checkpoints.layouts import Layout
from sdviz.models.files import tensors
from sdviz.plan.config import ModelSpec

_OTHERS = {
    "distilled_guidance_layer.": "Chroma",
    "single_stream_modulation.": "Flux 2",
    "joint_blocks.": "a part of a Stable Diffusion 3",
    "double_blocks.": "a part of a Flux, or another model with such blocks",
    "lora": "a LoRA (lora= takes it)",
    "first_stage_model.": "a VAE (vae= takes it)",
}


def layout(path: Path, spec: ModelSpec) -> Layout:
    """What the checkpoint `path` is, and where its parts are; ModelError."""
    if path.suffix not in (".safetensors", *tensors.PICKLES):
        raise ModelError(
            f"model={spec.name}: {path.name} is neither a .safetensors nor a .ckpt", key="model"
        )
    shapes = tensors.shapes(path, key="model", trust_pickle=spec.trust_pickle)
    found = transformer_file.layout(path, spec, shapes) or unet_file.layout(path, spec, shapes)
    if found is not None:
        return found
    what = next((name for sign, name in _OTHERS.items() if any(sign in key for key in shapes)), "")
    like = f"it looks like {what}" if what else "sdviz does not know its tensor names"
    raise ModelError(
        f"model={spec.name}: {path.name} holds no Stable Diffusion, no Kolors and no Flux.1: "
        f"{like}; other models must be folders in diffusers' layout",
        key="model",
    )

"""Checkpoints of one file: which model is in one, and its layout. No torch.

Those of Stable Diffusion 1, 2 and XL have CompVis's names (Rombach et al. 2022, their repository).
Stable Diffusion 3 and Flux are sdviz.models.assembly's.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sdviz.config import ModelSpec
from sdviz.errors import ModelError
from sdviz.models import assembly, headers, layouts, lora, places
from sdviz.models.layouts import Layout

_UNET = "model.diffusion_model.input_blocks.0.0.weight"
_TO_K = "transformer_blocks.0.attn2.to_k.weight"
_KINDS = {768: "sd1", 1024: "sd2", 2048: "sdxl"}  # by the width of the text that the UNet takes
_PREDICTIONS = {"v": "v_prediction", "epsilon": "epsilon"}
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
    if path.suffix not in (".safetensors", *lora.PICKLES):
        raise ModelError(f"model={spec.name}: {path.name} is neither a .safetensors nor a .ckpt")
    shapes = headers.shapes(path, key="model", trust_pickle=spec.trust_pickle)
    return assembly.layout(path, spec, shapes) or _of_unet(path, spec, shapes)


def _of_unet(path: Path, spec: ModelSpec, shapes: Mapping[str, tuple[int, ...]]) -> Layout:
    """Of a Stable Diffusion 1, 2 or XL, whose files hold all of the model but its vocabulary."""
    if spec.config:
        folder = places.anywhere(spec.config, key="model.config")
        if not (folder / "model_index.json").is_file():
            raise ModelError(f"model.config={spec.config}: has no model_index.json")
        _need_unet(path, spec, shapes)
        return Layout(folder, spec.kind)
    kind = spec.kind if spec.kind != "auto" else _kind(path, spec, shapes)
    if kind not in layouts.KINDS:
        raise ModelError(
            f"model={spec.name}: a single file of kind {kind!r} needs model.config=<folder>, "
            "a model of this kind in diffusers' layout (its weights are not needed)"
        )
    prediction = spec.prediction
    if prediction == "auto":
        prediction = _prediction(path, kind, shapes)
    base = None
    if spec.base:
        parts, local = ("tokenizer", "tokenizer_2"), spec.local_files_only
        base = places.anywhere(spec.base, key="model.base", parts=parts, local_files_only=local)
    return layouts.of_unet(kind, prediction, model=spec.name, base=base)


def _prediction(path: Path, kind: str, shapes: Mapping[str, tuple[int, ...]]) -> str:
    """What the UNet predicts: as the file says, else as most of its kind do.

    Stability AI's ModelSpec, which kohya's scripts write too, calls it epsilon or v.
    """
    told = headers.metadata(path).get("modelspec.prediction_type")
    if told in _PREDICTIONS:
        return _PREDICTIONS[told]
    return "v_prediction" if kind == "sd2" or "v_pred" in shapes else "epsilon"


def _need_unet(path: Path, spec: ModelSpec, shapes: Mapping[str, tuple[int, ...]]) -> None:
    if _UNET in shapes:
        return
    what = next((name for sign, name in _OTHERS.items() if any(sign in key for key in shapes)), "")
    found = f"it looks like {what}" if what else "its names are of no kind that sdviz knows"
    raise ModelError(
        f"model={spec.name}: {path.name} holds no Stable Diffusion and no Flux.1: {found}; "
        "other models are taken as folders in diffusers' layout"
    )


def _kind(path: Path, spec: ModelSpec, shapes: Mapping[str, tuple[int, ...]]) -> str:
    _need_unet(path, spec, shapes)
    widths = {shape[1] for key, shape in shapes.items() if key.endswith(_TO_K)}
    kinds = {_KINDS.get(width, "") for width in widths}
    if len(kinds) != 1 or "" in kinds:
        raise ModelError(
            f"model={spec.name}: {path.name} takes a text of width {sorted(widths)}, as no kind "
            "that sdviz knows; model.config=<folder> names a model of its kind in diffusers' layout"
        )
    return kinds.pop()

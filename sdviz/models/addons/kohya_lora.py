"""kohya's LoRA files for Stable Diffusion 3 and Flux, by diffusers' names. No torch.

Their names are of the models' own repositories, with underscores for dots (sd-scripts, lora_sd3.py
and lora_flux.py): so one pair of theirs may stand for query, key and value. diffusers reads none
for Stable Diffusion 3, and Flux's at its published width alone. Those for UNets it reads itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from sdviz.models.checkpoints import tensor_names
from sdviz.models.checkpoints.tensor_names import Rows

Shapes = Mapping[str, tuple[int, ...]]
_TEXT = re.compile(r"lora_te([12]?)_(.*)")
_LAYER = re.compile(r"text_model_encoder_layers_(\d+)_(self_attn|mlp)_(\w+)")
_HALVES = {".lora_down.weight": ".lora_A.weight", ".lora_up.weight": ".lora_B.weight"}


def is_kohyas(names: Mapping[str, object]) -> bool:
    """Is it one for what denoises in these models?"""
    return any(re.match(r"lora_unet_(joint|double|single)_blocks_", name) for name in names)


def converted(shapes: Shapes, blocks: int) -> dict[str, Rows]:
    """Both halves of each layer by diffusers' names; what is unknown, and alphas, are left out.

    `blocks` counts the model's transformer blocks: the last one's modulation is another.
    """
    found = {}
    for name, shape in shapes.items():
        module, dot, half = name.partition(".")
        half = _HALVES.get(dot + half, "")
        if not half:
            continue
        for new, ranges in _places(module, shape[0], blocks).items():
            found[f"{new}{half}"] = Rows(name, ranges if "_B" in half else ())
    return found


def factor(name: str, rank: int, alphas: Mapping[str, float]) -> float:
    """By what lora_A is multiplied: alpha / rank, where the file has an alpha for `name`."""
    alpha = alphas.get(name.replace(".lora_down.weight", ".alpha"))
    return 1.0 if alpha is None else alpha / rank


def unknown(shapes: Shapes, blocks: int) -> str:
    """The first name that has no place in these models, such as a DoRA's scale; "" if all have."""
    for name in shapes:
        module, dot, half = name.partition(".")
        if dot + half not in (*_HALVES, ".alpha") or not _places(module, 1, blocks):
            return name
    return ""


def _places(module: str, rows: int, blocks: int) -> dict[str, tensor_names.Ranges]:
    if text := _TEXT.fullmatch(module):
        layer = _LAYER.fullmatch(text[2])
        encoder = "text_encoder_2" if text[1] == "2" else "text_encoder"
        if layer is None:
            return {}
        return {f"{encoder}.text_model.encoder.layers.{layer[1]}.{layer[2]}.{layer[3]}": ()}
    own = tensor_names.with_dots(module.removeprefix("lora_unet_"))
    if not own or not module.startswith("lora_unet_"):
        return {}
    places = tensor_names.places(own, rows, blocks - 1)
    return {f"transformer.{new}": ranges for new, ranges in places.items()}

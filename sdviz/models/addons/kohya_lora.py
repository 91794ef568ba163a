"""LoRA files for Stable Diffusion 3 and Flux by the models' own names, as diffusers'. No torch.

kohya's have underscores for dots (sd-scripts, lora_sd3.py and lora_flux.py), ComfyUI's the dots,
behind "diffusion_model.". One pair of theirs may stand for query, key and value. diffusers reads
none for Stable Diffusion 3, and Flux's at its published width alone. Those for UNets it reads
itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from sdviz.models.addons.lora_tensors import is_down, is_half, is_up, layer_of
from sdviz.models.checkpoints import tensor_names
from sdviz.models.checkpoints.tensor_names import Rows

Shapes = Mapping[str, tuple[int, ...]]
_TEXT = re.compile(r"lora_te([12]?)_(.*)")
_LAYER = re.compile(r"text_model_encoder_layers_(\d+)_(self_attn|mlp)_(\w+)")
_COMFYUI = "diffusion_model."
_BLOCKS = re.compile(rf"(lora_unet_|{re.escape(_COMFYUI)})(joint|double|single)_blocks[._]")


def is_kohyas(names: Mapping[str, object]) -> bool:
    """Is it one for what denoises in these models, by their own names?"""
    return any(map(_BLOCKS.match, names))


def converted(shapes: Shapes, blocks: int) -> dict[str, Rows]:
    """Both halves of each layer by diffusers' names; what is unknown is left out.

    `blocks` counts the model's transformer blocks: the last one's modulation is another.
    """
    found = {}
    for name, shape in shapes.items():
        if not is_half(name):
            continue
        half = ".lora_A.weight" if is_down(name) else ".lora_B.weight"
        for new, ranges in _places(layer_of(name), shape[0], blocks).items():
            found[f"{new}{half}"] = Rows(name, ranges if is_up(name) else ())
    return found


def unknown(shapes: Shapes, blocks: int) -> str:
    """The first name that has no place in these models; "" if all have."""
    return next((name for name in shapes if not _places(layer_of(name), 1, blocks)), "")


def _places(module: str, rows: int, blocks: int) -> dict[str, tensor_names.Ranges]:
    if text := _TEXT.fullmatch(module):
        layer = _LAYER.fullmatch(text[2])
        encoder = "text_encoder_2" if text[1] == "2" else "text_encoder"
        if layer is None:
            return {}
        return {f"{encoder}.text_model.encoder.layers.{layer[1]}.{layer[2]}.{layer[3]}": ()}
    if module.startswith(_COMFYUI):
        own = module.removeprefix(_COMFYUI)
        own = own if tensor_names.with_dots(own.replace(".", "_")) == own else ""
    else:
        own = tensor_names.with_dots(module.removeprefix("lora_unet_"))
    if not own or not module.startswith(("lora_unet_", _COMFYUI)):
        return {}
    places = tensor_names.places(own, rows, blocks - 1)
    return {f"transformer.{new}": ranges for new, ranges in places.items()}

"""LoRA files (Hu et al. 2021): where one is, what its keys mean, and whether it fits. No torch.

    diffusers    unet.down_blocks.0.attentions.0…to_q.lora_A.weight, or …lora.down.weight
    kohya        lora_unet_down_blocks_0_attentions_0_…_to_q.lora_down.weight, with .alpha
    of 2023      unet.down_blocks.0.attentions.0…attn1.processor.to_q_lora.down.weight
    peft         base_model.model.down_blocks.0…to_q.lora_A.weight
    Lightning    pipe.unet.down_blocks.0…to_q.lora_A.default.weight
    DiffSynth    blocks.7.transformer_blocks.0.attn1.to_q.lora_A.default.weight, in a Lightning file

The first two are diffusers' to read; `renamed` turns the others into the first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sdviz.errors import ModelError
from sdviz.models.addons.lora_tensors import is_down, is_half, layer_of
from sdviz.models.files import places
from sdviz.models.files.tensors import PICKLES

NONE = "none"  # the word for no LoRA, so that an axis can have it
_NAMES = ("pytorch_lora_weights.safetensors", "adapter_model.safetensors")
# What wrappers put before the UNet's own names.
_WRAPPERS = re.compile(r"^(?:(?:state_dict|base_model|model|module|pipe|denoiser)\.)*(?:unet\.)?")
_UNET = re.compile(r"^(?:down_blocks|mid_block|up_blocks|conv_in|conv_out|time_embedding)\b")
_BLOCK = re.compile(r"^blocks\.(\d+)\.(.*)")
# Names that are of one kind of denoiser, and of no other, in diffusers' and kohya's formats.
_KINDS = {
    "unet": re.compile(r"unet\.|lora_unet_(down|mid|up|input|middle|output)_blocks?_"),
    "transformer": re.compile(r"transformer\.|lora_unet_(double|single|joint)_blocks_"),
}
_OLDEST = re.compile(r"(?:\.processor)?\.to_(q|k|v|out)_lora\.(down|up)\.weight$")  # of 2023
# How names begin that diffusers, or kohya_lora, reads for a UNet and for these pipelines.
_UNETS = ("unet.", "lora_unet_", "text_encoder.", "text_encoder_2.", "lora_te_", "lora_te1_",
          "lora_te2_")  # fmt: skip
_TRANSFORMERS = {
    "StableDiffusion3Pipeline": ("transformer.", "text_encoder.", "text_encoder_2."),
    "FluxPipeline": ("transformer.", "text_encoder.", "double_blocks.", "single_blocks.",
                     "base_model."),
}  # fmt: skip
XLABS = ".processor."  # in the names of XLabs' LoRAs for Flux, which diffusers reads


def find(name: str, *, revision: str = "") -> Path:
    """The file that `lora=` names: a file, a folder that holds one, or a hub id in the cache."""
    path = places.anywhere(name, key="lora", revision=revision)
    if path.is_file():
        if path.suffix != ".safetensors" and path.suffix not in PICKLES:
            raise ModelError(
                f"lora={name}: {path.suffix or 'no'} file; it must be a .safetensors file",
                key="lora",
            )
        return path
    known = [path / own for own in _NAMES if (path / own).is_file()]
    found = known or sorted(path.glob("*.safetensors"))
    if len(found) == 1 or known:
        return found[0]
    several = f"several: {', '.join(file.name for file in found)}; name one" if found else "none"
    raise ModelError(
        f"lora={name}: {path} should hold one .safetensors file; it holds {several}", key="lora"
    )


def renamed(tensors: Mapping[str, Any], unet: Mapping[str, Any]) -> dict[str, Any]:
    """`tensors` by names that diffusers reads; `unet` is the UNet's configuration."""
    blocks = attention_blocks(unet)
    return {_renamed(name, blocks): tensor for name, tensor in tensors.items()}


def _renamed(name: str, blocks: Mapping[int, str]) -> str:
    bare = _WRAPPERS.sub("", name).replace(".default.", ".")
    block = _BLOCK.match(bare)
    if block and int(block[1]) in blocks:
        within = re.sub(r"\.to_out\.(?=lora_)", ".to_out.0.", block[2])
        return f"unet.{blocks[int(block[1])]}.{within}"
    bare = _OLDEST.sub(_as_now, bare)
    return f"unet.{bare}" if _UNET.match(bare) else name


def _as_now(oldest: re.Match[str]) -> str:
    module = "to_out.0" if oldest[1] == "out" else f"to_{oldest[1]}"
    return f".{module}.lora_{'A' if oldest[2] == 'down' else 'B'}.weight"


def attention_blocks(unet: Mapping[str, Any]) -> dict[int, str]:
    """diffusers' name of each attention in DiffSynth's one list of blocks.

    That list has, in the order of the forward pass: in the down blocks a ResNet, its attention and
    a push for each layer, then a downsampler and a push; a ResNet, an attention and a ResNet in the
    middle; in the up blocks a pop, a ResNet and its attention for each layer, then an upsampler.
    """
    found: dict[int, str] = {}
    place = 0

    def layers(name: str, kind: str, count: int, others: int) -> None:
        nonlocal place
        attends = "CrossAttn" in kind
        for layer in range(count):
            if attends:
                found[place + others] = f"{name}.attentions.{layer}"
            place += 2 + attends

    down, up = unet.get("down_block_types", ()), unet.get("up_block_types", ())
    count = unet.get("layers_per_block", 2)
    if not isinstance(count, int):
        return {}
    for i, kind in enumerate(down):
        layers(f"down_blocks.{i}", kind, count, others=1)  # behind its ResNet
        place += 2 * (i < len(down) - 1)
    found[place + 1] = "mid_block.attentions.0"
    place += 3
    for i, kind in enumerate(up):
        layers(f"up_blocks.{i}", kind, count + 1, others=2)  # behind its pop and its ResNet
        place += i < len(up) - 1
    return found


def check(
    name: str,
    shapes: Mapping[str, tuple[int, ...]],
    *,
    model: str,
    pipeline: str,
    unet: Mapping[str, Any],
    weights: Mapping[str, tuple[int, ...]],
    part: str = "unet",
) -> None:
    """ModelError unless the tensors `shapes` of LoRA `name` fit what denoises in `model`.

    `pipeline` is diffusers' class that runs it, `unet` its UNet's configuration, {} if it has a
    transformer instead; `part` says which. `weights` are the denoiser's own, {} where they cannot
    be read without loading them.
    """
    halves = {key: shape for key, shape in renamed(shapes, unet).items() if is_half(key)}
    other = "transformer" if part == "unet" else "unet"
    if any(_KINDS[other].match(key) for key in halves):
        raise ModelError(
            f"lora={name}: made for a {other}, and {model} has a {part}; use a LoRA that was "
            "trained on a model of its kind",
            key="lora",
        )
    width = unet.get("cross_attention_dim")
    for key, shape in halves.items():
        wide = isinstance(width, int) and "attn2" in key and re.search("to_[kv]", key)
        if wide and is_down(key) and len(shape) > 1 and shape[1] != width:
            raise ModelError(
                f"lora={name}: made for a model with a text width of {shape[1]}, and that of "
                f"{model} is {width}; use a LoRA that was trained on a model of its kind",
                key="lora",
            )
    begin = _UNETS if part == "unet" else _TRANSFORMERS.get(pipeline, ("",))
    if foreign := next((key for key in halves if not key.startswith(begin)), ""):
        raise ModelError(
            f"lora={name}: has {foreign}, a name that {pipeline} does not know; use one in "
            "diffusers', kohya's or ComfyUI's format",
            key="lora",
        )
    known = dict(_modules(weights))
    if not known:
        return
    ours = ("unet.", "lora_unet_") if part == "unet" else ("transformer.",)
    named = [(key, shape) for key, shape in halves.items() if key.startswith(ours)]
    if not any("input_blocks" in key for key, _ in named):  # those names diffusers maps itself
        _check_modules(name, model, named, known)


def _check_modules(
    name: str,
    model: str,
    named: list[tuple[str, tuple[int, ...]]],
    known: Mapping[str, tuple[int, ...]],
) -> None:
    for key, shape in named:
        module = re.sub(r"^(unet\.|lora_unet_|transformer\.)", "", layer_of(key))
        own = known.get(module.replace(".", "_"))
        if own is None:
            raise ModelError(
                f"lora={name}: has {module}, which {model} does not have; it does not fit",
                key="lora",
            )
        if is_down(key) and shape[1:2] != own[1:2]:
            raise ModelError(
                f"lora={name}: {module} takes {shape[1]} values, but {own[1]} in {model}; it does "
                "not fit",
                key="lora",
            )


def _modules(weights: Mapping[str, tuple[int, ...]]) -> Iterator[tuple[str, tuple[int, ...]]]:
    for key, shape in weights.items():
        if key.endswith(".weight"):
            yield key.removesuffix(".weight").replace(".", "_"), shape

"""LoRAs with random weights, for the attention layers of a tiny model, in every format."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import save_file

RANK = 4
LAYERS = ("to_q", "to_k", "to_v", "to_out.0")
Pairs = dict[str, tuple[torch.Tensor, torch.Tensor]]

# The place of each attention of the tiny Stable Diffusion XL in DiffSynth's list of blocks, counted
# by hand: ResNet, push, down, push | ResNet, attention, push | ResNet, attention, ResNet | pop,
# ResNet, attention, pop, ResNet, attention, up | ...
DIFFSYNTH = {
    "down_blocks.1.attentions.0": 5,
    "mid_block.attentions.0": 8,
    "up_blocks.0.attentions.0": 12,
    "up_blocks.0.attentions.1": 15,
}


def pairs(folder: Path, model: Any = UNet2DConditionModel, part: str = "unet") -> Pairs:
    """(A, B) of each attention layer of the denoiser in `folder`, strong enough to be seen."""
    denoiser = model.from_pretrained(folder / part)
    generator = torch.Generator().manual_seed(3)
    found: Pairs = {}
    for name, module in denoiser.named_modules():
        if name.endswith(LAYERS) and isinstance(module, torch.nn.Linear):
            down = torch.randn(RANK, module.in_features, generator=generator) * 0.3
            up = torch.randn(module.out_features, RANK, generator=generator) * 0.3
            found[name] = (down, up)
    return found


def diffusers_format(layers: Pairs, folder: Path, part: str = "unet") -> Path:
    tensors = {}
    for name, (down, up) in layers.items():
        tensors[f"{part}.{name}.lora_A.weight"] = down
        tensors[f"{part}.{name}.lora_B.weight"] = up
    save_file(tensors, folder / "pytorch_lora_weights.safetensors")
    return folder  # as diffusers' training scripts leave it


def kohya(layers: Pairs, folder: Path) -> Path:
    tensors = {}
    for name, (down, up) in layers.items():
        key = "lora_unet_" + name.replace(".", "_")
        tensors[f"{key}.lora_down.weight"] = down
        tensors[f"{key}.lora_up.weight"] = up
        tensors[f"{key}.alpha"] = torch.tensor(float(RANK) / 2)
    path = folder / "kohya.safetensors"
    save_file(tensors, path)
    return path


def peft(layers: Pairs, folder: Path) -> Path:
    tensors = {}
    for name, (down, up) in layers.items():
        tensors[f"base_model.model.{name}.lora_A.weight"] = down
        tensors[f"base_model.model.{name}.lora_B.weight"] = up
    path = folder / "adapter_model.safetensors"
    save_file(tensors, path)
    return path


def lightning(layers: Pairs, folder: Path) -> Path:
    """A Lightning checkpoint of a module that has diffusers' pipeline as `pipe`."""
    tensors = {}
    for name, (down, up) in layers.items():
        tensors[f"pipe.unet.{name}.lora_A.default.weight"] = down
        tensors[f"pipe.unet.{name}.lora_B.default.weight"] = up
    path = folder / "epoch=0-step=500.ckpt"
    torch.save({"state_dict": tensors, "global_step": 500}, path)
    return path


def diffsynth(layers: Pairs, folder: Path) -> Path:
    """As DiffSynth-Studio's training scripts for Kolors and Stable Diffusion XL leave it."""
    tensors = {}
    for name, (down, up) in layers.items():
        block = next(block for block in DIFFSYNTH if name.startswith(f"{block}."))
        key = f"blocks.{DIFFSYNTH[block]}.{name.removeprefix(f'{block}.')}"
        key = key.removesuffix(".0") if key.endswith("to_out.0") else key
        tensors[f"{key}.lora_A.default.weight"] = down
        tensors[f"{key}.lora_B.default.weight"] = up
    path = folder / "epoch=0-step=500.ckpt"
    torch.save(tensors, path)
    return path


FORMATS: dict[str, Callable[[Pairs, Path], Path]] = {
    "diffusers": diffusers_format,
    "kohya": kohya,
    "peft": peft,
    "lightning": lightning,
    "diffsynth": diffsynth,
}


def with_text_encoder(path: Path, *, layers: int, width: int) -> Path:
    """kohya's file `path`, with a LoRA for a CLIP text encoder in it."""
    from safetensors.torch import load_file

    tensors = load_file(path)
    generator = torch.Generator().manual_seed(4)
    for layer, part in itertools.product(range(layers), ("q", "k", "v", "out")):
        key = f"lora_te_text_model_encoder_layers_{layer}_self_attn_{part}_proj"
        tensors[f"{key}.lora_down.weight"] = torch.randn(RANK, width, generator=generator)
        tensors[f"{key}.lora_up.weight"] = torch.randn(width, RANK, generator=generator)
        tensors[f"{key}.alpha"] = torch.tensor(float(RANK))
    save_file(tensors, path)
    return path

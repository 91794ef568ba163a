"""Single-file checkpoints, made of folders in diffusers' layout by naming their weights anew.

The names are CompVis's; the module that each stands for is read off their repository's classes.
"""

from __future__ import annotations

import re
from pathlib import Path

import torch
from safetensors.torch import load_file

from sdviz import models
from sdviz.models.families.whole_pipeline import WholePipeline
from sdviz.plan.config import ModelSpec
from sdviz.plan.settings import Recipe

Tensors = dict[str, torch.Tensor]

_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_UNET = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "encoder_hid_proj": "encoder_hid_proj",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
_VAE_ATTENTION = {
    "group_norm": "norm",
    "to_q": "q",
    "to_k": "k",
    "to_v": "v",
    "to_out.0": "proj_out",
}
_OPEN_CLIP = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}


def predictions(spec: ModelSpec) -> torch.Tensor:
    """What a model says of fixed noise, and the picture that its VAE makes of that."""
    denoiser = models.load(spec)
    assert not isinstance(denoiser, WholePipeline)
    texts = denoiser.texts(Recipe(prompt="a cat", negative="dogs", width=64, height=64))
    rows = denoiser.encode([text for text in texts if text is not None])
    noise = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        predicted = denoiser.predict(noise, torch.tensor([500.0, 20.0]), rows)
        return torch.cat([predicted.flatten(), denoiser.decode(predicted).flatten()])


def unet(folder: Path) -> Tensors:
    """The UNet alone, as it is in a file of more."""
    named = {_unet_name(name, 1): tensor for name, tensor in weights(folder / "unet").items()}
    return {f"model.diffusion_model.{name}": tensor for name, tensor in named.items()}


def checkpoint(folder: Path, *, text: str) -> Tensors:
    """All weights of a model in one; `text` is "clip", "open_clip", "both" for SDXL, or "none"."""
    tensors = unet(folder)
    tensors |= {f"first_stage_model.{name}": t for name, t in vae(folder / "vae").items()}
    if text == "none":
        return tensors
    if text == "clip":
        prefix = "cond_stage_model.transformer."
        return tensors | _clip(folder / "text_encoder", prefix)
    if text == "open_clip":
        return tensors | _open_clip(folder / "text_encoder", "cond_stage_model.model.")
    return (
        tensors
        | _clip(folder / "text_encoder", "conditioner.embedders.0.transformer.")
        | _open_clip(folder / "text_encoder_2", "conditioner.embedders.1.model.")
    )


def weights(folder: Path) -> Tensors:
    return load_file(next(folder.glob("*.safetensors")))


def _unet_name(name: str, layers: int) -> str:
    for ours, theirs in _UNET.items():
        if name.startswith(f"{ours}."):
            return theirs + name.removeprefix(ours)
    if found := re.match(r"mid_block\.(resnets|attentions)\.(\d)\.(.*)", name):
        place = 1 if found[1] == "attentions" else 2 * int(found[2])
        return f"middle_block.{place}.{_inner(found[1], found[3])}"
    found = re.match(r"(down|up)_blocks\.(\d)\.(\w+)\.(\d)\.(.*)", name)
    assert found, name
    side, block, kind, layer, rest = found[1], int(found[2]), found[3], int(found[4]), found[5]
    if kind == "downsamplers":
        return f"input_blocks.{(layers + 1) * (block + 1)}.0.op.{rest.removeprefix('conv.')}"
    if kind == "upsamplers":  # behind the ResNet and, in these models' first block, its attention
        return f"output_blocks.{(layers + 1) * block + layers}.2.{rest}"
    place = (layers + 1) * block + layer + (side == "down")
    where = "input_blocks" if side == "down" else "output_blocks"
    return f"{where}.{place}.{int(kind == 'attentions')}.{_inner(kind, rest)}"


def _inner(kind: str, rest: str) -> str:
    module, _, kind_of_weight = rest.rpartition(".")
    return rest if kind == "attentions" else f"{_RESNET[module]}.{kind_of_weight}"


def vae(folder: Path) -> Tensors:
    tensors = {}
    for name, tensor in weights(folder).items():
        new = _vae_name(name)
        if ".attn_1." in new and new.endswith("weight") and "norm" not in new:
            tensor = tensor[:, :, None, None]  # a 1x1 convolution, there
        tensors[new] = tensor.contiguous()
    return tensors


def _vae_name(name: str) -> str:
    name = name.replace("conv_shortcut", "nin_shortcut").replace("conv_norm_out", "norm_out")
    name = re.sub(r"down_blocks\.(\d)\.resnets\.", r"down.\1.block.", name)
    name = re.sub(r"down_blocks\.(\d)\.downsamplers\.0\.", r"down.\1.downsample.", name)
    name = re.sub(r"up_blocks\.(\d)\.resnets", lambda m: f"up.{3 - int(m[1])}.block", name)
    name = re.sub(r"up_blocks\.(\d)\.upsamplers\.0", lambda m: f"up.{3 - int(m[1])}.upsample", name)
    name = re.sub(r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}", name)
    if "mid_block.attentions.0." in name:
        head, tail = name.split("mid_block.attentions.0.")
        module, _, kind = tail.rpartition(".")
        name = f"{head}mid.attn_1.{_VAE_ATTENTION[module]}.{kind}"
    return name


def text_encoder(folder: Path) -> Tensors:
    """With the names of older transformers, which had everything under text_model."""
    return {
        name if name.startswith(("text_model.", "text_projection.")) else f"text_model.{name}": t
        for name, t in weights(folder).items()
    }


def _clip(folder: Path, prefix: str) -> Tensors:
    return {f"{prefix}{name}": tensor for name, tensor in text_encoder(folder).items()}


def _open_clip(folder: Path, prefix: str) -> Tensors:
    """OpenCLIP's names: query, key and value in one matrix, the projection transposed."""
    ours = text_encoder(folder)
    renamed: Tensors = {
        f"{prefix}token_embedding.weight": ours.pop("text_model.embeddings.token_embedding.weight"),
        f"{prefix}positional_embedding": ours.pop(
            "text_model.embeddings.position_embedding.weight"
        ),
    }
    for kind in ("weight", "bias"):
        renamed[f"{prefix}ln_final.{kind}"] = ours.pop(f"text_model.final_layer_norm.{kind}")
    if "text_projection.weight" in ours:
        projection = ours.pop("text_projection.weight").T.contiguous()
        renamed[f"{prefix}text_projection"] = projection
    together: dict[str, Tensors] = {}
    for name, tensor in ours.items():
        found = re.match(r"text_model\.encoder\.layers\.(\d+)\.(.*)\.(weight|bias)", name)
        if not found:
            assert "position_ids" in name, name
            continue
        block = f"{prefix}transformer.resblocks.{found[1]}."
        if part := re.match(r"self_attn\.([qkv])_proj", found[2]):
            together.setdefault(f"{block}attn.in_proj_{found[3]}", {})[part[1]] = tensor
        else:
            renamed[f"{block}{_OPEN_CLIP[found[2]]}.{found[3]}"] = tensor
    for name, parts in together.items():
        renamed[name] = torch.cat([parts[part] for part in "qkv"])
    return renamed

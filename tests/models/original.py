"""Single files of Stable Diffusion 3 and Flux, made of folders in diffusers' layout.

The names are those of Stability-AI/sd3-ref (mmdit.py) and black-forest-labs/flux (model.py), and of
ComfyUI for text encoders and VAE.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file

from tests.models import single

Tensors = dict[str, torch.Tensor]

_TOP = {
    "sd3": {
        "x_embedder.proj": "pos_embed.proj",
        "t_embedder.mlp.0": "time_text_embed.timestep_embedder.linear_1",
        "t_embedder.mlp.2": "time_text_embed.timestep_embedder.linear_2",
        "y_embedder.mlp.0": "time_text_embed.text_embedder.linear_1",
        "y_embedder.mlp.2": "time_text_embed.text_embedder.linear_2",
        "context_embedder": "context_embedder",
        "final_layer.linear": "proj_out",
        "final_layer.adaLN_modulation.1": "norm_out.linear",
    },
    "flux": {
        "img_in": "x_embedder",
        "txt_in": "context_embedder",
        "time_in.in_layer": "time_text_embed.timestep_embedder.linear_1",
        "time_in.out_layer": "time_text_embed.timestep_embedder.linear_2",
        "vector_in.in_layer": "time_text_embed.text_embedder.linear_1",
        "vector_in.out_layer": "time_text_embed.text_embedder.linear_2",
        "guidance_in.in_layer": "time_text_embed.guidance_embedder.linear_1",
        "guidance_in.out_layer": "time_text_embed.guidance_embedder.linear_2",
        "final_layer.linear": "proj_out",
        "final_layer.adaLN_modulation.1": "norm_out.linear",
    },
}
# Kind -> list of blocks in the file, in diffusers -> module -> those that stand above each other.
_BLOCKS: dict[str, dict[tuple[str, str], dict[str, str]]] = {
    "sd3": {
        ("joint_blocks", "transformer_blocks"): {
            "x_block.adaLN_modulation.1": "norm1.linear",
            "x_block.attn.qkv": "attn.to_q attn.to_k attn.to_v",
            "x_block.attn.ln_q": "attn.norm_q",
            "x_block.attn.ln_k": "attn.norm_k",
            "x_block.attn.proj": "attn.to_out.0",
            "x_block.attn2.qkv": "attn2.to_q attn2.to_k attn2.to_v",
            "x_block.attn2.ln_q": "attn2.norm_q",
            "x_block.attn2.ln_k": "attn2.norm_k",
            "x_block.attn2.proj": "attn2.to_out.0",
            "x_block.mlp.fc1": "ff.net.0.proj",
            "x_block.mlp.fc2": "ff.net.2",
            "context_block.adaLN_modulation.1": "norm1_context.linear",
            "context_block.attn.qkv": "attn.add_q_proj attn.add_k_proj attn.add_v_proj",
            "context_block.attn.ln_q": "attn.norm_added_q",
            "context_block.attn.ln_k": "attn.norm_added_k",
            "context_block.attn.proj": "attn.to_add_out",
            "context_block.mlp.fc1": "ff_context.net.0.proj",
            "context_block.mlp.fc2": "ff_context.net.2",
        }
    },
    "flux": {
        ("double_blocks", "transformer_blocks"): {
            "img_mod.lin": "norm1.linear",
            "img_attn.qkv": "attn.to_q attn.to_k attn.to_v",
            "img_attn.norm.query_norm": "attn.norm_q",
            "img_attn.norm.key_norm": "attn.norm_k",
            "img_attn.proj": "attn.to_out.0",
            "img_mlp.0": "ff.net.0.proj",
            "img_mlp.2": "ff.net.2",
            "txt_mod.lin": "norm1_context.linear",
            "txt_attn.qkv": "attn.add_q_proj attn.add_k_proj attn.add_v_proj",
            "txt_attn.norm.query_norm": "attn.norm_added_q",
            "txt_attn.norm.key_norm": "attn.norm_added_k",
            "txt_attn.proj": "attn.to_add_out",
            "txt_mlp.0": "ff_context.net.0.proj",
            "txt_mlp.2": "ff_context.net.2",
        },
        ("single_blocks", "single_transformer_blocks"): {
            "modulation.lin": "norm.linear",
            "linear1": "attn.to_q attn.to_k attn.to_v proj_mlp",
            "linear2": "proj_out",
            "norm.query_norm": "attn.norm_q",
            "norm.key_norm": "attn.norm_k",
        },
    },
}


def modules(kind: str, blocks: Mapping[str, int]) -> dict[str, list[str]]:
    """Module in the file -> those of diffusers; `blocks` counts each list of the file's."""
    found = {ours: [theirs] for ours, theirs in _TOP[kind].items()}
    for (ours, theirs), within in _BLOCKS[kind].items():
        for i in range(blocks[ours]):
            for module, others in within.items():
                names = [f"{theirs}.{i}.{other}" for other in others.split()]
                found[f"{ours}.{i}.{module}"] = names
    return found


def transformer(kind: str, tensors: Tensors) -> Tensors:
    """What denoises, by the names of its own repository."""
    left = dict(tensors)
    made: Tensors = {"pos_embed": left.pop("pos_embed.pos_embed")} if kind == "sd3" else {}
    blocks = {ours: sum(f"{theirs}.{i}.attn.to_q.weight" in tensors for i in range(99))
              for ours, theirs in _BLOCKS[kind]}  # fmt: skip
    last = f"joint_blocks.{blocks.get('joint_blocks', 0) - 1}.context_block.adaLN_modulation.1"
    for ours, theirs in modules(kind, blocks).items():
        for end in ("weight", "bias"):
            parts = [left.pop(f"{module}.{end}") for module in theirs if f"{module}.{end}" in left]
            if not parts:
                continue
            whole = torch.cat(parts)
            if ours in ("final_layer.adaLN_modulation.1", last):  # shift before scale, there
                whole = torch.cat(list(reversed(whole.chunk(2))))
            is_norm = kind == "flux" and ours.endswith("_norm")
            made[f"{ours}.{'scale' if is_norm else end}"] = whole
    assert not left, left.keys()
    return made


def checkpoint(kind: str, folder: Path, *, has: Sequence[str], prefix: str) -> Tensors:
    """A model in one file: what denoises behind `prefix`, and of vae, l, g and t5 what it `has`."""
    weights = load_file(folder / "transformer" / "diffusion_pytorch_model.safetensors")
    tensors = {f"{prefix}{name}": tensor for name, tensor in transformer(kind, weights).items()}
    if "vae" in has:
        first = "first_stage_model." if kind == "sd3" else "vae."
        tensors |= {f"{first}{name}": tensor for name, tensor in single.vae(folder / "vae").items()}
    encoders = {"l": "text_encoder", "g": "text_encoder_2",
                "t5": "text_encoder_3" if kind == "sd3" else "text_encoder_2"}  # fmt: skip
    places = {"l": "clip_l", "g": "clip_g", "t5": "t5xxl"}
    for one, component in encoders.items():
        if one not in has:
            continue
        first = f"text_encoders.{places[one]}.transformer."
        own = (
            single.text_encoder(folder / component)
            if one != "t5"
            else single.weights(folder / component)
        )
        tensors |= {f"{first}{name}": tensor for name, tensor in own.items()}
        tensors[f"text_encoders.{places[one]}.logit_scale"] = torch.tensor(4.6)
    if kind == "sd3":  # its CLIP-L is saved without a projection
        tensors.pop("text_encoders.clip_l.transformer.text_projection.weight", None)
    return {name: tensor.contiguous() for name, tensor in tensors.items()}

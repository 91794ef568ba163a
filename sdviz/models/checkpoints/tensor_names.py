"""The names in Stable Diffusion 3's and Flux's own files, as diffusers' names. No torch.

Read off their repositories (Stability-AI/sd3-ref, mmdit.py; black-forest-labs/flux, model.py) and
diffusers' converters. In those files query, key and value are one tensor, and the last modulation
has shift before scale, where diffusers has scale before shift: so a tensor by diffusers' name is
some rows of one in the file.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

Ranges = tuple[tuple[int, int], ...]  # of rows, [begin, end); () for all

PREFIX = "model.diffusion_model."  # of what denoises, where a file holds other parts too
_OTHER_PARTS = ("first_stage_model.", "vae.", "text_encoders.", "cond_stage_model.", "conditioner.")
_OF_BOTH = (
    "context_embedder.weight",
    "time_text_embed.text_embedder.linear_1.weight",
    "transformer_blocks.0.attn.add_q_proj.weight",
)
_OF_ONE = {
    "pos_embed.pos_embed": "sd3",
    "single_transformer_blocks.0.proj_mlp.weight": "flux",
}
_WEIGHTS = {"weight": "weight", "bias": "bias", "scale": "weight"}  # the last of Flux's norms
_SCALED = re.compile("scale_weight|weight_scale|scaled_fp8|comfy_quant|quant_state|absmax")
_LAST = "final_layer.adaLN_modulation.1"
_SHARES = (1, 1, 1, 4)  # of query, key, value and, where it is there, a feed-forward of four widths
_QKV = ("attn.to_q", "attn.to_k", "attn.to_v")
_ADDED_QKV = ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj")

# Module in the file -> modules of diffusers, which share its rows.
_MODULES: Mapping[str, tuple[str, ...]] = {
    "x_embedder.proj": ("pos_embed.proj",),
    "t_embedder.mlp.0": ("time_text_embed.timestep_embedder.linear_1",),
    "t_embedder.mlp.2": ("time_text_embed.timestep_embedder.linear_2",),
    "y_embedder.mlp.0": ("time_text_embed.text_embedder.linear_1",),
    "y_embedder.mlp.2": ("time_text_embed.text_embedder.linear_2",),
    "context_embedder": ("context_embedder",),
    "img_in": ("x_embedder",),
    "txt_in": ("context_embedder",),
    "time_in.in_layer": ("time_text_embed.timestep_embedder.linear_1",),
    "time_in.out_layer": ("time_text_embed.timestep_embedder.linear_2",),
    "vector_in.in_layer": ("time_text_embed.text_embedder.linear_1",),
    "vector_in.out_layer": ("time_text_embed.text_embedder.linear_2",),
    "guidance_in.in_layer": ("time_text_embed.guidance_embedder.linear_1",),
    "guidance_in.out_layer": ("time_text_embed.guidance_embedder.linear_2",),
    "final_layer.linear": ("proj_out",),
    "final_layer.adaLN_modulation.1": ("norm_out.linear",),
}
# The same within a block, and what diffusers calls the list of such blocks.
_BLOCKS: Mapping[str, tuple[str, Mapping[str, tuple[str, ...]]]] = {
    "joint_blocks": (
        "transformer_blocks",
        {
            "x_block.attn.qkv": _QKV,
            "x_block.attn.ln_q": ("attn.norm_q",),
            "x_block.attn.ln_k": ("attn.norm_k",),
            "x_block.attn.proj": ("attn.to_out.0",),
            "x_block.attn2.qkv": ("attn2.to_q", "attn2.to_k", "attn2.to_v"),
            "x_block.attn2.ln_q": ("attn2.norm_q",),
            "x_block.attn2.ln_k": ("attn2.norm_k",),
            "x_block.attn2.proj": ("attn2.to_out.0",),
            "x_block.adaLN_modulation.1": ("norm1.linear",),
            "x_block.mlp.fc1": ("ff.net.0.proj",),
            "x_block.mlp.fc2": ("ff.net.2",),
            "context_block.attn.qkv": _ADDED_QKV,
            "context_block.attn.ln_q": ("attn.norm_added_q",),
            "context_block.attn.ln_k": ("attn.norm_added_k",),
            "context_block.attn.proj": ("attn.to_add_out",),
            "context_block.adaLN_modulation.1": ("norm1_context.linear",),
            "context_block.mlp.fc1": ("ff_context.net.0.proj",),
            "context_block.mlp.fc2": ("ff_context.net.2",),
        },
    ),
    "double_blocks": (
        "transformer_blocks",
        {
            "img_mod.lin": ("norm1.linear",),
            "img_attn.qkv": _QKV,
            "img_attn.norm.query_norm": ("attn.norm_q",),
            "img_attn.norm.key_norm": ("attn.norm_k",),
            "img_attn.proj": ("attn.to_out.0",),
            "img_mlp.0": ("ff.net.0.proj",),
            "img_mlp.2": ("ff.net.2",),
            "txt_mod.lin": ("norm1_context.linear",),
            "txt_attn.qkv": _ADDED_QKV,
            "txt_attn.norm.query_norm": ("attn.norm_added_q",),
            "txt_attn.norm.key_norm": ("attn.norm_added_k",),
            "txt_attn.proj": ("attn.to_add_out",),
            "txt_mlp.0": ("ff_context.net.0.proj",),
            "txt_mlp.2": ("ff_context.net.2",),
        },
    ),
    "single_blocks": (
        "single_transformer_blocks",
        {
            "modulation.lin": ("norm.linear",),
            "linear1": (*_QKV, "proj_mlp"),
            "linear2": ("proj_out",),
            "norm.query_norm": ("attn.norm_q",),
            "norm.key_norm": ("attn.norm_k",),
        },
    ),
}
_OF_DIFFUSERS = re.compile(r"(\w*transformer_blocks)\.(\d+)\.(.*)")
_NOT_LAST = ("attn.to_add_out.", "ff_context.")  # in no last block of Stable Diffusion 3
_BLOCK = re.compile(rf"({'|'.join(_BLOCKS)})\.(\d+)\.(.*)")


@dataclass(frozen=True)
class Rows:
    """A tensor by diffusers' name: rows of the file's tensor `name`, one range behind another."""

    name: str
    ranges: Ranges = ()

    def shape(self, shapes: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
        whole = shapes[self.name]
        rows = sum(end - begin for begin, end in self.ranges)
        return (rows, *whole[1:]) if self.ranges else whole


def denoiser(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Rows]:
    """What denoises in a file, by diffusers' names; {} if it is no Stable Diffusion 3 or Flux.

    `shapes` are of all tensors in the file. A name that is in none of these tables stays: the file
    may have diffusers' names already.
    """
    own = [name for name in shapes if name.startswith(PREFIX)]
    names = own or [name for name in shapes if not name.startswith(_OTHER_PARTS)]
    bare = {name.removeprefix(PREFIX): name for name in names}
    last = last_joint_block(bare)
    found: dict[str, Rows] = {}
    for name, whole in bare.items():
        module, _, weight = name.rpartition(".")
        if name == "pos_embed":
            found["pos_embed.pos_embed"] = Rows(whole)
            continue
        if weight not in _WEIGHTS:
            found[name] = Rows(whole)
            continue
        for new, ranges in places(module, (*shapes[whole], 0)[0], last).items():
            found[f"{new}.{_WEIGHTS[weight]}"] = Rows(whole, ranges)
    return found if kind(found) else {}


def kind(names: Collection[str]) -> str:
    """sd3, flux or "", by diffusers' names."""
    if not all(name in names for name in _OF_BOTH):
        return ""
    return next((kind for name, kind in _OF_ONE.items() if name in names), "")


def last_joint_block(names: Iterable[str]) -> int:
    """The number of Stable Diffusion 3's last block; -1 of other models."""
    blocks = (_BLOCK.match(name) for name in names)
    return max((int(b[2]) for b in blocks if b and b[1] == "joint_blocks"), default=-1)


def places(module: str, rows: int, last: int) -> dict[str, Ranges]:
    """By diffusers' name of each module that shares the `rows` rows of the file's, its own of them.

    `last` is the number of the last joint block, whose modulation of the text is a last one too.
    """
    block = _BLOCK.fullmatch(module)
    under, table, own = "", _MODULES, module
    if block:
        under, table = f"{_BLOCKS[block[1]][0]}.{block[2]}.", _BLOCKS[block[1]][1]
        own = block[3]
    modules = table.get(own, ())
    if module in (_LAST, f"joint_blocks.{last}.context_block.adaLN_modulation.1"):
        return {under + modules[0]: ((rows // 2, rows), (0, rows // 2))}
    if len(modules) < 2:
        return {under + modules[0] if modules else module: ()}
    shares = _SHARES[: len(modules)]
    ends = [rows * part // sum(shares) for part in itertools.accumulate(shares)]
    ranges = zip([0, *ends], ends, strict=False)
    return {under + new: (one,) for new, one in zip(modules, ranges, strict=False)}


def gap(found: Collection[str]) -> str:
    """A tensor, by diffusers' name, that a block lacks and others like it have; "" if none."""
    lists: dict[str, dict[int, set[str]]] = {}
    for name in found:
        if block := _OF_DIFFUSERS.fullmatch(name):
            lists.setdefault(block[1], {}).setdefault(int(block[2]), set()).add(block[3])
    for under, blocks in lists.items():
        last = max(blocks)
        every = {name for names in blocks.values() for name in names if "attn2." not in name}
        for i in range(last + 1):
            ends = i == last and kind(found) == "sd3"  # its text is not needed any further
            lacking = sorted(every - blocks.get(i, set()))
            lacking = [name for name in lacking if not (ends and name.startswith(_NOT_LAST))]
            if lacking:
                return f"{under}.{i}.{lacking[0]}"
    return ""


def with_dots(name: str) -> str:
    """The module whose name `name` is with underscores for its dots; "" if there is none."""
    for blocks, (_, table) in _BLOCKS.items():
        if found := re.fullmatch(rf"{blocks}_(\d+)_(\w+)", name):
            own = next((module for module in table if module.replace(".", "_") == found[2]), "")
            return f"{blocks}.{found[1]}.{own}" if own else ""
    return next((module for module in _MODULES if module.replace(".", "_") == name), "")


def strange(found: Mapping[str, Rows], shapes: Iterable[str]) -> str:
    """A tensor that the models do not have, such as the factors of scaled numbers; "" if none.

    `found` is what denoises, `shapes` all that is in the file.
    """
    if scaled := next((name for name in shapes if _SCALED.search(name)), ""):
        return scaled
    if not any(_BLOCK.match(rows.name.removeprefix(PREFIX)) for rows in found.values()):
        return ""  # diffusers' names
    kept = (rows.name for new, rows in found.items() if rows.name.removeprefix(PREFIX) == new)
    return next((name for name in kept if "context_embedder." not in name), "")

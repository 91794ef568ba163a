"""The configurations of Stable Diffusion 3's and Flux's parts, by the shapes of their weights.

No torch. What shapes do not tell is as published: the configurations of
stabilityai/stable-diffusion-3-medium-diffusers, stable-diffusion-3.5-medium and -large,
black-forest-labs/FLUX.1-dev and FLUX.1-schnell, and the numbers in Stability-AI/sd3-ref (depth
heads of one width) and black-forest-labs/flux (util.py).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from sdviz.errors import ModelError

Shapes = Mapping[str, tuple[int, ...]]
Config = dict[str, Any]

_LATENT = 128  # rows and columns of the latents that all of them were trained on last
_HEAD = 64  # width of a head of CLIP's
_ROPE = (2, 7, 7)  # sixteenths of a head that tell the text's, the row's and the column's place
_FACTORS = {"sd3": (1.5305, 0.0609), "flux": (0.3611, 0.1159)}  # of latents: scale and shift
_ACTIVATION = {"clip_l": "quick_gelu", "clip_g": "gelu"}


def transformer(kind: str, shapes: Shapes, *, name: str) -> Config:
    """Of what denoises; `shapes` by diffusers' names. ModelError, which names `name`."""
    made = _sd3(shapes) if kind == "sd3" else _flux(shapes, name)
    width, channels = made["num_attention_heads"] * made["attention_head_dim"], made["in_channels"]
    if width != shapes["proj_out.weight"][1]:
        raise ModelError(
            f"model={name}: its layers are {width} wide, which no head divides evenly", key="model"
        )
    if channels != made["out_channels"]:
        raise ModelError(
            f"model={name}: takes {channels} channels and gives {made['out_channels']}: it needs a "
            "picture besides the text (Fill, Depth, Canny ...); sdviz runs only text-to-image "
            "models",
            key="model",
        )
    return made


def _sd3(shapes: Shapes) -> Config:
    width, channels, patch, _ = shapes["pos_embed.proj.weight"]
    blocks = _count(shapes, "transformer_blocks")
    normed = shapes.get("transformer_blocks.0.attn.norm_q.weight")
    head = normed[0] if normed else width // blocks  # as many heads as blocks, in all of them
    places = math.isqrt(shapes["pos_embed.pos_embed"][1])
    return {
        "_class_name": "SD3Transformer2DModel",
        "sample_size": min(_LATENT, places * patch),
        "pos_embed_max_size": places,
        "patch_size": patch,
        "in_channels": channels,
        "out_channels": shapes["proj_out.weight"][0] // patch**2,
        "num_layers": blocks,
        "attention_head_dim": head,
        "num_attention_heads": width // head,
        "qk_norm": "rms_norm" if normed else None,
        "dual_attention_layers": [
            i for i in range(blocks) if f"transformer_blocks.{i}.attn2.to_q.weight" in shapes
        ],
        **_text(shapes),
        "caption_projection_dim": shapes["context_embedder.weight"][0],
    }


def _flux(shapes: Shapes, name: str) -> Config:
    width, channels = shapes["x_embedder.weight"]
    head = shapes["transformer_blocks.0.attn.norm_q.weight"][0]
    if head % 32:
        raise ModelError(
            f"model={name}: its heads are {head} wide, and sdviz knows their positions only for "
            "multiples of 32; name a model of its kind in diffusers' layout with "
            "model.config=<folder>",
            key="model",
        )
    guided = "time_text_embed.guidance_embedder.linear_1.weight" in shapes
    return {
        "_class_name": "FluxTransformer2DModel",
        "patch_size": 1,
        "in_channels": channels,
        "out_channels": shapes["proj_out.weight"][0],
        "num_layers": _count(shapes, "transformer_blocks"),
        "num_single_layers": _count(shapes, "single_transformer_blocks"),
        "attention_head_dim": head,
        "num_attention_heads": width // head,
        **_text(shapes),
        "guidance_embeds": guided,  # dev has them, schnell has not
        "axes_dims_rope": [head * part // 16 for part in _ROPE],
    }


def _text(shapes: Shapes) -> Config:
    """The widths of the texts that it takes."""
    return {
        "joint_attention_dim": shapes["context_embedder.weight"][1],
        "pooled_projection_dim": shapes["time_text_embed.text_embedder.linear_1.weight"][1],
    }


def scheduler(kind: str, denoiser: Mapping[str, Any]) -> Config:
    """Of the published model; `denoiser` is its configuration."""
    common = {"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000}
    if kind == "sd3":
        return {**common, "shift": 3.0}
    moving = bool(denoiser.get("guidance_embeds"))
    return {
        **common,
        "shift": 3.0 if moving else 1.0,
        "use_dynamic_shifting": moving,
        "base_shift": 0.5,
        "max_shift": 1.15,
        "base_image_seq_len": 256,
        "max_image_seq_len": 4096,
    }


def vae(kind: str, shapes: Shapes) -> Config:
    """Of the AutoencoderKL whose `shapes` have CompVis's names."""
    levels = _count(shapes, "encoder.down")
    scale, shift = _FACTORS[kind]
    return {
        "_class_name": "AutoencoderKL",
        "block_out_channels": [
            shapes[f"encoder.down.{i}.block.0.conv1.weight"][0] for i in range(levels)
        ],
        "down_block_types": ["DownEncoderBlock2D"] * levels,
        "up_block_types": ["UpDecoderBlock2D"] * levels,
        "layers_per_block": _count(shapes, "encoder.down.0.block"),
        "latent_channels": shapes["decoder.conv_in.weight"][1],
        "norm_num_groups": 32,
        "sample_size": 1024,
        "scaling_factor": scale,
        "shift_factor": shift,
        "use_quant_conv": "quant_conv.weight" in shapes,
        "use_post_quant_conv": "post_quant_conv.weight" in shapes,
        "force_upcast": True,
    }


def clip(which: str, shapes: Shapes) -> Config:
    """Of clip_l or clip_g; `shapes` by transformers' names, with text_model in front."""
    vocabulary, width = shapes["text_model.embeddings.token_embedding.weight"]
    return {
        "model_type": "clip_text_model",
        "hidden_size": width,
        "intermediate_size": shapes["text_model.encoder.layers.0.mlp.fc1.weight"][0],
        "num_hidden_layers": _count(shapes, "text_model.encoder.layers"),
        "num_attention_heads": width // _HEAD,
        "hidden_act": _ACTIVATION[which],
        # The pooled text of CLIP-L goes on as it is: its projection changes nothing.
        "projection_dim": shapes["text_projection.weight"][0] if which == "clip_g" else width,
        "max_position_embeddings": shapes["text_model.embeddings.position_embedding.weight"][0],
        "vocab_size": vocabulary,
        "bos_token_id": vocabulary - 2,
        "eos_token_id": vocabulary - 1,
        "pad_token_id": 1,
    }


def t5(shapes: Shapes) -> Config:
    """Of the encoder of a T5 (version 1.1); `shapes` by transformers' names."""
    vocabulary, width = shapes["shared.weight"]
    layer = "encoder.block.0.layer"
    buckets, heads = shapes[f"{layer}.0.SelfAttention.relative_attention_bias.weight"]
    gated = f"{layer}.1.DenseReluDense.wi_0.weight"
    feed = shapes[gated if gated in shapes else f"{layer}.1.DenseReluDense.wi.weight"]
    return {
        "model_type": "t5",
        "vocab_size": vocabulary,
        "d_model": width,
        "d_kv": shapes[f"{layer}.0.SelfAttention.q.weight"][0] // heads,
        "d_ff": feed[0],
        "num_layers": _count(shapes, "encoder.block"),
        "num_heads": heads,
        "relative_attention_num_buckets": buckets,
        "relative_attention_max_distance": 128,
        "feed_forward_proj": "gated-gelu" if gated in shapes else "relu",
        "layer_norm_epsilon": 1e-6,
        "tie_word_embeddings": False,
        "is_encoder_decoder": False,
        "use_cache": False,
        "pad_token_id": 0,
        "eos_token_id": 1,
    }


def _count(shapes: Shapes, under: str) -> int:
    """How many numbers stand behind `under` in the names."""
    numbers = re.compile(rf"{re.escape(under)}\.(\d+)\.")
    return len({found[1] for name in shapes if (found := numbers.match(name))})

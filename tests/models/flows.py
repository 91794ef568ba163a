"""Tiny Stable Diffusion 3 and Flux models, as they come in single files: what shapes do not
tell of them (heads, groups, factors) is as in the published ones.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
)
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    T5Config,
    T5EncoderModel,
)

from tests import families, tiny

WIDTHS = {"l": 64, "g": 128, "t5": 192}  # of the text encoders; a head of CLIP's has 64


def clip(words: Any, which: str, **more: Any) -> CLIPTextConfig:
    width = WIDTHS[which]
    return CLIPTextConfig(
        vocab_size=len(words),
        hidden_size=width,
        projection_dim=width,
        intermediate_size=40,
        num_attention_heads=width // 64,
        num_hidden_layers=2,
        hidden_act="gelu" if which == "g" else "quick_gelu",
        bos_token_id=words.bos_token_id,
        eos_token_id=words.eos_token_id,
        **more,
    )


def t5(vocabulary: int) -> T5EncoderModel:
    return T5EncoderModel(
        T5Config(
            vocab_size=vocabulary,
            d_model=WIDTHS["t5"],
            d_kv=16,
            d_ff=48,
            num_layers=2,
            num_heads=2,
            feed_forward_proj="gated-gelu",
        )
    )


def vae(scale: float, shift: float) -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(32,) * 4,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        use_quant_conv=False,
        use_post_quant_conv=False,
        scaling_factor=scale,
        shift_factor=shift,
    )


def sd3(folder: Path, *, newer: bool = False) -> Path:
    """A Stable Diffusion 3, or 3.5 Medium if `newer`, with T5."""
    torch.manual_seed(5)
    words, pieces = tiny.tokenizer(folder / "tokenizer"), families.t5_tokenizer()
    later: dict[str, Any] = {"qk_norm": "rms_norm", "dual_attention_layers": (0,)}
    bangs = tiny.tokenizer(folder / "tokenizer_2")
    bangs.pad_token = "!"  # as OpenCLIP pads
    first = CLIPTextModelWithProjection(clip(words, "l"))
    torch.nn.init.eye_(first.text_projection.weight)  # as published
    StableDiffusion3Pipeline(
        transformer=SD3Transformer2DModel(
            sample_size=8,
            patch_size=2,
            in_channels=4,
            out_channels=4,
            num_layers=2,
            attention_head_dim=16,
            num_attention_heads=2,
            caption_projection_dim=32,
            joint_attention_dim=WIDTHS["t5"],
            pooled_projection_dim=WIDTHS["l"] + WIDTHS["g"],
            pos_embed_max_size=16,
            **(later if newer else {}),
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=vae(1.5305, 0.0609),
        text_encoder=first,
        text_encoder_2=CLIPTextModelWithProjection(clip(words, "g")),
        text_encoder_3=t5(len(pieces)),
        tokenizer=words,
        tokenizer_2=bangs,
        tokenizer_3=pieces,
    ).save_pretrained(folder)
    return folder


def flux(folder: Path, *, guided: bool = False) -> Path:
    """A Flux.1 schnell, or dev if `guided`."""
    torch.manual_seed(6)
    words, pieces = tiny.tokenizer(folder / "tokenizer"), families.t5_tokenizer()
    FluxPipeline(
        transformer=FluxTransformer2DModel(
            in_channels=16,
            num_layers=2,
            num_single_layers=2,
            attention_head_dim=32,
            num_attention_heads=2,
            joint_attention_dim=WIDTHS["t5"],
            pooled_projection_dim=WIDTHS["l"],
            guidance_embeds=guided,
            axes_dims_rope=(4, 14, 14),
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(
            shift=3.0 if guided else 1.0, use_dynamic_shifting=guided
        ),
        vae=vae(0.3611, 0.1159),
        text_encoder=CLIPTextModel(clip(words, "l")),
        text_encoder_2=t5(len(pieces)),
        tokenizer=words,
        tokenizer_2=pieces,
    ).save_pretrained(folder)
    return folder

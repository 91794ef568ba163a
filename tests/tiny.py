"""Tiny models with random weights, in diffusers' own layouts, made in well under a second each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderTiny,
    PNDMScheduler,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

# Stable Diffusion 1's own scheduler configuration.
SCHEDULER = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
}


def tokenizer(folder: Path) -> CLIPTokenizer:
    """A CLIP tokenizer whose only tokens are single characters."""
    folder.mkdir(parents=True, exist_ok=True)
    characters = "abcdefghijklmnopqrstuvwxyz0123456789,.:;!?'\"-+()[]<>/"
    tokens = [*characters, *(f"{c}</w>" for c in characters), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return CLIPTokenizer.from_pretrained(folder, model_max_length=77)


def clip_config(words: CLIPTokenizer, width: int, layers: int = 2) -> CLIPTextConfig:
    """Of a CLIP text encoder for the vocabulary `words`."""
    return CLIPTextConfig(
        vocab_size=len(words),
        hidden_size=width,
        projection_dim=width,
        intermediate_size=37,
        num_attention_heads=4,
        num_hidden_layers=layers,
        bos_token_id=words.bos_token_id,
        eos_token_id=words.eos_token_id,
    )


def vae(channels: int = 4, **more: Any) -> AutoencoderKL:
    """Eight times smaller latents of `channels`, as Stable Diffusion's."""
    return AutoencoderKL(
        block_out_channels=(16, 16, 32, 32),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=channels,
        norm_num_groups=8,
        **more,
    )


def stable_diffusion(
    folder: Path, *, prediction: str = "epsilon", cross_attention: int = 32, tiny_vae: bool = False
) -> Path:
    """A Stable Diffusion 1 (or 2, by `cross_attention=1024`) of 64x64 pixels, saved to `folder`."""
    torch.manual_seed(0)
    scheduler: dict[str, Any] = {**SCHEDULER, "prediction_type": prediction}
    words = tokenizer(folder / "tokenizer")
    text_encoder = CLIPTextModel(clip_config(words, cross_attention))
    unet = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(32, 64),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=cross_attention,
        attention_head_dim=2,
    )
    liven(unet)
    StableDiffusionPipeline(
        vae=vae(),
        text_encoder=text_encoder,
        tokenizer=words,
        unet=unet,
        scheduler=PNDMScheduler(**scheduler),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)
    if tiny_vae:
        AutoencoderTiny(
            encoder_block_out_channels=(8, 8, 8, 8), decoder_block_out_channels=(8, 8, 8, 8)
        ).save_pretrained(folder / "vae_tiny")
    return folder


@torch.no_grad()
def liven(unet: UNet2DConditionModel) -> None:
    """Random weights heed neither text nor timestep; these do, so that a mix-up of rows shows."""
    for name, module in unet.named_modules():
        if name.endswith(("attn2.to_v", "attn2.to_out.0", "time_emb_proj")):
            module.weight.mul_(6)
    unet.conv_out.weight.mul_(4)

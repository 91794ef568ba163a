"""A Stable Diffusion 1.5 of its true size with random weights: as slow and large as it is."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
from diffusers import AutoencoderKL, PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from sdviz.models.checkpoints import layouts
from sdviz.models.files.places import MINIATURE


def true_size(folder: Path, dtype: torch.dtype) -> Path:
    """Weights of the published model's shapes, saved to `folder`: 2 GB in half precision.

    Its words are those of the miniature.
    """
    known = layouts.KINDS["sd1"]
    shutil.copytree(MINIATURE / "tokenizer", folder / "tokenizer")
    torch.set_default_dtype(dtype)
    try:
        pipeline = StableDiffusionPipeline(
            unet=UNet2DConditionModel.from_config(dict(known["unet"])),
            vae=AutoencoderKL.from_config(dict(known["vae"])),
            text_encoder=CLIPTextModel(CLIPTextConfig(**known["text_encoder"])),
            tokenizer=CLIPTokenizer.from_pretrained(folder / "tokenizer"),
            scheduler=PNDMScheduler.from_config(dict(known["scheduler"])),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
    finally:
        torch.set_default_dtype(torch.float32)
    pipeline.save_pretrained(folder)
    return folder

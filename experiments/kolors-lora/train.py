"""A small LoRA for the miniature, so that the study runs where no Kolors and no LoRA of it is."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from diffusers import DDPMScheduler, StableDiffusionPipeline
from numpy.typing import NDArray
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict

from experiments.miniature.captions import caption
from experiments.miniature.paint import draw
from experiments.miniature.world import training_scene
from sdviz.models.files.places import MINIATURE

RANK = 16
_LAYERS = ["to_q", "to_k", "to_v", "to_out.0", "conv1", "conv2"]
_INKS = ((45, 20, 90), (235, 90, 120), (255, 240, 205))  # violet, pink, paper


def train(folder: Path, *, steps: int, batch: int = 16) -> Path:
    """Teaches a print in two inks, which the miniature has never seen; the LoRA's file.

    Hu et al., LoRA: Low-Rank Adaptation of Large Language Models (2021), on the attention and the
    convolutions of the UNet, with the loss that the UNet was trained with.
    """
    file = folder / f"print-{steps}.safetensors"
    if file.is_file():
        return file
    torch.manual_seed(0)
    pipe = StableDiffusionPipeline.from_pretrained(MINIATURE).to(torch.float32)
    noises = DDPMScheduler.from_config(pipe.scheduler.config)
    pipe.unet.requires_grad_(False)
    pipe.unet.add_adapter(LoraConfig(r=RANK, lora_alpha=RANK, target_modules=_LAYERS))
    weights = [p for p in pipe.unet.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=2e-3)
    rng = random.Random(0)
    for _ in range(steps):
        latents, words = _batch(pipe, rng, batch)
        noise = torch.randn_like(latents)
        times = torch.randint(0, noises.config.num_train_timesteps, (batch,))
        noisy = noises.add_noise(latents, noise, times)
        predicted = pipe.unet(noisy, times, words).sample
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(predicted, noise).backward()
        optimizer.step()
    folder.mkdir(parents=True, exist_ok=True)
    layers = get_peft_model_state_dict(pipe.unet)
    StableDiffusionPipeline.save_lora_weights(
        folder, unet_lora_layers=layers, weight_name=file.name, safe_serialization=True
    )
    return file


@torch.no_grad()
def _batch(
    pipe: StableDiffusionPipeline, rng: random.Random, size: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Latents (size, 4, h, w) of prints; embeddings of their captions, the style not named."""
    scenes = [replace(training_scene(rng), style="photograph") for _ in range(size)]
    pixels = torch.stack([torch.from_numpy(duotone(draw(s))).permute(2, 0, 1) for s in scenes])
    latents = pipe.vae.encode(pixels.float() / 127.5 - 1).latent_dist.mean
    tokens = pipe.tokenizer(
        ["" if rng.random() < 0.1 else caption(scene, rng) for scene in scenes],  # for guidance
        padding="max_length",
        truncation=True,
        max_length=77,
        return_tensors="pt",
    )
    return latents * pipe.vae.config.scaling_factor, pipe.text_encoder(tokens.input_ids)[0]


def duotone(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture (H, W, 3) as printed in two inks on cream paper: its lightness is their mix."""
    light = pixels @ np.array([0.299, 0.587, 0.114])
    inks = np.array(_INKS, float)
    return np.stack(
        [np.interp(light, (0, 110, 255), inks[:, channel]) for channel in range(3)], axis=-1
    ).astype(np.uint8)

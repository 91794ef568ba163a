"""A small LoRA for the miniature, so that the study runs where no Kolors and no LoRA of it is."""

from __future__ import annotations

import random
from pathlib import Path

import torch
from diffusers import DDPMScheduler, StableDiffusionPipeline
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict

from experiments.miniature.captions import caption
from experiments.miniature.paint import draw
from experiments.miniature.world import Scene, training_scene
from sdviz.models.places import MINIATURE

STYLE = "drawing"
RANK = 8


def train(folder: Path, *, steps: int, batch: int = 16) -> Path:
    """Teaches the style of drawings without its name in the prompt; the LoRA's file.

    Hu et al., LoRA: Low-Rank Adaptation of Large Language Models (2021), on the attention of the
    UNet, with the loss that the UNet was trained with.
    """
    file = folder / f"{STYLE}-{steps}.safetensors"
    if file.is_file():
        return file
    torch.manual_seed(0)
    pipe = StableDiffusionPipeline.from_pretrained(MINIATURE).to(torch.float32)
    noises = DDPMScheduler.from_config(pipe.scheduler.config)
    pipe.unet.requires_grad_(False)
    targets = ["to_q", "to_k", "to_v", "to_out.0"]
    pipe.unet.add_adapter(LoraConfig(r=RANK, lora_alpha=RANK, target_modules=targets))
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
    """Latents (size, 4, h, w) of drawings; embeddings of their captions, the style not named."""
    scenes = [training_scene(rng) for _ in range(size)]
    drawings = [draw(Scene(**{**vars(scene), "style": STYLE})) for scene in scenes]
    pixels = torch.stack([torch.from_numpy(drawing).permute(2, 0, 1) for drawing in drawings])
    latents = pipe.vae.encode(pixels.float() / 127.5 - 1).latent_dist.mean
    plain = [caption(Scene(**{**vars(scene), "style": "photograph"}), rng) for scene in scenes]
    tokens = pipe.tokenizer(
        plain, padding="max_length", truncation=True, max_length=77, return_tensors="pt"
    )
    return latents * pipe.vae.config.scaling_factor, pipe.text_encoder(tokens.input_ids)[0]

"""How far the denoiser is off, by the level of noise: what few-step samplers depend on."""

from __future__ import annotations

import numpy as np
import torch
from diffusers import DDIMScheduler

from experiments.miniature.autoencoder import latent_mean
from experiments.miniature.captions import full
from experiments.miniature.data import fresh_scenes
from experiments.miniature.folder import Folder
from experiments.miniature.paint import draw

TIMESTEPS = (999, 950, 900, 800, 700, 500, 300, 100, 20)


@torch.no_grad()
def errors(folder: Folder, count: int = 192, batch: int = 32) -> list[dict[str, float]]:
    """By training timestep: the errors of the predicted clean latent x0 on fresh pictures.

    `caption` and `no caption` are root mean squares; a latent's own is about 1, and where noise is
    strong most of the error is what no caption tells. `bias` is the root mean square of the error
    averaged over all pictures: what the denoiser gets wrong of every picture alike.
    """
    scenes = [scene for scene in fresh_scenes(2 * count, "noise") if not scene.held_out][:count]
    vae, unet = folder.pipeline.vae, folder.pipeline.unet
    drawn = latent_mean(vae, np.stack([draw(scene) for scene in scenes]))
    clean = torch.from_numpy(drawn).float() * vae.config.scaling_factor
    scheduler = DDIMScheduler.from_config(folder.pipeline.scheduler.config)
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    rows = []
    for timestep in TIMESTEPS:
        alpha = scheduler.alphas_cumprod[timestep]
        noisy = alpha.sqrt() * clean + (1 - alpha).sqrt() * noise
        row: dict[str, float] = {"timestep": timestep}
        for name, texts in (("caption", [full(s) for s in scenes]), ("no caption", [""] * count)):
            made = []
            for at in range(0, count, batch):
                part = slice(at, at + batch)
                output = unet(noisy[part], timestep, folder.words(texts[part])).sample
                made.append(predicted(scheduler, output, noisy[part], alpha))
            error = torch.cat(made) - clean
            row[name] = float(error.square().mean().sqrt())
            if name == "caption":
                row["bias"] = float(error.mean(0).square().mean().sqrt())
        rows.append(row)
    return rows


def predicted(
    scheduler: DDIMScheduler, output: torch.Tensor, noisy: torch.Tensor, alpha: torch.Tensor
) -> torch.Tensor:
    """x0 of the UNet's output, by what the model predicts."""
    if scheduler.config.prediction_type == "v_prediction":
        return alpha.sqrt() * noisy - (1 - alpha).sqrt() * output
    return (noisy - (1 - alpha).sqrt() * output) / alpha.sqrt()

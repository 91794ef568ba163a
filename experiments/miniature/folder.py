"""The shipped folder, loaded as anyone would load it, and the scenes to ask it for."""

import random
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from diffusers import EulerDiscreteScheduler, StableDiffusionPipeline
from transformers import CLIPModel

from experiments.miniature.autoencoder import to_pictures
from experiments.miniature.unet import Words, denoise
from experiments.miniature.world import Scene, measured_scene


@dataclass
class Folder:
    """The shipped folder, loaded in float32, and a way to make pictures with it."""

    path: Path

    def __post_init__(self) -> None:
        self.pipeline = StableDiffusionPipeline.from_pretrained(
            str(self.path), local_files_only=True
        )
        self.clip = CLIPModel.from_pretrained(self.path / "clip").eval()
        self.words = Words(self.pipeline.text_encoder, self.pipeline.tokenizer)

    @torch.no_grad()
    def pictures(
        self,
        prompts: list[str],
        seeds: list[int],
        *,
        cfg: float = 5.0,
        steps: int = 30,
        negatives: list[str] | None = None,
        sampler: type = EulerDiscreteScheduler,
        batch: int = 32,
        fast: bool = True,
        **options: object,
    ) -> np.ndarray:
        """uint8 (n, 128, 128, 3) from prompts, by Euler unless another sampler is given."""
        made = []
        for at in range(0, len(prompts), batch):
            part = slice(at, at + batch)
            scheduler = sampler.from_config(self.pipeline.scheduler.config, **options)
            latents = denoise(
                self.pipeline.unet,
                self.words,
                prompts[part],
                seeds[part],
                cfg=cfg,
                steps=steps,
                negatives=negatives[part] if negatives else None,
                scheduler=scheduler,
                fast=fast,
            )
            vae = self.pipeline.vae
            with torch.autocast("cpu", torch.bfloat16, enabled=fast):
                images = vae.decode(latents / vae.config.scaling_factor).sample
            made.append(to_pictures(images))
        return np.concatenate(made)


def prompt_scenes(count: int, name: str, held_out: bool | None = None) -> list[Scene]:
    """Scenes to ask for: every fact told, in photograph style."""
    rng = random.Random(f"measure {name}")
    scenes = [measured_scene(rng, held_out) for _ in range(count)]
    return [replace(scene, style="photograph") for scene in scenes]

"""The shipped folders, loaded as anyone would load them, and the scenes to ask them for."""

import random
from dataclasses import dataclass, replace
from pathlib import Path

import diffusers
import numpy as np
import torch
from diffusers import StableDiffusion3Pipeline, StableDiffusionPipeline
from transformers import CLIPModel

from experiments.miniature.autoencoder import to_pictures
from experiments.miniature.unet import Words, denoise
from experiments.miniature.world import Scene, measured_scene
from sdviz.plan import samplers


@dataclass
class Folder:
    """The miniature, loaded in float32, and a way to make pictures with it."""

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
        sampler: str = "Euler",
        batch: int = 32,
        fast: bool = True,
    ) -> np.ndarray:
        """uint8 (n, 128, 128, 3) from prompts; `sampler` as in sdviz, `fast` in bfloat16."""
        made = []
        for at in range(0, len(prompts), batch):
            part = slice(at, at + batch)
            method = samplers.resolve(sampler)
            scheduler = getattr(diffusers, method.scheduler).from_config(
                self.pipeline.scheduler.config, **method.kwargs
            )
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


#: diffusers' samplers of flow-matching models.
FLOW_SAMPLERS = {
    "Euler": diffusers.FlowMatchEulerDiscreteScheduler,
    "Heun": diffusers.FlowMatchHeunDiscreteScheduler,
}


@dataclass
class FlowFolder:
    """The flow-matching miniature, loaded in float32, and a way to make pictures with it."""

    path: Path

    def __post_init__(self) -> None:
        self.pipeline = StableDiffusion3Pipeline.from_pretrained(
            str(self.path), local_files_only=True
        )
        self.pipeline.set_progress_bar_config(disable=True)
        self.scheduler = self.pipeline.scheduler.config

    @torch.no_grad()
    def pictures(
        self,
        prompts: list[str],
        seeds: list[int],
        *,
        cfg: float = 4.0,
        steps: int = 30,
        negatives: list[str] | None = None,
        sampler: str = "Euler",
        shift: float | None = None,
        batch: int = 16,
        fast: bool = True,
    ) -> np.ndarray:
        """uint8 (n, 128, 128, 3), as `Folder.pictures`; `shift` None is the model's own."""
        made = []
        options = {} if shift is None else {"shift": shift}
        for at in range(0, len(prompts), batch):
            part = slice(at, at + batch)
            self.pipeline.scheduler = FLOW_SAMPLERS[sampler].from_config(self.scheduler, **options)
            with torch.autocast("cpu", torch.bfloat16, enabled=fast):
                images = self.pipeline(
                    prompts[part],
                    negative_prompt=negatives[part] if negatives else None,
                    guidance_scale=cfg,
                    num_inference_steps=steps,
                    generator=[torch.Generator().manual_seed(seed) for seed in seeds[part]],
                    output_type="pt",
                ).images
            made.append(to_pictures(images * 2 - 1))
        return np.concatenate(made)


def prompt_scenes(count: int, name: str, held_out: bool | None = None) -> list[Scene]:
    """Scenes to ask for: every fact told, in photograph style."""
    rng = random.Random(f"measure {name}")
    scenes = [measured_scene(rng, held_out) for _ in range(count)]
    return [replace(scene, style="photograph") for scene in scenes]

"""Cells computed without a command line, and diffusers' own pipelines beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from sdviz.events import Event
from sdviz.pictures import image_input
from sdviz.plan import samplers
from sdviz.plan.config import InitImage, PreviewConfig
from sdviz.plan.settings import Recipe
from tests.engine.sweeping import in_cells, pictures, sweep

Pixels = NDArray[np.uint8]
SIZE = {"model": "tested", "width": 64, "height": 64}


def recipe(**settings: Any) -> Recipe:
    return Recipe(**{**SIZE, "prompt": "a cat", "cfg": 5.0, "steps": 4, "seed": 7, **settings})


def events(
    recipes: Sequence[Recipe], folder: Path, inits: Mapping[str, Path | InitImage] | None = None
) -> list[Event]:
    found = {
        name: known(path) if isinstance(path, Path) else path
        for name, path in (inits or {}).items()
    }
    preview = PreviewConfig(decoder="rgb")
    return sweep(in_cells(recipes), folder=folder, preview=preview, inits=found)


def known(path: Path) -> InitImage:
    return InitImage(path=str(path), pixels=image_input.identity(image_input.read(path, "init")))


def made(
    recipes: Sequence[Recipe], folder: Path, inits: Mapping[str, Path | InitImage] | None = None
) -> list[Pixels]:
    """The pictures, all computed side by side."""
    done = pictures(events(recipes, folder, inits))
    return [done[i] for i in range(len(recipes))]


def apart(a: Pixels, b: Pixels) -> int:
    """The greatest difference of any pixel, of 255."""
    return int(np.abs(a.astype(int) - b).max())


class Pipelines:
    """diffusers' own pipelines over one model."""

    def __init__(self, folder: Path) -> None:
        self.text: Any = diffusers.StableDiffusionPipeline.from_pretrained(
            folder, safety_checker=None
        )
        self.image: Any = diffusers.StableDiffusionImg2ImgPipeline(**self.text.components)
        self._config = self.text.scheduler.config

    def __call__(self, one: Recipe, *, image: Any = None, latent: bool = False, **more: Any) -> Any:
        """The picture of a recipe, or its latent; with `image` by the img2img pipeline."""
        sampler = samplers.resolve(one.sampler)
        kwargs = sampler.kwargs
        if sampler.method.seeded:
            kwargs["noise_sampler_seed"] = one.seed
        pipeline = self.text if image is None else self.image
        scheduler = getattr(diffusers, sampler.scheduler).from_config(self._config, **kwargs)
        pipeline.register_modules(scheduler=scheduler)
        pipeline.set_progress_bar_config(disable=True)
        place = {"width": one.width, "height": one.height} if image is None else {"image": image}
        arguments = {
            "prompt": one.prompt,
            "negative_prompt": one.negative or None,
            "guidance_scale": one.cfg,
            "num_inference_steps": one.steps,
            "generator": torch.Generator("cpu").manual_seed(one.seed),
            "output_type": "latent" if latent else "pil",
            **place,
            **({} if image is None else {"strength": one.strength}),
            **more,
        }
        (result,) = pipeline(**arguments).images
        return result[None] if latent else np.asarray(result)


def picture(path: Path, *, width: int = 64, height: int = 64, seed: int = 0) -> Path:
    """A file with patches of colour."""
    patches = np.random.default_rng(seed).integers(0, 255, (5, 7, 3), dtype=np.uint8)
    Image.fromarray(patches).resize((width, height), Image.Resampling.BICUBIC).save(path)
    return path

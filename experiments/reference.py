"""What diffusers' own pipeline makes of a recipe: the reference of parity, and of speed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from numpy.typing import NDArray

from sdviz.plan import samplers
from sdviz.plan.settings import Recipe

# diffusers' callback_on_step_end: (pipeline, step, timestep, tensors) -> tensors to put in place.
Watch = Callable[[Any, int, Any, dict[str, Any]], dict[str, Any]]


class Reference:
    """diffusers' pipeline over a model's folder."""

    def __init__(
        self,
        folder: Path,
        pipeline: Any = StableDiffusionPipeline,
        *,
        device: str = "cpu",
        dtype: str = "float32",
    ) -> None:
        unchecked = {"safety_checker": None} if pipeline is StableDiffusionPipeline else {}
        self._pipeline: Any = pipeline.from_pretrained(folder, **unchecked)
        self._pipeline.to(device, getattr(torch, dtype))
        self._pipeline.set_progress_bar_config(disable=True)
        self._original = self._pipeline.scheduler.config

    def wear(self, lora: Path) -> None:
        """Loads a LoRA, which `image` then takes at any scale."""
        self._pipeline.load_lora_weights(lora, adapter_name="lora")

    def image(
        self, recipe: Recipe, *, lora_scale: float | None = None, watch: Watch | None = None
    ) -> NDArray[np.uint8]:
        """(H, W, 3) of a recipe, its scheduler made by from_config of the original one.

        `watch` is called after every step.
        """
        if lora_scale is not None:
            self._pipeline.set_adapters(["lora"], [lora_scale])
        sampler = samplers.resolve(recipe.sampler)
        kwargs = sampler.kwargs
        if sampler.method.seeded:
            kwargs["noise_sampler_seed"] = recipe.seed
        scheduler = getattr(diffusers, sampler.scheduler)
        self._pipeline.scheduler = scheduler.from_config(self._original, **kwargs)
        result = self._pipeline(
            recipe.prompt,
            negative_prompt=recipe.negative or None,
            guidance_scale=recipe.cfg,
            num_inference_steps=recipe.steps,
            width=recipe.width,
            height=recipe.height,
            **({"eta": recipe.eta} if recipe.eta is not None else {}),
            generator=torch.Generator("cpu").manual_seed(recipe.seed),
            callback_on_step_end=watch,
        )
        return np.asarray(result.images[0])

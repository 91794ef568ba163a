"""Single files of Stable Diffusion 3 and Flux in the forms that people have, of tiny models; cells,
and what diffusers' own pipeline makes of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from sdviz.plan.cells import Cell
from sdviz.plan.settings import Recipe
from tests.engine.sweeping import by_pipeline
from tests.models import flows, original

Pictures = dict[int, NDArray[np.uint8]]
Tensors = dict[str, torch.Tensor]
CLASSES = {"sd3": "SD3Transformer2DModel", "flux": "FluxTransformer2DModel"}
WHOLE = "model.diffusion_model."  # what denoises, in a file that has more


@dataclass(frozen=True)
class Form:
    """A file as people have it."""

    family: str
    has: str  # beside what denoises
    prefix: str
    base: bool = True  # is there a model.base?
    t5: bool = True


FORMS = {
    "sd3_medium": Form("sd3", "vae", WHOLE),
    "sd3_medium_incl_clips": Form("sd3", "vae l g", WHOLE, base=False, t5=False),
    "sd3_medium_incl_clips_t5xxl": Form("sd3", "vae l g t5", WHOLE),
    "sd3.5_medium": Form("sd35", "vae", WHOLE),
    "sd3.5_medium_incl_clips_t5xxl": Form("sd35", "vae l g t5", WHOLE),
    "flux1-schnell": Form("schnell", "", ""),
    "flux1-dev": Form("dev", "", ""),
    "flux1-dev_diffusion_model": Form("dev", "", WHOLE),
    "flux1-dev_all_in_one": Form("dev", "vae l t5", WHOLE),
}
MAKE: dict[str, Callable[[Path], Path]] = {
    "sd3": flows.sd3,
    "sd35": lambda folder: flows.sd3(folder, newer=True),
    "schnell": flows.flux,
    "dev": lambda folder: flows.flux(folder, guided=True),
}


def kind(family: str) -> str:
    return "sd3" if family.startswith("sd") else "flux"


def saved(form: Form, folder: Path, file: Path) -> Path:
    tensors = original.checkpoint(
        kind(form.family), folder, has=form.has.split(), prefix=form.prefix
    )
    save_file(tensors, file)
    return file


def cells(**settings: Any) -> list[Cell]:
    recipes = [
        Recipe(model="tested", prompt=prompt, cfg=4.0, sampler="Euler", steps=2, seed=seed,
               width=64, height=64, **settings)
        for seed, prompt in enumerate(("a cat, sitting", "red dogs"))
    ]  # fmt: skip
    return [Cell(i, (i,), one, str(i)) for i, one in enumerate(recipes)]


def of_diffusers(
    form: Form, folder: Path, lora: Path | None = None, scale: float = 1.0
) -> Pictures:
    """By its own pipeline, over the folder."""
    pipeline = getattr(
        diffusers, "StableDiffusion3Pipeline" if kind(form.family) == "sd3" else "FluxPipeline"
    )
    without = {} if form.t5 else {"text_encoder_3": None, "tokenizer_3": None}
    pipe = pipeline.from_pretrained(folder, **without)
    pipe.set_progress_bar_config(disable=True)
    if lora is not None:
        pipe.load_lora_weights(lora, adapter_name="lora")
        pipe.set_adapters(["lora"], [scale])
    return {cell.index: by_pipeline(pipe, cell.recipe) for cell in cells()}

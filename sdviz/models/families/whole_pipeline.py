"""Any other text-to-image pipeline of diffusers, unmodified: its loop, its guidance, its own tail.

What passes through its scheduler is watched on the way, so a frame can show the predicted clean
latent x0 of Flux, Qwen-Image or PixArt too. The engine runs many of them side by side: each cell
has a copy of the pipeline whose modules the engine has replaced (`apart`).
"""

from __future__ import annotations

import copy
import functools
import importlib
import inspect
import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import diffusers
import numpy as np
import torch
from diffusers import ModelMixin
from diffusers.schedulers.scheduling_utils import SchedulerOutput
from transformers import PreTrainedModel

from sdviz.errors import CellError
from sdviz.models.families import schedulers
from sdviz.models.families.schedulers import EulerAncestral
from sdviz.models.info import ModelInfo
from sdviz.models.sources import Folder, Parts
from sdviz.plan import samplers
from sdviz.plan.config import ModelSpec
from sdviz.plan.settings import Recipe

_FLOW = {"Euler": "FlowMatchEulerDiscreteScheduler", "Heun": "FlowMatchHeunDiscreteScheduler"}


@dataclass(frozen=True)
class Evaluation:
    """One pass through the scheduler. Latents are as the pipeline has them, for Flux packed."""

    number: int  # from 0
    timestep: float
    x0: torch.Tensor  # the predicted clean latent
    latents: torch.Tensor  # after the scheduler's step
    sigma: float  # noise left after it, sqrt((1 - abar) / abar)


class WholePipeline:
    """A pipeline of diffusers with its parts, in memory."""

    def __init__(
        self,
        pipeline: Any,
        info: ModelInfo,
        *,
        device: str,
        dtype: torch.dtype,
        prediction: str = "auto",
    ) -> None:
        """`prediction` is as in ModelSpec."""
        self.pipeline = pipeline
        self.name: str = info.pipeline
        self.notes = info.notes
        self.device = device
        self.dtype = dtype
        self.vae = getattr(pipeline, "vae", None)
        # What denoises: a transformer, in most.
        self.unet = getattr(pipeline, "transformer", None) or getattr(pipeline, "unet", None)
        self._published = type(pipeline.scheduler)
        self._original: Mapping[str, Any] = pipeline.scheduler.config
        if prediction != "auto":
            self._original = {**self._original, "prediction_type": prediction}
        self._is_flow = info.is_flow
        self._guidance = info.guidance

    def make_pipeline(self) -> Any:
        """For LoRAs."""
        return self.pipeline

    def apart(self, stand_in: Callable[[str, torch.nn.Module], Any]) -> WholePipeline:
        """A copy for one cell. Its modules are `stand_in(name, module)`; tokenizers are shared, and
        what keeps state from step to step (schedulers, guiders) is its own.
        """
        twin = copy.copy(self)
        twin.pipeline = copy.copy(self.pipeline)
        for name, part in self.pipeline.components.items():
            if isinstance(part, torch.nn.Module):
                object.__setattr__(twin.pipeline, name, stand_in(name, part))
            elif hasattr(part, "config") and ("scheduler" in name or "guider" in name):
                object.__setattr__(twin.pipeline, name, copy.deepcopy(part))
        return twin

    @torch.inference_mode()
    def generate(
        self,
        recipe: Recipe,
        watch: Callable[[Evaluation], None],
        encoded: Callable[[], None] = lambda: None,
    ) -> torch.Tensor:
        """The image (3, H, W), float32, -1..1, of `recipe`; `watch` sees every evaluation, and
        `encoded` is called before the first, when the texts have been encoded.
        """
        scheduler = self._scheduler(recipe)
        scheduler.step = self._watched(scheduler, watch)
        scheduler.set_timesteps = _after(encoded, scheduler.set_timesteps)
        return self._run(recipe, scheduler)

    @torch.inference_mode()
    def tail(self, recipe: Recipe, latents: torch.Tensor) -> torch.Tensor:
        """The image (3, H, W), float32, -1..1, that the pipeline makes of `latents`, which are as
        its scheduler has them.

        It is the pipeline itself, with a scheduler whose only step gives these latents: so what it
        does before it decodes (unpacking, scaling, statistics of its VAE) is done by its own code.
        """
        scheduler = self._scheduler(recipe)
        scheduler.set_timesteps = _last_alone(scheduler, scheduler.set_timesteps)
        scheduler.step = _gives(latents, scheduler.step)
        return self._run(recipe, scheduler)

    def _run(self, recipe: Recipe, scheduler: Any) -> torch.Tensor:
        object.__setattr__(self.pipeline, "scheduler", scheduler)
        # Of pixels that are denoised themselves, "pt" means -1..1 to some pipelines.
        kind = "np" if self.vae is None else "pt"
        image = self.pipeline(**self._arguments(recipe), output_type=kind)[0][0]
        if isinstance(image, np.ndarray):
            image = torch.from_numpy(image).permute(2, 0, 1)
        unit: torch.Tensor = image.float().cpu()
        return unit * 2 - 1

    def _scheduler(self, recipe: Recipe) -> Any:
        sampler = samplers.resolve(recipe.sampler)
        # A shift that is given takes the place of one that depends on the size, as Flux's does.
        given = {"shift": recipe.shift, "use_dynamic_shifting": False}
        shifted = {} if recipe.shift is None else given
        if sampler.method_name == samplers.NATIVE:
            return self._published.from_config(self._original, **shifted)
        if not self._is_flow:
            scheduler = schedulers.build(sampler, self._original, steps=recipe.steps)
            if isinstance(scheduler, EulerAncestral) and recipe.eta is None:
                # Pipelines give every scheduler that takes an eta that of DDIM, 0.
                scheduler = diffusers.EulerAncestralDiscreteScheduler.from_config(self._original)
            if sampler.method.seeded:
                scheduler.noise_sampler_seed = recipe.seed
            return scheduler
        return getattr(diffusers, _FLOW[sampler.name]).from_config(self._original, **shifted)

    def _arguments(self, recipe: Recipe) -> dict[str, Any]:
        """What the pipeline takes of a recipe, by its own argument names."""
        arguments: dict[str, Any] = {
            "prompt": recipe.prompt,
            "num_inference_steps": recipe.steps,
            "width": recipe.width,
            "height": recipe.height,
            "generator": torch.Generator("cpu").manual_seed(recipe.seed),
        }
        knob = self._guidance
        if knob.argument:
            arguments[knob.argument] = recipe.cfg
        else:
            for name, part in self.pipeline.components.items():
                if "guider" in name and part is not None:
                    part.guidance_scale = recipe.cfg
        if recipe.negative or (knob.blank and recipe.cfg > 1):
            arguments["negative_prompt"] = recipe.negative or " "
        if recipe.eta is not None:
            arguments["eta"] = recipe.eta
        taken = inspect.signature(self.pipeline.__call__).parameters
        if "intermediate_timesteps" in taken and recipe.steps != 2:
            arguments["intermediate_timesteps"] = None  # Sana Sprint has it at two steps alone
        unknown = [name for name in arguments if name not in taken]
        if unknown:
            raise CellError(f"{self.name} takes no {' and no '.join(unknown)}")
        return arguments

    def _watched(self, scheduler: Any, watch: Callable[[Evaluation], None]) -> Any:
        """`scheduler.step`, with every evaluation shown to `watch`."""
        step = scheduler.step
        number = 0

        @functools.wraps(step)
        def watched(
            output: torch.Tensor, timestep: Any, sample: torch.Tensor, *rest: Any, **more: Any
        ) -> Any:
            nonlocal number
            if not number and hasattr(scheduler, "set_begin_index"):
                scheduler.set_begin_index(0)  # as the engine does; see schedulers.build
            x0 = self._clean(scheduler, output, timestep, sample)
            stepped = step(output, timestep, sample, *rest, **more)
            after = stepped[0] if isinstance(stepped, tuple) else stepped.prev_sample
            if x0 is None:
                x0 = _predicted(stepped, after)
            sigma = self._noise_left(scheduler, number + 1)
            watch(Evaluation(number, float(timestep), x0, after, sigma))
            number += 1
            return stepped

        return watched

    def _clean(
        self, scheduler: Any, output: torch.Tensor, timestep: Any, sample: torch.Tensor
    ) -> torch.Tensor | None:
        """x0 out of the model's guided output; None where only the scheduler's step tells it.

        Flow matching (Lipman et al. 2023): x = (1 - t) x0 + t noise and v = noise - x0, so
        x0 = x - t v. Otherwise as sdviz.models.families.schedulers.clean.
        """
        output, sample = output.float(), sample.float()
        if output.ndim == 4 and output.shape[1] == 2 * sample.shape[1]:
            output = output.chunk(2, dim=1)[0]  # without the variance that it has learnt
        if hasattr(scheduler, "precondition_outputs"):  # EDM's (Karras et al. 2022)
            sigma = scheduler.sigmas[scheduler.step_index or 0]
            edm: torch.Tensor = scheduler.precondition_outputs(sample, output, sigma)
            return edm
        if _is_flow(scheduler):
            sigma = scheduler.sigmas[scheduler.step_index or 0].to(sample.device)
            # Some count sigma from the noise (OmniGen, Lumina): 1 is then the clean latent.
            left = sigma - 1 if scheduler.config.get("invert_sigmas", False) else sigma
            flow: torch.Tensor = sample - left * output
            return flow
        kind = scheduler.config.get("prediction_type", "epsilon")
        if kind not in schedulers.PREDICTIONS:  # its formula is the scheduler's own
            return None
        sigma = torch.tensor(schedulers.sigma(scheduler, timestep), device=sample.device)
        x: torch.Tensor = scheduler.scale_model_input(sample, timestep)
        return schedulers.clean(x, output, sigma, kind)

    def _noise_left(self, scheduler: Any, evaluation: int) -> float:
        if evaluation >= len(scheduler.timesteps):
            return 0.0
        if hasattr(scheduler, "precondition_outputs"):
            return float(scheduler.sigmas[evaluation])
        if scheduler.config.get("prediction_type") == "trigflow":  # Lu and Song 2024: an angle
            return math.tan(min(float(scheduler.timesteps[evaluation]), math.pi / 2 - 1e-6))
        if not _is_flow(scheduler):
            return schedulers.sigma(scheduler, scheduler.timesteps[evaluation])
        share = float(scheduler.sigmas[min(evaluation, len(scheduler.sigmas) - 1)])
        if scheduler.config.get("invert_sigmas", False):
            share = 1 - share
        return share / (1 - share) if share < 1 else float("inf")


def _predicted(stepped: Any, after: torch.Tensor) -> torch.Tensor:
    """The clean latent that a scheduler's step gives beside the next one; the next one if none."""
    if isinstance(stepped, tuple):
        beside = stepped[1] if len(stepped) > 1 else None
    else:
        names = ("pred_original_sample", "denoised")
        beside = next((getattr(stepped, name) for name in names if hasattr(stepped, name)), None)
    if isinstance(beside, torch.Tensor) and beside.shape == after.shape:
        return beside.float()
    return after.float()


def _after(call: Callable[[], None], function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, which calls `call` first; pipelines look at its arguments."""

    @functools.wraps(function)
    def both(*given: Any, **more: Any) -> Any:
        call()
        return function(*given, **more)

    return both


def _last_alone(scheduler: Any, function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, which sets timesteps, of which only the last is left."""

    @functools.wraps(function)
    def shortened(*given: Any, **more: Any) -> Any:
        function(*given, **more)
        scheduler.timesteps = scheduler.timesteps[-1:]
        if hasattr(scheduler, "set_begin_index"):
            scheduler.set_begin_index(0)

    return shortened


def _gives(latents: torch.Tensor, function: Callable[..., Any]) -> Callable[..., Any]:
    """A scheduler's `step` that gives these latents, whatever it is asked."""

    @functools.wraps(function)
    def step(output: Any, timestep: Any, sample: torch.Tensor, *rest: Any, **more: Any) -> Any:
        result = latents.to(sample.device, sample.dtype)
        if more.get("return_dict", True):
            return SchedulerOutput(prev_sample=result)
        return result, result

    return step


def _is_flow(scheduler: Any) -> bool:
    """Does it step along a straight flow, x = (1 - sigma) x0 + sigma noise?"""
    config = scheduler.config
    return (
        type(scheduler).__name__.startswith("FlowMatch")
        or bool(config.get("use_flow_sigmas", False))
        or config.get("prediction_type") == "flow_prediction"
    )


def load(source: Folder, info: ModelInfo, spec: ModelSpec) -> WholePipeline:
    """The pipeline in a folder, or of one file and what else it needs."""
    made = getattr(diffusers, info.pipeline)
    with warnings.catch_warnings():  # the name that older versions know, too
        warnings.filterwarnings("ignore", message="`torch_dtype` is deprecated")
        warnings.filterwarnings("ignore", category=FutureWarning)  # diffusers' own, of its modules
        if isinstance(source, Parts):
            pipeline = made(**source.everything())
        else:
            pipeline = _from_folder(made, source, spec)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.to(source.device)
    return WholePipeline(
        pipeline, info, device=source.device, dtype=source.dtype, prediction=spec.prediction
    )


def _from_folder(made: Any, source: Folder, spec: ModelSpec) -> Any:
    options: dict[str, Any] = {"variant": spec.variant} if spec.variant else {}
    if not spec.trust_pickle:
        options["use_safetensors"] = True
    taken = inspect.signature(made.__init__).parameters
    # sdviz has a safety checker and a watermark of its own, and both are settings.
    alone = {"safety_checker": None, "requires_safety_checker": False, "add_watermarker": False,
             "watermarker": None}  # fmt: skip
    options |= {name: value for name, value in alone.items() if name in taken}
    for name, kind in source.json("model_index.json").items():
        if name in alone or not isinstance(kind, list):
            continue
        if kind == [None, None]:  # saved without it, as Stable Diffusion 3 often is without T5
            options[name] = None
        elif kind[0] in ("diffusers", "transformers") and name in taken:
            cls = getattr(importlib.import_module(kind[0]), str(kind[1]), None)
            if isinstance(cls, type) and issubclass(cls, (ModelMixin, PreTrainedModel)):
                options[name] = source.component(cls, name)
    return made.from_pretrained(
        source.path, torch_dtype=source.dtype, local_files_only=True, **options
    )

"""Scheduler objects, made for each cell from the model's own configuration."""

from __future__ import annotations

import copy
import inspect
import math
import warnings
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import torch
from diffusers import EulerAncestralDiscreteScheduler
from diffusers.utils.torch_utils import randn_tensor

from sdviz.plan.samplers import Sampler

_KEPT = 64  # prepared schedulers
PREDICTIONS = ("epsilon", "v_prediction", "sample")  # what models predict that `clean` knows


class Schedulers:
    """Makes a scheduler for each cell: they keep state from step to step, so none is shared.

    Building one costs milliseconds (DPM2 works out a thousand timesteps for nothing), copying one a
    tenth of that.
    """

    def __init__(self, scheduler_config: Mapping[str, Any]) -> None:
        """`scheduler_config` must be the model's original one: a configuration that went through
        another class has lost what that class had only as a default."""
        # Half of diffusers' schedulers do not take predictions of x0: the engine converts those.
        taken = {"prediction_type": "epsilon"} if _predicts_sample(scheduler_config) else {}
        self._config = {**scheduler_config, **taken}
        self._prepared: OrderedDict[tuple[str, int], Any] = OrderedDict()

    def make(self, sampler: Sampler, *, steps: int, seed: int, skipped: int = 0) -> Any:
        """The diffusers scheduler of `sampler`, ready for step `skipped` (from 0) of `steps`."""
        wanted = (sampler.name, steps)
        if wanted not in self._prepared:
            self._prepared[wanted] = build(sampler, self._config, steps=steps)
        self._prepared.move_to_end(wanted)
        if len(self._prepared) > _KEPT:
            self._prepared.popitem(last=False)
        scheduler = copy.deepcopy(self._prepared[wanted])
        if sampler.method.seeded:
            scheduler.noise_sampler_seed = seed
        if skipped and hasattr(scheduler, "set_begin_index"):
            scheduler.set_begin_index(skipped * scheduler.order)
        return scheduler


def _predicts_sample(scheduler_config: Mapping[str, Any]) -> bool:
    return scheduler_config.get("prediction_type") == "sample"


def build(sampler: Sampler, scheduler_config: Mapping[str, Any], *, steps: int) -> Any:
    """The diffusers scheduler of `sampler` over the model's own configuration."""
    import diffusers

    cls = getattr(diffusers, sampler.scheduler)
    if cls is diffusers.EulerAncestralDiscreteScheduler:
        cls = EulerAncestral
    known = inspect.signature(cls.__init__).parameters
    own = {k: v for k, v in scheduler_config.items() if k in known or k == "_use_default_values"}
    scheduler = cls.from_config(own, **sampler.kwargs)
    scheduler.set_timesteps(steps)
    if hasattr(scheduler, "set_begin_index"):
        # Left to itself it looks the first timestep up, and goes wrong where rounding has made the
        # first two equal: the Beta schedule does from 40 steps on.
        scheduler.set_begin_index(0)
    if sampler.method.seeded:
        # torchsde complains of its own rounding, by 1e-7 of a step.
        warnings.filterwarnings("ignore", message="Should have t", module="torchsde")
    return scheduler


def step_arguments(scheduler: Any, generator: torch.Generator, eta: float | None) -> dict[str, Any]:
    """What `scheduler.step` takes beside prediction, timestep and sample."""
    taken = inspect.signature(scheduler.step).parameters
    arguments: dict[str, Any] = {"return_dict": False}
    if "generator" in taken:
        arguments["generator"] = generator
    if "eta" in taken and eta is not None:
        arguments["eta"] = eta
    return arguments


def timesteps(scheduler: Any, skipped: int) -> torch.Tensor:
    """The timesteps that remain after `skipped` steps, as diffusers' img2img pipeline counts."""
    remaining: torch.Tensor = scheduler.timesteps[skipped * scheduler.order :]
    return remaining


def noised(
    scheduler: Any, remaining: torch.Tensor, clean: torch.Tensor | None, noise: torch.Tensor
) -> torch.Tensor:
    """What the scheduler starts from at the first of the `remaining` timesteps.

    `noise` (1, c, h, w) alone, or `clean` noised as much as that timestep asks for.
    """
    latents: torch.Tensor
    if clean is None:
        latents = noise * scheduler.init_noise_sigma
    else:
        latents = scheduler.add_noise(clean, noise, remaining[:1])
    return latents


def shares(sigma: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(sqrt(abar), sqrt(1 - abar)): how much of x is the clean latent, and how much is noise."""
    alpha = (sigma.square() + 1).rsqrt()
    return alpha, torch.where(sigma.isinf(), torch.ones_like(sigma), sigma * alpha)


def clean(
    x: torch.Tensor, prediction: torch.Tensor, sigma: torch.Tensor, prediction_type: str
) -> torch.Tensor:
    """x0 out of the model's guided prediction at noise level `sigma`, which broadcasts.

    x = alpha x0 + beta noise, variance-preserving, and for v-prediction v = alpha noise - beta x0
    (Salimans and Ho 2022, appendix D).
    """
    alpha, beta = shares(sigma)
    if prediction_type == "epsilon":
        return (x - beta * prediction) / alpha
    if prediction_type == "v_prediction":
        return alpha * x - beta * prediction
    assert prediction_type == "sample", prediction_type
    return prediction


def sigma(scheduler: Any, timestep: torch.Tensor) -> float:
    """The noise level sqrt((1 - abar) / abar) of the evaluation that is due at `timestep`.

    Infinite where nothing of the picture is left, at the first timestep of a zero terminal SNR.
    """
    # Those that keep latents in sigma's own scale divide them by sqrt(sigma^2 + 1) for the model;
    # what they divide by tells the level of half a step as well (DPM2, DPM++ SDE).
    scale = float(scheduler.scale_model_input(torch.ones(()), timestep))
    if scale != 1:
        return math.sqrt(max(0.0, scale**-2 - 1))
    sigmas = getattr(scheduler, "sigmas", None)
    if sigmas is None:  # DDIM, PNDM, LCM, DDPM: integer timesteps of the training schedule
        abar = float(scheduler.alphas_cumprod[int(timestep)])
        return math.sqrt((1 - abar) / abar) if abar else math.inf  # zero terminal SNR
    index = scheduler.step_index
    if index is None:  # before the first step
        index = scheduler.begin_index
    return float(sigmas[index])


class EulerAncestral(EulerAncestralDiscreteScheduler):  # type: ignore[misc]
    """diffusers' scheduler; a step with `eta` takes that share of the noise.

    Without it (None) a step is diffusers' own. At 0 nothing is drawn, and Euler's sampler is left.
    Source: k-diffusion, sampling.get_ancestral_step.
    """

    def step(
        self,
        model_output: torch.Tensor,
        timestep: float | torch.Tensor,
        sample: torch.Tensor,
        generator: torch.Generator | None = None,
        return_dict: bool = True,
        eta: float | None = None,
    ) -> Any:
        before = sample.float()
        state = generator.get_state() if generator else None
        plain = super().step(model_output, timestep, sample, generator, return_dict=True)
        if eta is None:
            return plain if return_dict else (plain.prev_sample, plain.pred_original_sample)
        sigma, following = self.sigmas[self.step_index - 1], self.sigmas[self.step_index]
        up = (following**2 * (sigma**2 - following**2) / sigma**2) ** 0.5
        up = torch.minimum(following, eta * up)
        down = (following**2 - up**2) ** 0.5
        slope = (before - plain.pred_original_sample) / sigma
        if generator and state is not None:
            generator.set_state(state)  # the same noise again
        noise = randn_tensor(before.shape, generator=generator, device=before.device)
        moved = (before + slope * (down - sigma) + noise * up).to(sample.dtype)
        return (moved, plain.pred_original_sample)

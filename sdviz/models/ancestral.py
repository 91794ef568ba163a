"""Euler's ancestral sampler with an `eta`, which diffusers' has not."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import EulerAncestralDiscreteScheduler
from diffusers.utils.torch_utils import randn_tensor


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

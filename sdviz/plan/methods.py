"""One table: A1111's methods and their schedules, with the diffusers scheduler of each. No torch.

It follows the one in diffusers' documentation (api/schedulers/overview).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# How often a sampler evaluates the denoiser in n steps: diffusers' `len(scheduler.timesteps)`.
ONCE = "once"  # n
TWICE = "twice"  # 2n - 1: the step that ends at sigma 0 needs no second evaluation
PLMS = "plms"  # n + 1: the first step is evaluated twice, to start the multistep method

SCHEDULES: dict[str, dict[str, Any]] = {
    "Karras": {"use_karras_sigmas": True},
    "Exponential": {"use_exponential_sigmas": True, "timestep_spacing": "linspace"},
    "Beta": {"use_beta_sigmas": True, "timestep_spacing": "linspace"},
    "SGM Uniform": {"timestep_spacing": "trailing"},
}
_ALL = ("Karras", "Exponential", "Beta", "SGM Uniform")
_SIGMAS = ("Karras", "Exponential", "Beta")
_SPACING = ("SGM Uniform",)


@dataclass(frozen=True, kw_only=True)
class Method:
    """One row of the table: a solver, before a schedule is chosen for it."""

    scheduler: str  # name of the class in diffusers
    kwargs: Mapping[str, Any] = field(default_factory=dict)  # over the model's own scheduler config
    schedules: tuple[str, ...] = ()  # the schedule variants that the class supports
    automatic: str = ""  # the schedule A1111 1.9+ means by "Automatic"; "": the model's own sigmas
    calls: str = ONCE
    stochastic: bool = False  # draws noise while it steps
    needs: str = ""  # a package that diffusers does not install
    takes_eta: bool = False
    seeded: bool = False  # takes `noise_sampler_seed` instead of a generator
    max_steps: int = 1000  # the model's training timesteps


# The scheduler that a model was published with, whatever it is; for pipelines that run as a whole.
NATIVE = "Native"
_NATIVE = Method(scheduler="")


def method(name: str) -> Method:
    return _NATIVE if name == NATIVE else METHODS[name]


_MULTISTEP = "DPMSolverMultistepScheduler"
_SDE = {"algorithm_type": "sde-dpmsolver++"}

METHODS: dict[str, Method] = {
    "DPM++ 2M": Method(
        scheduler=_MULTISTEP,
        kwargs={"algorithm_type": "dpmsolver++"},
        schedules=_ALL,
        automatic="Karras",
    ),
    "DPM++ SDE": Method(
        scheduler="DPMSolverSDEScheduler",
        schedules=_ALL,
        automatic="Karras",
        calls=TWICE,
        stochastic=True,
        needs="torchsde",
        seeded=True,
    ),
    "DPM++ 2M SDE": Method(
        scheduler=_MULTISTEP, kwargs=_SDE, schedules=_ALL, automatic="Exponential", stochastic=True
    ),
    "DPM++ 2M SDE Heun": Method(
        scheduler=_MULTISTEP,
        kwargs={**_SDE, "solver_type": "heun"},
        schedules=_ALL,
        automatic="Exponential",
        stochastic=True,
    ),
    "DPM++ 3M SDE": Method(
        scheduler=_MULTISTEP,
        kwargs={**_SDE, "solver_order": 3},
        schedules=_ALL,
        automatic="Exponential",
        stochastic=True,
    ),
    # Not a name of A1111: the deterministic relative of its DPM++ 2S a.
    "DPM++ 2S": Method(
        scheduler="DPMSolverSinglestepScheduler",
        kwargs={"algorithm_type": "dpmsolver++", "lower_order_final": True},
        schedules=_SIGMAS,
        automatic="Karras",
    ),
    "Euler a": Method(
        scheduler="EulerAncestralDiscreteScheduler",
        schedules=_SPACING,
        stochastic=True,
        takes_eta=True,
    ),
    "Euler": Method(scheduler="EulerDiscreteScheduler", schedules=_ALL),
    "LMS": Method(scheduler="LMSDiscreteScheduler", schedules=_ALL, needs="scipy"),
    "Heun": Method(scheduler="HeunDiscreteScheduler", schedules=_ALL, calls=TWICE),
    "DPM2": Method(
        scheduler="KDPM2DiscreteScheduler", schedules=_ALL, automatic="Karras", calls=TWICE
    ),
    "DPM2 a": Method(
        scheduler="KDPM2AncestralDiscreteScheduler",
        schedules=_ALL,
        automatic="Karras",
        calls=TWICE,
        stochastic=True,
    ),
    "DDIM": Method(
        scheduler="DDIMScheduler",
        kwargs={"steps_offset": 1, "set_alpha_to_one": False, "clip_sample": False},
        schedules=_SPACING,
        takes_eta=True,
    ),
    "PLMS": Method(
        scheduler="PNDMScheduler",
        kwargs={"skip_prk_steps": True, "steps_offset": 1, "set_alpha_to_one": False},
        schedules=_SPACING,
        calls=PLMS,
    ),
    "UniPC": Method(scheduler="UniPCMultistepScheduler", schedules=_ALL),
    "LCM": Method(scheduler="LCMScheduler", stochastic=True, max_steps=50),
    # diffusers' own, without a name in A1111.
    "DEIS": Method(scheduler="DEISMultistepScheduler", schedules=_ALL),
    "DDPM": Method(
        scheduler="DDPMScheduler",
        kwargs={"clip_sample": False},
        schedules=_SPACING,
        stochastic=True,
    ),
}

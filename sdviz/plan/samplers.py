"""What `sampler=` names: a method of the table in methods.py, with its schedule. No torch.

A plain name (`DPM++ 2M`) uses the model's own sigmas, as in A1111 before 1.9. A schedule is part
of the name (`DPM++ 2M Karras`) or a setting of its own (`schedule=karras`). In A1111 1.9 and later
a plain name means "Automatic", which is Karras or Exponential for some methods. The name for that
is `DPM++ 2M Automatic`.
"""

from __future__ import annotations

import difflib
import importlib.util
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sdviz.errors import ConfigError
from sdviz.plan import methods
from sdviz.plan.methods import METHODS, ONCE, PLMS, SCHEDULES, TWICE, Method

NATIVE = methods.NATIVE  # the scheduler that a model was published with

# A1111's samplers that diffusers lacks, each with the nearest name that there is.
_MISSING = {
    "DPM++ 2S a": "DPM++ 2S",
    "DPM fast": "DPM++ 2M",
    "DPM adaptive": "DPM++ 2M",
    "Restart": "Heun",
    "DDIM CFG++": "DDIM",
    "TCD": "LCM",
}
# Other spellings of a method: k-diffusion's, ComfyUI's.
_ALIASES = {
    "euler ancestral": "Euler a",
    "dpm2 ancestral": "DPM2 a",
    "dpmpp 2s ancestral": "DPM++ 2S a",
    "dpm ad": "DPM adaptive",
    "pndm": "PLMS",
}
_MISSING_SCHEDULES = ("Polyexponential", "KL Optimal", "Align Your Steps", "Simple", "Normal")


@dataclass(frozen=True)
class Sampler:
    """A method with its schedule: what `sampler=` names."""

    method_name: str  # "DPM++ 2M"
    schedule: str  # "Karras"; "" for the model's own sigmas

    @property
    def method(self) -> Method:
        return methods.method(self.method_name)

    @property
    def name(self) -> str:
        """A1111's spelling up to 1.8, with the schedule as part of the name: `DPM++ 2M Karras`."""
        return f"{self.method_name} {self.schedule}".rstrip()

    @property
    def scheduler(self) -> str:
        """Name of the class in diffusers."""
        return self.method.scheduler

    @property
    def kwargs(self) -> dict[str, Any]:
        """Arguments of the class over the model's own scheduler configuration."""
        return {**self.method.kwargs, **SCHEDULES.get(self.schedule, {})}

    @property
    def stochastic(self) -> bool:
        return self.method.stochastic

    @property
    def max_steps(self) -> int:
        return self.method.max_steps

    @property
    def infotext(self) -> tuple[str, str]:
        """A1111 1.9+'s pair (Sampler, Schedule type); "Uniform" where its "Automatic" differs."""
        word = "Uniform" if self.method.automatic else "Automatic"
        return self.method_name, self.schedule or word

    @property
    def missing_package(self) -> str:
        """The package that the sampler needs and that is not installed; "" when all is there."""
        needs = self.method.needs
        return needs if needs and importlib.util.find_spec(needs) is None else ""

    def evaluations(self, steps: int) -> int:
        """Denoiser evaluations in `steps` steps; two rows each with guidance, one without."""
        extra = {ONCE: 0, TWICE: steps - 1, PLMS: min(1, steps - 1)}
        return steps + extra[self.method.calls]

    def step_completed(self, evaluation: int, steps: int) -> int:
        """The step (1..steps) that evaluation number `evaluation` (from 0) completes, 0 if none."""
        if evaluation == self.evaluations(steps) - 1:
            return steps
        if self.method.calls == TWICE:
            return (evaluation + 1) // 2 if evaluation % 2 else 0
        return evaluation if self.method.calls == PLMS else evaluation + 1


def names() -> list[str]:
    """Every name there is, methods in the table's order, each followed by its schedules."""
    return [sampler.name for sampler in _BY_SPELLING.values()]


def schedulers() -> set[str]:
    """Names of diffusers' classes that the samplers are made of."""
    return {method.scheduler for method in METHODS.values()}


def every() -> list[str]:
    """The samplers of `sampler=all`: every method that works with any model on this machine.

    LCM is excluded because it needs weights of its own, as are methods whose package is missing.
    """
    samplers = (resolve(name) for name in METHODS if name != "LCM")
    return [sampler.name for sampler in samplers if not sampler.missing_package]


@lru_cache(maxsize=1024)
def resolve(name: str) -> Sampler:
    """The sampler that `name` spells; ConfigError, naming the nearest, where there is none.

    Upper and lower case, spaces, `_`, `-` and a leading `k_` do not matter: `DPM++ 2M Karras`,
    `dpmpp_2m_karras` and `k_dpmpp_2m karras` are the same.
    """
    spelling = _spelling(str(name))
    if spelling in _BY_SPELLING:
        return _BY_SPELLING[spelling]
    if spelling == _spelling(NATIVE):
        return Sampler(NATIVE, "")
    for suffix in ("automatic", "uniform"):
        plain = _BY_SPELLING.get(spelling.removesuffix(suffix))
        if spelling.endswith(suffix) and plain and not plain.schedule:
            return Sampler(plain.method_name, plain.method.automatic if suffix[0] == "a" else "")
    raise ConfigError(_refusal(name, spelling), key="sampler")


def schedule_named(name: str) -> str:
    """The schedule that `name` spells, as freely as in `resolve`; ConfigError if there is none."""
    known = {_spelling(schedule): schedule for schedule in ("Automatic", "Uniform", *SCHEDULES)}
    if (spelling := _spelling(str(name))) in known:
        return known[spelling]
    there = ", ".join(known.values())
    raise ConfigError(
        f"schedule={name}: diffusers has no such schedule; it has {there}", key="schedule"
    )


@lru_cache(maxsize=1024)
def rescheduled(name: str, schedule: str) -> str:
    """The name of sampler `name` with `schedule` in the place of its own; ConfigError where it does
    not go with that.
    """
    method = resolve(name).method_name
    try:
        return resolve(f"{method} {schedule}").name
    except ConfigError as error:
        rule = f'exclude=\'sampler="{name}" schedule="{schedule}"\''
        raise ConfigError(f"{error}; {rule} leaves it out", key="schedule") from None


def _spelling(name: str) -> str:
    """What remains of a name when case and punctuation do not count: `DPM++ 2M` -> `dpmpp2m`."""
    words = re.sub(r"[^a-z0-9]+", " ", name.lower().replace("++", "pp")).strip()
    words = re.sub(r"^k ", "", words).replace("dpm 2", "dpm2").replace("uni pc", "unipc")
    for alias, plain in _ALIASES.items():
        if words == alias or words.startswith(f"{alias} "):
            words = words.replace(alias, plain.lower().replace("++", "pp"), 1)
    return words.replace(" ", "")


def _refusal(name: str, spelling: str) -> str:
    for missing, nearest in _MISSING.items():
        if spelling.startswith(_spelling(missing)):
            return (
                f"sampler={name!r}: diffusers has no scheduler for A1111's {missing}; the nearest "
                f"is {nearest!r}"
            )
    for schedule in (*_MISSING_SCHEDULES, *SCHEDULES):
        plain = _BY_SPELLING.get(spelling.removesuffix(_spelling(schedule)))
        if spelling.endswith(_spelling(schedule)) and plain and not plain.schedule:
            there = " or ".join(map(repr, ("", *plain.method.schedules)[1:])) or "only its own"
            return (
                f"sampler={name!r}: diffusers has no {schedule} schedule for "
                f"{plain.method_name}; schedules of {plain.method_name}: {there}"
            )
    near = difflib.get_close_matches(spelling, _BY_SPELLING, n=3, cutoff=0.0)
    return f"sampler={name!r}: no such sampler; the nearest: " + ", ".join(
        repr(_BY_SPELLING[n].name) for n in near
    )


_BY_SPELLING: dict[str, Sampler] = {
    _spelling(f"{method_name} {schedule}"): Sampler(method_name, schedule)
    for method_name, method in METHODS.items()
    for schedule in ("", *method.schedules)
}


_WEBUI = ("Sampler", "Schedule type")


@lru_cache(maxsize=1024)
def known_sampler(name: str) -> Sampler | None:
    """The sampler of this name; None for one of another pipeline, by its own name."""
    try:
        return resolve(name)
    except ConfigError:
        return None


def sampler_pairs(name: str) -> dict[str, str]:
    """As stable-diffusion-webui 1.9 and later write it: {"Sampler": "DPM++ 2M", "Schedule type":
    "Karras"} for "DPM++ 2M Karras".
    """
    known = known_sampler(name)
    return {"Sampler": name} if known is None else dict(zip(_WEBUI, known.infotext, strict=True))

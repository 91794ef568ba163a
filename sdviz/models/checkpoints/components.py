"""What Stable Diffusion 3 and Flux are made of, and by which names one file has it. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")
# Where a part's tensors are in a file, by their first names: as ComfyUI and Stability AI save them.
_VAE = ("first_stage_model.", "vae.")
_ENCODERS = {
    "clip_l": ("text_encoders.clip_l.transformer.",),
    "clip_g": ("text_encoders.clip_g.transformer.",),
    "t5": ("text_encoders.t5xxl.transformer.",),
}


@dataclass(frozen=True)
class Family:
    """What diffusers makes a model of."""

    name: str
    pipeline: str
    transformer: str  # its class
    encoders: Mapping[str, str]  # component -> clip_l, clip_g or t5
    clip: str  # the class of its CLIPs
    source: str  # a repository that has every part
    spare: str = ""  # the text encoder that it can do without

    def text_class(self, component: str) -> str:
        return "T5EncoderModel" if self.encoders[component] == "t5" else self.clip

    def prefixes(self, component: str) -> tuple[str, ...]:
        """How the names of a component's tensors begin in a file, one of these."""
        return _VAE if component == "vae" else _ENCODERS[self.encoders[component]]

    def inside(self, component: str, names: Mapping[str, T]) -> dict[str, T]:
        """The component's tensors of those in a file, by its own names; {} if it is not there."""
        return {
            name.removeprefix(prefix): value
            for prefix in self.prefixes(component)
            for name, value in names.items()
            if name.startswith(prefix)
        }


FAMILIES = {
    "sd3": Family(
        "Stable Diffusion 3",
        "StableDiffusion3Pipeline",
        "SD3Transformer2DModel",
        {"text_encoder": "clip_l", "text_encoder_2": "clip_g", "text_encoder_3": "t5"},
        "CLIPTextModelWithProjection",
        "stabilityai/stable-diffusion-3-medium-diffusers",
        spare="text_encoder_3",
    ),
    "flux": Family(
        "Flux",
        "FluxPipeline",
        "FluxTransformer2DModel",
        {"text_encoder": "clip_l", "text_encoder_2": "t5"},
        "CLIPTextModel",
        "black-forest-labs/FLUX.1-schnell",
    ),
}


def tokenizer(component: str) -> str:
    """Of the text encoder `component`."""
    return component.replace("text_encoder", "tokenizer")


def of_pipeline(name: str) -> Family | None:
    """The family that diffusers' pipeline class `name` runs."""
    return next((family for family in FAMILIES.values() if family.pipeline == name), None)

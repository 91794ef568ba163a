"""What each pipeline of diffusers calls its guidance, so that `cfg` reaches it. No torch.

Three things go by the name: classifier-free guidance over a negative prompt, a scale that was
trained into the model (distilled: `guidance_embeds` in the transformer's configuration), and a
guider, a component that has the scale.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SCALE = "guidance_scale"
TRUE = "true_cfg_scale"
DISTILLED = "distilled_guidance_scale"
NEGATIVE = "negative_prompt"


@dataclass(frozen=True)
class Guidance:
    """How a pipeline takes `cfg`."""

    argument: str  # that `cfg` sets; "": the scale of its guiders
    is_distilled: bool  # trained into the model, without a negative prompt
    negative: str  # "heeded", "needed": `cfg` does nothing without one, "ignored"
    blank: bool  # does the engine give a blank negative prompt where there is none?


def of(taken: Mapping[str, Any], embeds: bool | None) -> Guidance:
    """`taken` has the arguments of the pipeline's call with their defaults (None where unknown);
    `embeds` is the transformer's `guidance_embeds`, None where it has no such switch.
    """
    has_negative = NEGATIVE in taken
    if DISTILLED in taken:
        negative = "heeded" if has_negative and not embeds else "ignored"
        return Guidance(DISTILLED if embeds else "", bool(embeds), negative, blank=False)
    if TRUE in taken and (SCALE not in taken or embeds is not True):
        # A default above 1 says that the model is meant to be used so (Qwen-Image); a pipeline of a
        # model without guidance (Flux schnell) has 1.
        usual = taken[TRUE]
        meant = isinstance(usual, int | float) and usual > 1
        return Guidance(TRUE, is_distilled=False, negative="needed", blank=meant)
    negative = "ignored" if TRUE in taken or not has_negative else "heeded"
    return Guidance(SCALE, is_distilled=bool(embeds), negative=negative, blank=False)

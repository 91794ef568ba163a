"""Samplers by the names that archives hold, some of which are of other pipelines."""

from __future__ import annotations

from functools import lru_cache

from sdviz.errors import ConfigError
from sdviz.samplers import Sampler, resolve

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

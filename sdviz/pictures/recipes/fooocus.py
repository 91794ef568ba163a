"""Fooocus's JSON. Source: lllyasviel/Fooocus, modules/meta_parser.py and private_logger.py."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sdviz.pictures.recipes.recipe import PictureRecipe, file_stem

_MARKS = ("performance", "base_model", "guidance_scale", "adm_guidance", "sharpness")
_TAKEN = {
    *("prompt", "full_prompt", "negative_prompt", "full_negative_prompt", "steps", "seed"),
    *("guidance_scale", "resolution", "sampler", "scheduler", "base_model", "clip_skip", "vae"),
    *("loras", "styles", "refiner_model", "refiner_switch"),
}
_HARMLESS = {"version", "base_model_hash", "performance", "metadata_scheme", "created_by", "user"}


def is_one(values: Mapping[str, Any]) -> bool:
    return "prompt" in values and any(mark in values for mark in _MARKS)


def recipe(values: Mapping[str, Any]) -> PictureRecipe:
    """The recipe of Fooocus's values; the full prompt, which has the styles in it, where there is
    one.
    """
    out = PictureRecipe()
    out.text("prompt", values.get("full_prompt", values["prompt"]))
    out.text("negative", values.get("full_negative_prompt", values.get("negative_prompt")))
    out.sampler(values.get("sampler"), values.get("scheduler"))
    out.whole("steps", values.get("steps"))
    out.whole("seed", values.get("seed"))
    out.number("cfg", values.get("guidance_scale"))
    out.size(values.get("resolution", ""))
    out.model(values.get("base_model"))
    out.whole("clip_skip", values.get("clip_skip"))
    vae = values.get("vae")
    if isinstance(vae, str) and not vae.startswith("Default"):
        out.settings["vae"] = vae
    loras = _loras(values)
    out.loras(loras)
    if "full_prompt" not in values:
        styles = values.get("styles")
        if styles not in (None, "", "[]", []):
            out.omit("styles", styles)
    if values.get("refiner_model") not in (None, "", "None"):
        out.omit("refiner_model", values["refiner_model"])
        out.omit("refiner_switch", values.get("refiner_switch", ""))
    known = {key for key in values if re.fullmatch(r"lora_combined_\d+|lora_\w+_\d+", key)}
    out.omit_rest(values, {*_TAKEN, *_HARMLESS, *known})
    return out


def _loras(values: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """[name, scale, hash] each; or `name : scale`, where there is nothing else."""
    several = values.get("loras")
    if isinstance(several, list):
        pairs = [one for one in several if isinstance(one, list) and len(one) > 1]
        return [(file_stem(str(name)), scale) for name, scale, *_ in pairs]
    joined = [str(v) for k, v in values.items() if k.startswith("lora_combined_")]
    parts = [one.rpartition(" : ") for one in joined]
    return [(file_stem(name), scale) for name, _, scale in parts if name]

"""NovelAI's JSON in the `Comment`.

Source: NovelAI's documentation (Image generation, "Strengthening and weakening"), and the texts
that its pictures have.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sdviz.pictures.recipes.recipe import PictureRecipe

_TAKEN = {
    *("prompt", "uc", "steps", "height", "width", "scale", "seed", "sampler", "noise_schedule"),
    *("cfg_rescale", "v4_prompt", "v4_negative_prompt", "strength", "noise"),
}
_HARMLESS = {
    *("n_samples", "request_type", "signed_hash", "version", "params_version", "legacy"),
    *("legacy_v3_extend", "legacy_uc", "deliberate_euler_ancestral_bug", "prefer_brownian"),
    *("extra_passthrough_testing", "hide_debug_overlay", "stream", "extra_noise_seed"),
}
# What each switches off: a key at that value has changed nothing.
_OFF = {
    "uncond_scale": 1, "cfg_sched_eligibility": "enable_for_post_summer_samplers",
    "explike_fine_detail": False, "minimize_sigma_inf": False, "uncond_per_vibe": True,
    "wonky_vibe_correlation": True, "dynamic_thresholding_percentile": 0.999,
    "dynamic_thresholding_mimic_scale": 10, "lora_unet_weights": None, "lora_clip_weights": None,
}  # fmt: skip
_ROUND, _SQUARE = "1.05", "0.952"  # of {word} and of [word], 1 / 1.05
_NUMERIC = re.compile(r"(-?(?:\d{1,3}(?:\.\d{1,6})?|\.\d{1,6}))::([^:]*)::")


def is_one(values: Mapping[str, Any]) -> bool:
    return "steps" in values and ("uc" in values or "v4_prompt" in values)


def recipe(values: Mapping[str, Any], *, description: str = "", source: str = "") -> PictureRecipe:
    """The recipe of NovelAI's values; `description` has the prompt where they have none, `source`
    names the model.
    """
    out = PictureRecipe()
    prompt, people = _captions(values.get("v4_prompt"))
    out.text("prompt", emphasis(prompt or str(values.get("prompt") or description)))
    negative, others = _captions(values.get("v4_negative_prompt"))
    out.text("negative", emphasis(negative or str(values.get("uc") or "")))
    for key, several in (("char_captions", people), ("negative char_captions", others)):
        if several:
            out.omit(key, "; ".join(several))
    out.sampler(values.get("sampler"), values.get("noise_schedule"), key="noise_schedule")
    out.whole("steps", values.get("steps"))
    out.whole("seed", values.get("seed"))
    out.number("cfg", values.get("scale"))
    out.number("guidance_rescale", values.get("cfg_rescale"))
    out.whole("width", values.get("width"))
    out.whole("height", values.get("height"))
    out.model(source)
    if str(values.get("request_type", "")).startswith(("Img2Img", "Inpaint", "NativeInfill")):
        out.number("strength", values.get("strength"))
        out.remarks.append("made from an image that it does not contain: name it with init=")
    off = {key for key, value in _OFF.items() if values.get(key) == value}
    out.omit_rest(values, {*_TAKEN, *_HARMLESS, *off})
    return out


def _captions(value: Any) -> tuple[str, list[str]]:
    """The base caption of version 4's prompt, and those of its characters."""
    caption = value.get("caption") if isinstance(value, dict) else None
    if not isinstance(caption, dict):
        return "", []
    several = caption.get("char_captions")
    people = [one for one in several if isinstance(one, dict)] if isinstance(several, list) else []
    texts = [str(one.get("char_caption") or "") for one in people]
    return str(caption.get("base_caption") or ""), [text for text in texts if text]


def emphasis(prompt: str) -> str:
    """NovelAI's emphasis in stable-diffusion-webui's signs: {word} is (word:1.05), [word] is
    (word:0.952), 1.3::word:: is (word:1.3); round brackets are text there.
    """
    prompt = re.sub(r"([()])", r"\\\1", prompt)
    prompt = _NUMERIC.sub(lambda match: f"({match[2]}:{match[1]})", prompt)
    out: list[str] = []
    opened: list[tuple[str, int]] = []
    for sign in prompt:
        if sign in "{[":
            opened.append((sign, len(out)))
            out.append("(")
        elif sign in "}]" and opened and opened[-1][0] == {"}": "{", "]": "["}[sign]:
            opened.pop()
            out.append(f":{_ROUND if sign == '}' else _SQUARE})")
        elif sign in "}]":
            out.append("\\]" if sign == "]" else sign)
        else:
            out.append(sign)
    for sign, at in opened:  # never closed: text
        out[at] = "\\[" if sign == "[" else sign
    return "".join(out)

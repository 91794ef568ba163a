"""stable-diffusion-webui's `parameters` text: written so that its own reader reads every key back.

Source: AUTOMATIC1111/stable-diffusion-webui, modules/processing.py (create_infotext) and
modules/infotext_utils.py (quote, unquote, parse_generation_parameters), version 1.10.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from sdviz.plan.cells import DEFAULTS
from sdviz.plan.prompts import said

# A key has two characters or more, the first a word character; a value is a JSON string or has
# no comma.
PAIR = re.compile(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')
_FEWEST_PAIRS = 3  # a last line with fewer belongs to the prompt
_NEGATIVE = "Negative prompt:"


@dataclass(frozen=True)
class Infotext:
    """A `parameters` text, taken apart. `pairs` has the keys as written, in order."""

    prompt: str
    negative: str
    pairs: Mapping[str, str]


def quote(value: object) -> str:
    """A value as it stands in the last line: JSON where it would be torn apart otherwise."""
    text = str(value)
    if re.search(r'[,\n:]|^"|^\s|\s$', text):
        return json.dumps(text, ensure_ascii=False)
    return text


def unquote(text: str) -> str:
    """A value of the last line as it was before `quote`; as it stands where it is no JSON."""
    if len(text) > 1 and text[0] == '"' and text[-1] == '"':
        try:
            return str(json.loads(text))
        except ValueError:
            return text
    return text


def number(value: float) -> str:
    """7.0 as "7", 7.5 as "7.5", without exponents where a reader would trip."""
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def write(prompt: str, negative: str, pairs: Mapping[str, object]) -> str:
    """The text; pairs whose value is None or "" are left out. At least three must remain."""
    present = {key: value for key, value in pairs.items() if value is not None and value != ""}
    last = ", ".join(f"{key}: {quote(value)}" for key, value in present.items())
    lines = [prompt]
    if negative:
        lines.append(f"{_NEGATIVE} {negative}")
    return clean("\n".join([*lines, last]).strip())


def read(text: str) -> Infotext:
    """Takes a `parameters` text apart as stable-diffusion-webui does."""
    *lines, last = text.strip().split("\n")
    if len(PAIR.findall(last)) < _FEWEST_PAIRS:
        lines, last = [*lines, last], ""
    prompt: list[str] = []
    negative: list[str] = []
    target = prompt
    for line in lines:
        line = line.strip()
        if line.startswith(_NEGATIVE):
            target = negative
            line = line[len(_NEGATIVE) :].strip()
        target.append(line)
    pairs = {key: unquote(value.strip()) for key, value in PAIR.findall(last)}
    return Infotext("\n".join(prompt).strip(), "\n".join(negative).strip(), pairs)


def clean(text: str) -> str:
    """`text` without what UTF-8 or a PNG cannot hold: lone surrogates and zero bytes."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def with_lora(prompt: str, recipe: Mapping[str, Any]) -> str:
    """The prompt as stable-diffusion-webui has it: with the LoRA in it, as <lora:name:1>."""
    scale = recipe.get("lora_scale", 1.0)
    if not recipe.get("lora") or not scale:
        return prompt
    return f"{prompt} <lora:{_lora_name(recipe['lora'])}:{number(scale)}>".strip()


def cell_pairs(
    recipe: Mapping[str, Any],
    sampler: Mapping[str, Any],
    *,
    identity: str,
    extra: Mapping[str, Any],
    contents: Mapping[str, str] | None = None,
) -> dict[str, object]:
    """The last line's pairs of one cell, in stable-diffusion-webui's order.

    `sampler` has the keys "Sampler" and perhaps "Schedule type"; `extra` goes before the version.
    `contents` has the hashes of the files that settings name.
    Settings that stable-diffusion-webui has no word for are written as "sdviz <setting>".
    """
    pairs: dict[str, object] = {
        "Steps": recipe["steps"],
        **sampler,
        "CFG scale": number(recipe["cfg"]),
        "Seed": recipe["seed"],
        "Size": f"{recipe['width']}x{recipe['height']}",
        "Model hash": identity[:10],
        "Model": recipe["model"],
    }
    contents = contents or {}
    if recipe.get("vae"):
        pairs["VAE hash"] = contents.get(recipe["vae"], "")[:10]
        pairs["VAE"] = PurePath(recipe["vae"]).name
    if recipe.get("variation_strength"):
        pairs["Variation seed"] = recipe["variation_seed"]
        pairs["Variation seed strength"] = number(recipe["variation_strength"])
    pairs["Seed resize from"] = recipe.get("seed_resize")
    hires = recipe.get("hires_scale", 1) > 1
    if recipe.get("init") or hires:
        strength = recipe["strength"] if recipe.get("init") else recipe["hires_strength"]
        pairs["Denoising strength"] = number(strength)
    pairs["Clip skip"] = recipe.get("clip_skip") if recipe.get("clip_skip", 1) > 1 else None
    pairs["RNG"] = "CPU"  # noise is drawn on the CPU, whatever the device
    pairs["Tiling"] = recipe.get("tiling") or None
    if hires:
        pairs["Hires upscale"] = number(recipe["hires_scale"])
        pairs["Hires steps"] = recipe["hires_steps"] or None
        pairs["Hires upscaler"] = UPSCALERS.get(recipe["hires_upscaler"], recipe["hires_upscaler"])
    pairs["Emphasis"] = "None" if recipe.get("emphasis") == "none" else None
    if recipe.get("lora") and recipe.get("lora_scale", 1.0) and recipe["lora"] in contents:
        pairs["Lora hashes"] = f"{_lora_name(recipe['lora'])}: {contents[recipe['lora']][:12]}"
    if recipe.get("embedding") in contents:
        words = said(contents[recipe["embedding"]], recipe["prompt"], recipe["negative"])
        pairs["TI hashes"] = ", ".join(f"{word}: {known[:12]}" for word, known in words)
    pairs["Eta"] = None if recipe.get("eta") is None else number(recipe["eta"])
    return {**pairs, **_own_pairs(recipe), **extra}


def _own_pairs(recipe: Mapping[str, Any]) -> dict[str, object]:
    """The settings that stable-diffusion-webui has no word for, where they are not at their
    default.
    """
    own = {}
    for key in OWN:
        value = recipe.get(key)
        both = recipe.get("init") and recipe.get("hires_scale", 1) > 1
        if key == "hires_strength" and not both:
            continue  # "Denoising strength" has it
        if value not in (None, "", DEFAULTS.get(key)):
            own[f"sdviz {key}".replace("_", " ")] = value
    return own


def _lora_name(lora: str) -> str:
    """The name of the file, without what stable-diffusion-webui's brackets could not hold."""
    path = PurePath(lora)
    stem = path.stem if path.suffix in (".safetensors", ".pt", ".ckpt", ".bin") else path.name
    return re.sub(r"[<>:]", "_", stem)


# sdviz's name -> stable-diffusion-webui's for what enlarges a picture before its second pass.
UPSCALERS = {"latent": "Latent", "latent-nearest": "Latent (nearest)", "pixel": "Lanczos"}
OWN = (  # settings that it has no word for
    *("guidance_rescale", "noise_seed", "resize", "sr", "init", "hires_strength"),
    *("safety", "watermark"),
)

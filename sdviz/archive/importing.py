"""A recipe out of a picture: PNGs of sdviz, stable-diffusion-webui, Fooocus and relatives."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from sdviz.archive import infotext, png
from sdviz.archive.labels import telling
from sdviz.errors import ArchiveError, ConfigError
from sdviz.plan import Recipe
from sdviz.samplers import resolve

_SETTINGS = {f.name for f in fields(Recipe)}
_SIZE = re.compile(r"(\d+)x(\d+)|\((\d+), *(\d+)\)")
_LORA = re.compile(r"<lora:([^:>]+):?([^:>]*)[^>]*>")
_LOG = logging.getLogger(__name__)
_FOOOCUS_SAMPLERS = {  # k-diffusion's names, as Fooocus writes them
    "dpmpp_2m_sde_gpu": "DPM++ 2M SDE",
    "dpmpp_3m_sde_gpu": "DPM++ 3M SDE",
    "dpmpp_sde_gpu": "DPM++ SDE",
    "uni_pc": "UniPC",
    "uni_pc_bh2": "UniPC",
    "dpmpp_2s_ancestral": "DPM++ 2S",
}


def recipe_from_png(path: str | Path) -> dict[str, Any]:
    """The settings in a picture's text, by root key's name; those that it does not tell are absent.

    Knows sdviz's own JSON, the `parameters` text of stable-diffusion-webui (Forge, SD.Next) and
    Fooocus's JSON. `model`, `lora` and `vae` are names that the picture tells, wherever those are.
    Raises ArchiveError where there is no recipe in it.
    """
    path = Path(path)
    if not path.is_file():
        raise ArchiveError(f"from={path}: there is no such file")
    texts = png.read_texts(path)
    if png.CHUNK in texts:
        found = _own(texts[png.CHUNK])
        if found:
            return found
    text = texts.get(png.PARAMETERS, "")
    if text.lstrip().startswith("{"):
        return _fooocus(_object(text, path))
    if text:
        return _webui(infotext.read(text))
    raise ArchiveError(
        f"from={path}: no recipe in it; known are PNGs of sdviz, stable-diffusion-webui and Fooocus"
        " whose text chunks no other program has removed"
    )


def _object(text: str, path: Path) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ArchiveError(f"from={path}: its `parameters` are damaged: {error}") from error
    if not isinstance(value, dict):
        raise ArchiveError(f"from={path}: its `parameters` are no recipe")
    return value


def _own(text: str) -> dict[str, Any]:
    try:
        recipe = json.loads(text)["recipe"]
        known = {k: v for k, v in recipe.items() if k in _SETTINGS and v is not None}
        return {key: value for key, value in known.items() if key in telling(known)}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}  # a grid's, or damaged: the `parameters` text is asked instead


def _webui(text: infotext.Infotext) -> dict[str, Any]:
    pairs = text.pairs
    found: dict[str, Any] = {**_loras(text.prompt), "negative": text.negative}
    name = pairs.get("Sampler")
    if name:
        found["sampler"] = _sampler(name, pairs.get("Schedule type", ""))
    found |= _numbers(pairs, {"Steps": "steps", "Seed": "seed"}, int)
    found |= _numbers(pairs, {"CFG scale": "cfg", "Eta": "eta", "Eta DDIM": "eta"}, float)
    found |= _size(pairs.get("Size", ""))
    if pairs.get("Model"):
        found["model"] = pairs["Model"]
    if pairs.get("VAE"):
        found["vae"] = pairs["VAE"]
    if embeddings := pairs.get("TI hashes"):
        names = ", ".join(one.partition(":")[0].strip() for one in embeddings.split(","))
        _LOG.warning("made with embeddings: without embedding=<folder> %s is read as words", names)
    return found | _webui_further(pairs)


def _loras(prompt: str) -> dict[str, Any]:
    """The prompt without <lora:name:scale>, and the LoRA that it names; the first of several."""
    found: dict[str, Any] = {"prompt": re.sub(r"[ ,]*" + _LORA.pattern, "", prompt).strip()}
    loras = _LORA.findall(prompt)
    if not loras:
        return found
    (name, scale), *others = loras
    if others:
        left = ", ".join(other for other, _ in others)
        _LOG.warning("a recipe has one LoRA: %s is taken, and left out are %s", name, left)
    found["lora"] = name
    return found | _numbers({"scale": scale.removeprefix("unet=")}, {"scale": "lora_scale"}, float)


def _webui_further(pairs: Mapping[str, str]) -> dict[str, Any]:
    """The settings that a plain text-to-image picture does not tell."""
    whole = {"Variation seed": "variation_seed", "Clip skip": "clip_skip"}
    found = _numbers(pairs, {**whole, "Hires steps": "hires_steps"}, int)
    shares = {"Variation seed strength": "variation_strength", "Hires upscale": "hires_scale"}
    found |= _numbers(pairs, shares, float)
    found |= _sdviz_further(pairs)
    of_init = "init" in found or "hires_scale" not in found
    strength = "strength" if of_init else "hires_strength"
    found |= _numbers(pairs, {"Denoising strength": strength}, float)
    if "strength" in found and "init" not in found:
        _LOG.warning("made from an image that it does not hold: init= names it")
    names = {theirs: ours for ours, theirs in infotext.UPSCALERS.items()}
    upscaler = pairs.get("Hires upscaler")
    if upscaler in names:
        found["hires_upscaler"] = names[upscaler]
    elif upscaler:
        _LOG.warning("sdviz has no upscaler %s: latent takes its place", upscaler)
    if pairs.get("Seed resize from"):
        found["seed_resize"] = pairs["Seed resize from"]
    if pairs.get("Tiling") == "True":
        found["tiling"] = True
    if pairs.get("Emphasis") == "None":
        found["emphasis"] = "none"
    return found


def _sdviz_further(pairs: Mapping[str, str]) -> dict[str, Any]:
    """The settings that stable-diffusion-webui has no word for, as their texts; but for `sr`, which
    the prompt has in it.
    """
    keys = {key: f"sdviz {key}".replace("_", " ") for key in infotext.OWN if key != "sr"}
    return {key: pairs[label] for key, label in keys.items() if pairs.get(label)}


def _fooocus(values: Mapping[str, Any]) -> dict[str, Any]:
    """Fooocus's JSON; its styles are in the full prompt already, so that one is taken."""

    def told(key: str) -> Any:
        value = values.get(f"full_{key}", values.get(key, ""))
        return "\n".join(map(str, value)) if isinstance(value, list) else str(value)

    found: dict[str, Any] = {"prompt": told("prompt"), "negative": told("negative_prompt")}
    name = str(values.get("sampler") or "")
    if name:
        schedule = str(values.get("scheduler") or "")
        found["sampler"] = _sampler(_FOOOCUS_SAMPLERS.get(name, name), schedule)
    found |= _numbers(values, {"steps": "steps", "seed": "seed"}, int)
    found |= _numbers(values, {"guidance_scale": "cfg"}, float)
    found |= _size(str(values.get("resolution", "")))
    model = str(values.get("base_model") or "")
    if model:
        found["model"] = re.sub(r"\.(safetensors|ckpt)$", "", model)
    return found


def _sampler(name: str, schedule: str) -> str:
    """Sampler and schedule as one name of sdviz; unchanged, to be refused, where it has none."""
    plain = schedule.strip().lower().replace("_", " ")
    named = {"": "", "normal": "", "simple": "", "uniform": "Uniform", "automatic": "Automatic"}
    suffix = named.get(plain, plain.title().replace("Sgm", "SGM"))
    for whole in (f"{name} {suffix}".strip(), name):
        try:
            return resolve(whole).name
        except ConfigError:
            continue
    return f"{name} {suffix}".strip()


def _numbers(values: Mapping[str, Any], keys: Mapping[str, str], kind: type) -> dict[str, Any]:
    """Settings that are numbers in the text; what is not a number is left out."""
    found = {}
    for key, name in keys.items():
        try:
            found[name] = kind(str(values[key]).strip())
        except (KeyError, ValueError):
            continue
    return found


def _size(text: str) -> dict[str, int]:
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        return {}
    width, height = (int(n) for n in match.groups() if n is not None)
    return {"width": width, "height": height}

"""`from=image.png`: a picture's recipe stands in for every setting that is not given."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from sdviz.errors import ArchiveError, ConfigError
from sdviz.pictures import files, infotext
from sdviz.plan.cells import ABSORBED, DEFAULTS, Recipe
from sdviz.plan.labels import telling
from sdviz.plan.lists import quoted
from sdviz.plan.samplers import resolve
from sdviz.plan.settings import PLURALS, SETTINGS
from sdviz.request.checks.settings import NEEDS

_DEFAULT_MODEL = "miniature"  # what conf/sweep.yaml says where nobody asked for a model


def with_picture(given: Mapping[str, Any], model_folders: Sequence[Path]) -> dict[str, Any]:
    """`given` without `from`, and with the picture's settings where it has null.

    The picture's model is taken where it is known here by that name and none was asked for; else a
    warning says which it was. Raises ConfigError where the picture holds no recipe.
    """
    known = dict(given)
    picture = known.pop("from", None)
    if not picture:
        return known
    try:
        recipe = recipe_from_png(Path(str(picture)).expanduser())
    except ArchiveError as error:
        raise ConfigError(str(error)) from error
    model = recipe.pop("model", None)
    if model and known.get("models") in (None, _DEFAULT_MODEL) and model != _DEFAULT_MODEL:
        if any((folder / f"{model}.yaml").is_file() for folder in model_folders):
            known["models"] = model
        else:
            print(
                f"warning: from={picture}: made by model {model!r}, which is not here;"
                f" model={_DEFAULT_MODEL} stands in for it",
                file=sys.stderr,
            )
    _leave_out_absent(recipe, known, picture)
    for name in ABSORBED:
        recipe.pop(name, None)
    for name, (needed, _) in NEEDS.items():  # what did nothing there is not asked for here
        if known.get(needed) is None and recipe.get(needed) in (None, DEFAULTS[needed]):
            recipe.pop(name, None)
    several = {one for plural, one in PLURALS.items() if known.get(plural) is not None}
    for name, value in recipe.items():
        if known.get(name) is None and name not in several:
            known[name] = _typed(name, value)
    return known


def _typed(name: str, value: Any) -> Any:
    """The setting's value so that it is read as what it is, whatever commas and quotes it has."""
    if not isinstance(value, str):
        return value
    if name in PLURALS.values():
        return [value]  # in a list a prompt stands for itself
    return quoted(value) if SETTINGS[name].kind == "word" else value


def _leave_out_absent(recipe: dict[str, Any], given: Mapping[str, Any], picture: Any) -> None:
    """Takes a LoRA or a VAE that is not here out of the recipe, with a warning:
    stable-diffusion-webui tells its name, and not where it is.
    """
    for key in ("lora", "vae", "embedding"):
        name = str(recipe.get(key, ""))
        if name and given.get(key) is None and not _may_be_here(name):
            del recipe[key]
            recipe.pop(f"{key}_scale", None)
            print(
                f"warning: from={picture}: made with {key}={name}, which is not here: left out"
                f" unless you give {key}=",
                file=sys.stderr,
            )


def _may_be_here(name: str) -> bool:
    """A path that exists, or what may be a hub id, of which the check of models says more."""
    return "/" in name or Path(name).expanduser().exists()


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
    texts = files.read_texts(path)
    if files.CHUNK in texts:
        found = _own(texts[files.CHUNK])
        if found:
            return found
    text = texts.get(files.PARAMETERS, "")
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

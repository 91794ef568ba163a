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

from sdviz.plan import loras
from sdviz.plan.labels import place_name
from sdviz.plan.prompts import said
from sdviz.plan.settings import DEFAULTS

LONGEST = 1 << 18  # characters of a text that is read; a longer one is no picture's
_FEWEST_PAIRS = 3  # a last line with fewer belongs to the prompt
_NEGATIVE = "Negative prompt:"
_STEPS = re.compile(r"\s*Steps:\s*\d+\s*(?:,|$)")  # how a line of settings begins
_STEPS_WITHIN = re.compile(r"\bSteps:\s?\d+\s?,")
_TEMPLATE = re.compile(r"\s*(?:Negative )?Template:")  # the prompt before wildcards were replaced
_FIRST_KEY = re.compile(r"\s*(?:Sampler|Seed|CFG scale|Size|Model|Model hash|Clip skip):")
_NOT_OF_A_KEY = re.compile(r"[^\w \-/]")
_STRING = re.compile(r'"(?:\\.|[^\\"])+"\s*(?:,|\Z)', re.DOTALL)
_JSON = json.JSONDecoder()


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
            return clean(str(json.loads(text)))
        except (ValueError, RecursionError):
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
    """Takes a `parameters` text apart, in time linear in its length.

    As stable-diffusion-webui does where the last line is one of settings. Beyond that: lines that
    extensions write behind the settings are left out, settings may stand in several lines, and
    prompts and settings in one. Raises ValueError for a text of more than `LONGEST` characters.
    """
    if len(text) > LONGEST:
        raise ValueError(f"a text of {len(text):,} characters, more than {LONGEST:,}")
    before, settings = _apart(clean(text).strip().replace("\r\n", "\n").split("\n"))
    prompt: list[str] = []
    negative: list[str] = []
    target = prompt
    for line in before:
        line = line.strip()
        if line.startswith(_NEGATIVE):
            target = negative
            line = line[len(_NEGATIVE) :].strip()
        target.append(line)
    return Infotext("\n".join(prompt).strip(), "\n".join(negative).strip(), pairs_of(settings))


def _apart(lines: list[str]) -> tuple[list[str], str]:
    """The lines of the prompts, and the settings as one line; "" where there are none."""
    last = len(lines) - 1
    at = next((i for i in reversed(range(last + 1)) if _STEPS.match(lines[i])), None)
    settings = [] if at is None else _continued(lines, at)
    if (at is None or at + len(settings) <= last) and _is_whole(lines[last]):
        return lines[:last], lines[last]  # as stable-diffusion-webui has it: the last line counts
    if at is None:
        return _apart_within(lines)
    if len(pairs_of(lines[at])) < _FEWEST_PAIRS:  # one setting a line; some may stand before it
        steps = at
        while at and _FIRST_KEY.match(lines[at - 1]):
            at -= 1
        settings = [*lines[at:steps], *settings]
    whole = ", ".join(line.strip().removesuffix(",") for line in settings)
    return (lines[:at], whole) if len(pairs_of(whole)) >= _FEWEST_PAIRS else (lines, "")


def _is_whole(line: str) -> bool:
    """Is this a line of settings, and of nothing else?"""
    if _TEMPLATE.match(line) or len(pairs_of(line)) < _FEWEST_PAIRS:
        return False
    return _FIRST_KEY.match(line) is not None or _STEPS_WITHIN.search(line) is None


def _continued(lines: list[str], at: int) -> list[str]:
    """The settings that begin in line `at`: that line, and those that go on with them."""
    settings = [lines[at]]
    for line in lines[at + 1 :]:
        key, colon, _ = line.strip().partition(":")
        is_pair = bool(colon) and len(key) > 1 and not _NOT_OF_A_KEY.search(key)
        goes_on = settings[-1].rstrip().endswith(",")
        if _TEMPLATE.match(line) or not (goes_on or is_pair):
            break
        settings.append(line)
    return settings


def _apart_within(lines: list[str]) -> tuple[list[str], str]:
    """As `_apart`, for a text whose settings follow the prompts in the same line."""
    for at in reversed(range(len(lines))):
        begins = [match.start() for match in _STEPS_WITHIN.finditer(lines[at])]
        if begins and len(pairs_of(lines[at][begins[-1] :])) >= _FEWEST_PAIRS:
            head = lines[at][: begins[-1]].rstrip(" ,")
            prompt, negative, rest = head.partition(_NEGATIVE)
            parts = [prompt.rstrip(" ,"), negative + rest] if negative else [head]
            return [*lines[:at], *parts], lines[at][begins[-1] :]
    return lines, ""


def pairs_of(line: str) -> dict[str, str]:
    """The `key: value` pairs of a line of settings, in order; of a key given twice the last.

    A key has two characters or more, the first a word character. A value is a JSON string, a JSON
    list or object (which stable-diffusion-webui would tear apart), or has no comma.
    """
    pairs: dict[str, str] = {}
    start = 0
    colon = line.find(":")
    while colon >= 0:
        key = _key_before(line, start, colon)
        if not key:
            colon = line.find(":", colon + 1)
            continue
        value, start = _value(line, colon + 1)
        pairs[key] = unquote(value.strip())
        colon = line.find(":", start)
    return pairs


def _key_before(line: str, start: int, colon: int) -> str:
    """The key that ends at `colon`; "" where none does."""
    at = colon
    while at > start and not _NOT_OF_A_KEY.match(line[at - 1]):
        at -= 1
    key = line[at:colon].lstrip(" -/")
    return key if len(key) > 1 else ""


def _value(line: str, at: int) -> tuple[str, int]:
    """The value from `at`, and where the next pair may begin."""
    while at < len(line) and line[at].isspace():
        at += 1
    if string := _STRING.match(line, at):
        return string[0].rstrip().removesuffix(","), string.end()
    if line[at : at + 1] in ("[", "{"):
        try:
            _, end = _JSON.raw_decode(line, at)
        except (ValueError, RecursionError):
            pass
        else:
            if line[end : end + 1] in ("", ","):
                return line[at:end], end + 1
    comma = line.find(",", at)
    end = len(line) if comma < 0 else comma
    return line[at:end], end + 1


def clean(text: str) -> str:
    """`text` without what UTF-8 or a PNG cannot hold: lone surrogates and zero bytes."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def with_lora(prompt: str, recipe: Mapping[str, Any]) -> str:
    """The prompt as stable-diffusion-webui has it: with the LoRAs in it, as <lora:name:1>."""
    worn = loras.pairs(recipe.get("lora") or "", recipe.get("lora_scale", 1.0))
    signs = [f"<lora:{_lora_name(name)}:{number(scale)}>" for name, scale in worn]
    return " ".join([prompt, *signs]).strip() if signs else prompt


def cell_pairs(
    recipe: Mapping[str, Any],
    sampler: Mapping[str, Any],
    *,
    identity: str,
    extra: Mapping[str, Any],
    contents: Mapping[str, str] | None = None,
    distilled: bool = False,
) -> dict[str, object]:
    """The last line's pairs of one cell, in stable-diffusion-webui's order.

    `sampler` has the keys "Sampler" and perhaps "Schedule type"; `extra` goes before the version.
    `contents` has the hashes of the files that settings name. `distilled`: the model was trained
    with its guidance in it (Flux), so that `cfg` is Forge's distilled scale, and the true one is 1.
    Settings that stable-diffusion-webui has no word for are written as "sdviz <setting>".
    """
    pairs: dict[str, object] = {
        "Steps": recipe["steps"],
        **sampler,
        "CFG scale": "1" if distilled else number(recipe["cfg"]),
        "Distilled CFG Scale": number(recipe["cfg"]) if distilled else None,
        "Seed": recipe["seed"],
        "Size": f"{recipe['width']}x{recipe['height']}",
        "Model hash": identity[:10],
        "Model": _stem(place_name(recipe["model"])),
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
    worn = recipe.get("lora") or ""
    if worn in contents and not loras.is_off(recipe.get("lora_scale", 1.0)):
        named = zip(loras.names(worn), contents[worn].split("+"), strict=False)
        pairs["Lora hashes"] = ", ".join(f"{_lora_name(one)}: {known[:12]}" for one, known in named)
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
            own[f"sdviz {key}".replace("_", " ")] = place_name(value) if key == "init" else value
    return own


def _lora_name(lora: str) -> str:
    """The name of the file, without what stable-diffusion-webui's brackets could not hold."""
    return re.sub(r"[<>:]", "_", _stem(PurePath(lora).name))


def _stem(name: str) -> str:
    """The name of a file of weights without its ending."""
    return re.sub(r"\.(?:safetensors|pt|ckpt|bin)$", "", name)


# sdviz's name -> stable-diffusion-webui's for what enlarges a picture before its second pass.
UPSCALERS = {"latent": "Latent", "latent-nearest": "Latent (nearest)", "pixel": "Lanczos"}
OWN = (  # settings that it has no word for
    *("guidance_rescale", "noise_seed", "resize", "sr", "init", "hires_strength"),
    *("safety", "watermark"),
)

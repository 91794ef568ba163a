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
from sdviz.plan.prompts import words_and_hashes
from sdviz.plan.setting import Setting
from sdviz.plan.settings import DEFAULTS, SETTINGS

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
# stable-diffusion-webui's order; what it does not write itself comes behind.
_ORDER = (
    *("Steps", "Sampler", "Schedule type", "CFG scale", "Distilled CFG Scale", "Seed", "Size"),
    *("Model hash", "Model", "VAE hash", "VAE", "Variation seed", "Variation seed strength"),
    *("Seed resize from", "Denoising strength", "Clip skip", "RNG", "Tiling", "Hires upscale"),
    *("Hires steps", "Hires upscaler", "Emphasis", "Lora hashes", "TI hashes", "Eta"),
)


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
    """The `key: value` pairs of a line of settings, in order; the last of equal keys counts.

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
    pairs = loras.pairs(recipe.get("lora") or "", recipe.get("lora_scale", 1.0))
    signs = [f"<lora:{_lora_name(name)}:{number(scale)}>" for name, scale in pairs]
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
    known = {**DEFAULTS, **recipe}
    pairs = {
        **{row.pair: _written(row, known) for row in SETTINGS.values() if not row.composed},
        **_composed(known, sampler, identity, contents or {}),
    }
    if distilled:
        pairs |= {"CFG scale": "1", "Distilled CFG Scale": number(known["cfg"])}
    theirs = {name: pairs.pop(name) for name in _ORDER if name in pairs}
    return {**theirs, **pairs, **extra}


def _written(row: Setting, known: Mapping[str, Any]) -> object:
    """The text of a setting, or None if it is at its default or has no effect.

    A setting that needs another one (`needs`) is written whenever that one is.
    """
    value = known[row.name]
    needed = row.needs.partition("=")[0] if row.infotext else ""
    if not row.always and known[needed or row.name] == DEFAULTS[needed or row.name]:
        return None
    if isinstance(value, float):
        return number(value)
    return row.infotext_values.get(value, place_name(value) if row.path else value)


def _composed(
    known: Mapping[str, Any],
    sampler: Mapping[str, Any],
    identity: str,
    contents: Mapping[str, str],
) -> dict[str, object]:
    """What several settings, or the files that they name, are written as."""
    vae, lora = known["vae"], known["lora"]
    pairs: dict[str, object] = {
        **sampler,
        "Size": f"{known['width']}x{known['height']}",
        "Model hash": identity[:10],
        "Model": _stem(place_name(known["model"])),
        "VAE hash": contents.get(vae, "")[:10] if vae else None,
        "VAE": PurePath(vae).name,
        "RNG": "CPU",  # noise is drawn on the CPU, whatever the device
    }
    strengths = [
        *([known["strength"]] if known["init"] else []),
        *([known["hires_strength"]] if known["hires_scale"] > 1 else []),
    ]
    if strengths:
        pairs["Denoising strength"] = number(strengths[0])
    if len(strengths) > 1 and strengths[1] != DEFAULTS["hires_strength"]:
        pairs[SETTINGS["hires_strength"].pair] = number(strengths[1])
    if lora in contents and not loras.is_off(known["lora_scale"]):
        named = zip(loras.names(lora), contents[lora].split("+"), strict=False)
        pairs["Lora hashes"] = ", ".join(
            f"{_lora_name(one)}: {digits[:12]}" for one, digits in named
        )
    if known["embedding"] in contents:
        words = words_and_hashes(contents[known["embedding"]], known["prompt"], known["negative"])
        pairs["TI hashes"] = ", ".join(f"{word}: {digits[:12]}" for word, digits in words)
    return pairs


def _lora_name(lora: str) -> str:
    """The name of the file, without what stable-diffusion-webui's brackets could not hold."""
    return re.sub(r"[<>:]", "_", _stem(PurePath(lora).name))


def _stem(name: str) -> str:
    """The name of a file of weights without its ending."""
    return re.sub(r"\.(?:safetensors|pt|ckpt|bin)$", "", name)

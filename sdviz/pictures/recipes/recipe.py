"""What a picture's text says about how it was made: settings of sdviz, and the rest."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sdviz.errors import ConfigError
from sdviz.pictures.infotext import clean
from sdviz.plan.samplers import resolve

_WHOLE = re.compile(r"[+-]?\d{1,20}(?:\.0{1,20})?")
_NUMBER = re.compile(r"[+-]?(?:\d{1,20}(?:\.\d{0,40})?|\.\d{1,40})(?:[eE][+-]?\d{1,3})?")
_SIZE = re.compile(r"\(?\s*(\d{1,5})\s*[x×,]\s*(\d{1,5})\s*\)?")
_LONGEST_VALUE = 120  # characters of a value in a message
_FEW = 2  # keys of one extension that are still named one by one
_ENDING = re.compile(r"\.(?:safetensors|ckpt|pt|pth|bin|sft|gguf)$", re.IGNORECASE)

# Schedules that mean what a sampler's plain name means here.
_PLAIN_SCHEDULES = ("", "normal", "native", "default", "none")
_SAMPLERS = {  # names of ComfyUI and its relatives that `resolve` does not know
    "uni_pc_bh2": "UniPC",
    "dpmpp_2s_ancestral": "DPM++ 2S a",
    "dpm_2_ancestral": "DPM2 a",
    "ddim_v3": "DDIM",
    "kdpm_2": "DPM2",
    "kdpm_2_a": "DPM2 a",
}


@dataclass
class PictureRecipe:
    """The recipe in a picture's text, by root key's name; what the text does not have is absent."""

    settings: dict[str, Any] = field(default_factory=dict)
    omitted: list[tuple[str, str]] = field(default_factory=list)  # what sdviz does not do again
    remarks: list[str] = field(default_factory=list)

    @property
    def warnings(self) -> list[str]:
        """What the user should know, a line each; one line names all that is not done again."""
        left_out = named(self.omitted)
        return [*self.remarks, *([f"ignored: {left_out}"] if left_out else [])]

    def omit(self, key: str, value: Any = "") -> None:
        """Notes something of the text that changes pixels and that sdviz does not do."""
        self.omitted.append((key, value if isinstance(value, str) else _compact(value)))

    def omit_rest(self, values: Mapping[str, Any], known: Iterable[str]) -> None:
        """Notes every key of `values` that is not among `known` and has a value."""
        known = set(known)
        for key, value in values.items():
            if key not in known and value not in (None, "", "None", False, [], {}):
                self.omit(key, value)

    def whole(self, name: str, value: Any) -> None:
        """A setting that is a whole number; what is none is left out."""
        text = _number_text(value)
        if _WHOLE.fullmatch(text):
            self.settings[name] = int(text.partition(".")[0])

    def number(self, name: str, value: Any) -> None:
        """A setting that is a number; what is none is left out."""
        text = _number_text(value)
        if _NUMBER.fullmatch(text) and math.isfinite(float(text)):
            self.settings[name] = float(text)

    def text(self, name: str, value: Any) -> None:
        """A setting that is a text; several lines where the value is a list."""
        if isinstance(value, list):
            value = "\n".join(map(str, value))
        if isinstance(value, str):
            self.settings[name] = clean(value)

    def size(self, value: Any) -> None:
        """`512x768`, `(1152, 896)`."""
        match = _SIZE.fullmatch(str(value).strip())
        if match and all(int(side) for side in match.groups()):
            self.settings["width"], self.settings["height"] = map(int, match.groups())

    def model(self, value: Any) -> None:
        """The model's name, without the ending of its file."""
        if isinstance(value, str) and value.strip():
            self.settings["model"] = file_stem(clean(value))

    def sampler(self, name: Any, schedule: Any = "", *, key: str = "scheduler") -> None:
        """Sampler and schedule as one name of sdviz; a name without a counterpart is left as it is,
        for the request to refuse. `key` is what the text calls the schedule.
        """
        name, schedule = str(name or "").strip(), str(schedule or "").strip()
        if not name:
            return
        sampler, taken = sampler_named(name, schedule)
        self.settings["sampler"] = sampler
        if not taken:
            self.omit(key, schedule)

    def loras(self, several: Sequence[tuple[str, Any]]) -> None:
        """The LoRAs of the text, each with its scale; one whose name has a plus sign, which would
        be read as two, is named only.
        """
        taken: dict[str, float] = {}
        for name, scale in several:
            text = _number_text(1 if scale in (None, "") else scale)
            if name and "+" not in name and name not in taken and _NUMBER.fullmatch(text):
                taken[clean(name)] = float(text)
            else:
                self.omit(f"LoRA {name}", f"{scale}")
        if taken:
            self.settings["lora"] = "+".join(taken)
            scales = list(taken.values())
            self.settings["lora_scale"] = (
                scales[0] if len(scales) == 1 else "+".join(f"{scale:g}" for scale in scales)
            )


def sampler_named(name: str, schedule: str) -> tuple[str, bool]:
    """(sdviz's name, is the schedule part of it); the name unchanged where sdviz has none."""
    name = re.sub(r"_gpu$", "", name)
    name = _SAMPLERS.get(name.removeprefix("k_"), name)
    plain = schedule.lower().replace("_", " ")
    if plain in _PLAIN_SCHEDULES:
        return _known(name) or name, True
    whole = _known(f"{name} {plain}")
    return (whole, True) if whole else (_known(name) or f"{name} {schedule}", False)


def _known(name: str) -> str:
    try:
        return resolve(name).name
    except ConfigError:
        return ""


def file_stem(path: str) -> str:
    """`x` of /models/x.safetensors, as of C:\\\\models\\\\x.ckpt; a name stays as it is."""
    return _ENDING.sub("", re.split(r"[/\\]", path.strip())[-1])


def named(omitted: Sequence[tuple[str, str]]) -> str:
    """`Refiner: x, ADetailer (9 settings)`: what an extension has written is joined."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for key, value in omitted:
        key = clean(key)
        groups.setdefault(key if key.startswith("LoRA ") else key.split(" ")[0], []).append(
            (key, value)
        )
    parts = []
    for word, group in groups.items():
        if len(group) > _FEW:
            parts.append(f"{word} ({len(group)} settings)")
        else:
            parts += [f"{key}: {_cut(value)}" if value else key for key, value in group]
    return ", ".join(parts)


def _cut(value: str) -> str:
    value = " ".join(clean(value).split())
    return value if len(value) <= _LONGEST_VALUE else value[: _LONGEST_VALUE - 3] + "..."


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _number_text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return ""
    if isinstance(value, int) and abs(value) >= 10**20:
        return ""
    return (repr(value) if isinstance(value, float) else str(value)[:80]).strip()

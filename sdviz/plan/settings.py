"""The generation settings: what kind of value each takes, and how text becomes such values. No
torch.

A setting holds None when the user gave nothing: the model's own default then counts, or else the
one here.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sdviz.errors import ConfigError, ConfigErrors, SdvizError, gathered, nearest
from sdviz.plan import lists, ranges
from sdviz.plan.cells import DEFAULTS, SWITCHED_OFF


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One root key of the command line that can be an axis."""

    kind: str  # "int", "float": numbers and ranges; "word": names; "text": prompts; "flag"
    help: str
    least: float = -math.inf
    most: float = math.inf
    nullable: bool = False  # null is a value of its own, and not the model's default
    choices: tuple[str, ...] = ()  # of a word, where only these will do
    pattern: str = ""  # of a word, where only such will do; `help` says it in words


SETTINGS: Mapping[str, Setting] = {
    "prompt": Setting(kind="text", help="what to draw; a comma is part of it"),
    "negative": Setting(kind="text", help="what not to draw"),
    "model": Setting(kind="word", help="a name of conf/model/, a folder, a checkpoint or a hub id"),
    "cfg": Setting(kind="float", least=0, most=1000, help="CFG scale; 1 switches guidance off"),
    "sampler": Setting(
        kind="word", help="as in stable-diffusion-webui, or euler_a, dpmpp_2m_karras; all"
    ),
    "schedule": Setting(kind="word", help="of the sampler's sigmas: karras, exponential, beta ..."),
    "steps": Setting(kind="int", least=1, most=10_000, help="sampler steps"),
    "seed": Setting(kind="int", least=-1, most=2**64 - 1, help="-1 draws one for the whole sweep"),
    "width": Setting(kind="int", least=8, most=16_384, help="pixels"),
    "height": Setting(kind="int", least=8, most=16_384, help="pixels"),
    "eta": Setting(
        kind="float",
        least=0,
        most=1,
        nullable=True,
        help="noise of DDIM and the ancestral samplers",
    ),
    "guidance_rescale": Setting(
        kind="float", least=0, most=1, help="against burnt pictures at high CFG; 0.7 is usual"
    ),
    "clip_skip": Setting(kind="int", least=1, most=12, help="1 takes CLIP's last layer"),
    "emphasis": Setting(
        kind="word", choices=("a1111", "none"), help="(word:1.3), BREAK, long prompts; or as typed"
    ),
    "sr": Setting(kind="word", help="pyramid,house,tree: the first is searched and replaced"),
    "init": Setting(kind="word", help="image to start from: a file, or outputs/<name>#<cell>"),
    "strength": Setting(kind="float", least=0, most=1, help="share of the steps after `init`"),
    "resize": Setting(
        kind="word", choices=("stretch", "crop", "fill"), help="how `init` takes the size"
    ),
    "noise_seed": Setting(
        kind="int", least=0, most=2**64 - 1, nullable=True, help="of the start noise alone"
    ),
    "variation_seed": Setting(kind="int", least=0, most=2**64 - 1, help="of the noise mixed in"),
    "variation_strength": Setting(kind="float", least=0, most=1, help="how much is mixed in"),
    "seed_resize": Setting(
        kind="word", pattern=r"[1-9]\d{0,4}x[1-9]\d{0,4}|", help="a size such as 512x512"
    ),
    "tiling": Setting(kind="flag", help="the picture's edges fit together"),
    "hires_scale": Setting(kind="float", least=1, most=8, help="size of a second pass; 1: none"),
    "hires_upscaler": Setting(
        kind="word", choices=("latent", "latent-nearest", "pixel"), help="before the second pass"
    ),
    "hires_steps": Setting(kind="int", least=0, most=10_000, help="0: as many as `steps`"),
    "hires_strength": Setting(kind="float", least=0, most=1, help="as `strength`"),
    "lora": Setting(kind="word", help="a LoRA: a file, a folder or a hub id; none"),
    "lora_scale": Setting(kind="float", least=-100, most=100, help="of the LoRA; 0: without it"),
    "embedding": Setting(kind="word", help="textual inversions: a file, or a folder of them; none"),
    "vae": Setting(kind="word", help="another VAE: a folder, a file or a hub id; none"),
    "safety": Setting(
        kind="word",
        choices=("none", "mark", "blur", "black"),
        help="what becomes of pictures that the safety checker flags",
    ),
    "watermark": Setting(kind="flag", help="Stable Diffusion XL's invisible watermark"),
}

_NAMED = (SETTINGS["sampler"], SETTINGS["schedule"])  # words that sdviz itself has given names

assert set(SETTINGS) == set(DEFAULTS), "every setting of a recipe is a root key"

# Keys whose values reach us as typed, because Hydra's grammar would read something else into them.
PLURALS: Mapping[str, str] = {"prompts": "prompt", "negatives": "negative"}


def values_of(name: str, given: Any) -> list[Any]:
    """The values of setting `name` that `given` (out of the configuration) stands for; [None] if
    nothing is given.

    A string is read in the grammar of sdviz.plan.lists and sdviz.plan.ranges; a list holds strings
    and numbers, each of them read likewise, except that the strings of a list of prompts stand for
    themselves. Raises ConfigError, or ConfigErrors with the values that are in order.
    """
    if given is None:
        return [None]
    setting = SETTINGS[name]
    if isinstance(given, list | tuple):
        if not given:
            raise ConfigError(f"{name}=[]: give at least one value", key=name)
        if setting.kind == "text":
            return [None if item is None else str(item) for item in given]
        if setting.kind == "word":  # an archive's configuration may hold "" for none
            given = ["''" if item == "" else item for item in given]
        return gathered([functools.partial(values_of, name, item) for item in given])
    if setting.kind == "flag" and isinstance(given, bool):
        return [given]
    if isinstance(given, bool | Mapping):
        raise ConfigError(f"{name}={given!r}: must be {_what(setting)}", key=name)
    try:
        values, errors = _read(setting, given), []
    except ConfigErrors as several:
        values, errors = several.sound, several.errors
    except ConfigError as error:
        values, errors = [], [error]
    typed = f"{name}={_short(given)}"
    found: list[SdvizError] = [ConfigError(f"{typed}: {error}", key=name) for error in errors]
    return gathered([functools.partial(_checked_one, name, value) for value in values], found)


def _checked_one(name: str, value: Any) -> list[Any]:
    if name == "sampler" and value == "all":
        from sdviz.plan.samplers import every

        return list(every())
    return [_checked(name, value)]


def typed(name: str, value: Any) -> str:
    """`value` of setting `name` as it can be typed, so that `values_of` has it as the one value
    again, whatever commas, quotes and brackets are in it.
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if not isinstance(value, str):
        return str(value)
    if SETTINGS[name].kind == "word":
        return lists.quoted(value)
    stands = value.strip() != "null" and lists.parse_texts(value) == [value]
    return value if stands else lists.in_quotes(value)


def one_value(name: str, text: str) -> Any:
    """The one value that `text` stands for, as in a rule (`sampler=heun`). Raises ConfigError."""
    if name not in SETTINGS:
        raise ConfigError(f"{name}: no such setting; {nearest(name, SETTINGS)}", key=name)
    if SETTINGS[name].kind == "text":
        return text
    values = values_of(name, text)
    if len(values) != 1:
        raise ConfigError(f"{name}={text}: a rule compares with one value", key=name)
    return values[0]


def _read(setting: Setting, given: Any) -> list[Any]:
    if setting.kind == "text":
        text = str(given)
        return [None] if text.strip() == "null" else list(lists.parse_texts(text))
    if not isinstance(given, str):
        given = repr(given) if isinstance(given, float) else str(given)
    if given.strip() == "null":
        return [None]
    if setting.kind in ("int", "float"):
        given = lists.half_width(given)
    elif setting.choices or setting.kind == "flag" or setting in _NAMED:
        given = given.replace("，", ",").replace("、", ",")  # no such name has one in it
    parts = lists.without_last_comma(lists.split_list(given))
    if "null" in parts and setting.nullable:  # one among several: the sampler's own, and 0.5
        return gathered([functools.partial(_read, setting, part) for part in parts])
    if setting.kind in ("word", "flag"):
        return list(lists.parse_words(given))
    return list(ranges.parse_numbers(given, whole=setting.kind == "int"))


def _checked(name: str, value: Any) -> Any:
    """The value in its one spelling, within its range."""
    setting = SETTINGS[name]
    if value is None or setting.kind == "text":
        return value
    if name in ("sampler", "schedule"):
        from sdviz.plan import samplers

        return samplers.resolve(value).name if name == "sampler" else samplers.schedule_named(value)
    if setting.kind == "flag":
        if str(value).lower() not in ("true", "false"):
            raise ConfigError(f"{name}={value}: must be true or false", key=name)
        return str(value).lower() == "true"
    if setting.kind == "word":
        return _checked_word(name, setting, value)
    if not setting.least <= value <= setting.most:
        typed = f"{value:.10g}" if isinstance(value, float) else value
        raise ConfigError(f"{name}={typed}: must be {_what(setting)}", key=name)
    return value


def _checked_word(name: str, setting: Setting, value: str) -> str:
    if name in SWITCHED_OFF and value == "none":
        return ""
    if setting.choices and value not in setting.choices:
        raise ConfigError(f"{name}={value}: {nearest(value, setting.choices)}", key=name)
    if setting.pattern and not re.fullmatch(setting.pattern, value):
        raise ConfigError(f"{name}={value}: must be {setting.help}", key=name)
    if name == "seed_resize":
        for side in filter(None, value.split("x")):
            try:
                _checked("width", int(side))
            except ConfigError as error:
                raise ConfigError(f"{name}={value}: {error}", key=name) from None
    return value


def _what(setting: Setting) -> str:
    """In words, what a setting takes."""
    if setting.kind == "flag":
        return "true or false"
    if setting.choices:
        return "one of " + ", ".join(setting.choices)
    if setting.kind in ("word", "text"):
        return {"word": "a name", "text": "a text"}[setting.kind]
    kind = {"int": "a whole number", "float": "a number"}[setting.kind]
    most = "2**64 - 1" if setting.most == 2**64 - 1 else f"{setting.most:g}"
    return f"{kind} from {setting.least:g} to {most}"


def _short(given: Any) -> str:
    text = str(given)
    return text if len(text) <= 60 else text[:57] + "..."


def draw_seeds(
    seeds: list[Any], recorded: list[int], draw: Callable[[], int]
) -> tuple[list[int], list[int]]:
    """Put a seed in the place of every -1: first those recorded by an earlier run, then freshly
    drawn ones. None is the default.

    Returns the seeds and, in order, those that stand for a -1.
    """
    used: list[int] = []
    out: list[int] = []
    for seed in seeds:
        if seed == -1:
            used.append(recorded[len(used)] if len(used) < len(recorded) else draw())
            out.append(used[-1])
        else:
            out.append(DEFAULTS["seed"] if seed is None else seed)
    return out, used


def several_seeds(seeds: Sequence[int], count: int) -> list[int]:
    """Each seed and those that follow it, `count` in all: 42 with 3 is 42, 43, 44."""
    return [(seed + i) % 2**64 for seed in seeds for i in range(count)]

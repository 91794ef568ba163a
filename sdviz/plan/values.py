"""The values of a setting as text: one reader, one writer, and where a configuration has them. No
torch.

A setting holds None when the user gave nothing: the model's own default then counts, or else the
one of its row in sdviz.plan.settings.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sdviz.errors import ConfigError, ConfigErrors, SdvizError, gathered, nearest
from sdviz.plan import grammar, loras
from sdviz.plan.setting import Setting
from sdviz.plan.settings import DEFAULTS, SETTINGS


def values_of(name: str, source: Any) -> list[Any]:
    """The values of setting `name` in `source`, a value of the configuration; [None] for None.

    A string is parsed by sdviz.plan.grammar. A list holds strings and numbers, each parsed in the
    same way; the strings in a list of prompts are taken as they are. Raises ConfigError, or
    ConfigErrors with the valid values.
    """
    if source is None:
        return [None]
    setting = SETTINGS[name]
    if isinstance(source, list | tuple):
        if not source:
            raise ConfigError(f"{name}=[]: give at least one value", key=name)
        if setting.kind == "text":
            return [None if item is None else str(item) for item in source]
        if setting.kind == "word":  # an archive's configuration may hold "" for none
            source = ["''" if item == "" else item for item in source]
        return gathered([functools.partial(values_of, name, item) for item in source])
    if setting.kind == "flag" and isinstance(source, bool):
        return [source]
    if isinstance(source, bool | Mapping):
        raise ConfigError(f"{name}={source!r}: must be {setting.takes}", key=name)
    try:
        values, errors = _read(setting, source), []
    except ConfigErrors as several:
        values, errors = several.sound, several.errors
    except ConfigError as error:
        values, errors = [], [error]
    typed = f"{name}={_short(source)}"
    faults: list[SdvizError] = [ConfigError(f"{typed}: {error}", key=name) for error in errors]
    return gathered([functools.partial(setting.checked, value) for value in values], faults)


def one_value(name: str, text: str) -> Any:
    """The single value of `text`, as in a rule (`sampler=heun`). Raises ConfigError."""
    if name not in SETTINGS:
        raise ConfigError(f"{name}: no such setting; {nearest(name, SETTINGS)}", key=name)
    if SETTINGS[name].kind == "text":
        return text
    values = values_of(name, text)
    if len(values) != 1:
        raise ConfigError(f"{name}={text}: a rule compares with one value", key=name)
    return values[0]


def _read(setting: Setting, source: Any) -> list[Any]:
    if setting.kind == "text":
        text = str(source)
        return [None] if text.strip() == "null" else list(grammar.parse_texts(text))
    if not isinstance(source, str):
        source = repr(source) if isinstance(source, float) else str(source)
    if source.strip() == "null":
        return [None]
    if setting.kind in ("int", "float"):
        source = grammar.half_width(source)
    elif setting.choices or setting.kind == "flag" or setting.spelling:
        source = source.replace("，", ",").replace("、", ",")  # no such name has one in it
    parts = grammar.without_last_comma(grammar.split_list(source))
    if "null" in parts and setting.nullable:  # one among several: the sampler's own, and 0.5
        return gathered([functools.partial(_read, setting, part) for part in parts])
    if setting.kind in ("word", "flag"):
        return list(grammar.parse_words(source))
    if setting.summed and any(map(loras.read_scales, grammar.flat_list(source))):
        return gathered([functools.partial(_read_scales, one) for one in grammar.flat_list(source)])
    return list(grammar.parse_numbers(source, whole=setting.kind == "int"))


def _read_scales(text: str) -> list[Any]:
    several = loras.read_scales(text)
    return [several] if several else list(grammar.parse_numbers(text, whole=False))


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def typed(name: str, value: Any) -> str:
    """`value` of setting `name` as you would type it, with commas, quotes and brackets quoted.

    `values_of` reads it back as this one value.
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if not isinstance(value, str):
        return str(value)
    if SETTINGS[name].kind != "text":
        return grammar.quoted(value)
    stands = value.strip() != "null" and grammar.parse_texts(value) == [value]
    return value if stands else grammar.in_quotes(value)


def plain(name: str, values: Sequence[Any]) -> Any:
    """The values as a YAML file has them: numbers as numbers, and a list of prompts unchanged.

    All other text is written so that `values_of` reads it back.
    """
    kind = SETTINGS[name].kind
    if kind == "word":
        values = [typed(name, value) if isinstance(value, str) else value for value in values]
    elif kind == "text" and len(values) == 1 and values[0] is not None:
        return values[0] if typed(name, values[0]) == values[0] else [*values]
    return values[0] if len(values) == 1 else [*values]


def entries(key: str, value: Any) -> dict[str, Any]:
    """What a configuration holds where `key`, a setting or its plural, is `value`: the other of the
    two is switched off.
    """
    row = SETTINGS[setting_of(key)]
    if key == row.plural:
        return {row.plural: value, row.root: None}
    return {row.root: value, **({row.plural: None} if row.plural else {})}


def entry(raw_config: Mapping[str, Any], name: str) -> tuple[str, Any]:
    """The key of setting `name` in a configuration, and its value, or None if it has none.

    Raises ConfigError if both the setting and its plural have a value.
    """
    row = SETTINGS[name]
    value = raw_config.get(row.root)
    several = raw_config.get(row.plural) if row.plural else None
    if several is None:
        return name, value
    if value is not None:
        raise ConfigError(f"{row.plural}, {name}: give only one of them", key=name)
    return row.plural, several


# Every root key of a configuration that gives a setting: as it is typed, and as Hydra has it.
_BY_KEY = {
    key: row.name for row in SETTINGS.values() for key in (row.name, row.key, row.plural) if key
}


def setting_of(key: str) -> str:
    """The setting that a root key of the configuration gives; "" where it gives none."""
    return _BY_KEY.get(key, "")


def plurals() -> list[str]:
    """The keys for several values of a text at once."""
    return [row.plural for row in SETTINGS.values() if row.plural]


def draw_seeds(
    seeds: list[Any], recorded: list[int], draw: Callable[[], int]
) -> tuple[list[int], list[int]]:
    """Replaces every -1 by a seed: first those recorded by an earlier run, then newly drawn ones.

    None is the default seed. Returns all seeds, and in order those that replaced a -1.
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

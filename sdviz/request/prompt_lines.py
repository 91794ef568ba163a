"""A file of prompts, one per line. A line may have settings of its own.

The format is that of the script "Prompts from file" of stable-diffusion-webui:

    a castle by a lake
    --prompt "a castle by a lake" --negative_prompt "fog" --steps 20 --cfg_scale 5

Source: AUTOMATIC1111/stable-diffusion-webui 1.10, scripts/prompts_from_file.py.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sdviz.errors import ConfigError, ConfigErrors, SdvizError, nearest
from sdviz.plan.grammar import unquote
from sdviz.plan.settings import SETTINGS
from sdviz.plan.values import entries, typed, values_of

_OPTIONS = {  # that program's words for our settings
    "negative_prompt": "negative",
    "cfg_scale": "cfg",
    "sampler_name": "sampler",
    "subseed": "variation_seed",
    "subseed_strength": "variation_strength",
}
_RESIZE = ("seed_resize_from_w", "seed_resize_from_h")
_WITHOUT_EFFECT = (
    *("outpath_samples", "outpath_grids", "prompt_for_display", "do_not_save_samples"),
    "do_not_save_grid",
)
_AT_REST = {  # options that sdviz has no word for, and the value at which they do nothing
    **dict.fromkeys(("batch_size", "n_iter"), "1"),
    **dict.fromkeys(("restore_faces", "styles"), "false"),
}
_INSTEAD = {
    "sampler_index": "name the sampler, --sampler_name Euler",
    "sd_model": "name the models on the command line, model=a,b",
    "model": "name the models on the command line, model=a,b",
    "batch_size": "give samples= on the command line",
    "n_iter": "give rounds= on the command line",
}


@dataclass(frozen=True)
class PromptFile:
    """The prompts of a file, and the settings of its lines: a value a line, None where it has
    none.
    """

    prompts: list[str]
    settings: Mapping[str, list[Any]]


def read(key: str, name: str) -> PromptFile:
    """The lines of the file `name` that are not blank, UTF-8 with or without a byte order mark.

    Raises ConfigErrors with every line that cannot be read.
    """
    rows: list[dict[str, Any]] = []
    errors: list[SdvizError] = []
    for number, line in _lines(key, name):
        try:
            rows.append(_options(line) if line.startswith("--") else {"prompt": line})
        except ConfigError as error:
            errors.append(ConfigError(f"{key}={name}, line {number}: {error}", key=key))
    if errors:
        raise ConfigErrors(errors)
    settings = dict.fromkeys(name for row in rows for name in row if name != "prompt")
    return PromptFile(
        [row["prompt"] for row in rows], {one: [row.get(one) for row in rows] for one in settings}
    )


def with_lines(raw_config: Mapping[str, Any]) -> Mapping[str, Any]:
    """`raw_config` with the settings on the lines of `prompts=file`, zipped with the prompts.

    It is returned unchanged if the lines have no settings, or if the file cannot be read: reading
    the prompts reports that later. A line without a setting takes the value of the command line.
    Raises ConfigErrors if the command line has several values for it.
    """
    source = raw_config.get("prompts")
    if not isinstance(source, str) or source.strip().startswith("[") or raw_config.get("prompt"):
        return raw_config
    try:
        file = read("prompts", unquote(source))
    except ConfigError:
        return raw_config
    if not file.settings:
        return raw_config
    filled = entries("prompt", file.prompts)
    errors: list[SdvizError] = []
    for name, values in file.settings.items():
        try:
            several = values_of(name, raw_config.get(name))
        except ConfigError:
            continue  # reported when the setting itself is read
        if len(several) > 1 or raw_config.get(SETTINGS[name].plural) is not None:
            errors.append(
                ConfigError(
                    f"{name}: lines of prompts={source} set it; give at most one value for the "
                    "others",
                    key=name,
                )
            )
            continue
        column = [several[0] if value is None else value for value in values]
        is_text = SETTINGS[name].kind == "text"
        filled[name] = column if is_text else [_item(name, one) for one in column]
    if errors:
        raise ConfigErrors(errors)
    together = ["prompt", *(name for name in file.settings if name in filled)]
    return {**raw_config, **filled, "zip": _zipped(raw_config.get("zip"), together)}


def _item(name: str, value: Any) -> Any:
    """A value in a list of the configuration: None stays, for the model's own."""
    return None if value is None else typed(name, value)


def _zipped(zip_: Any, together: Sequence[str]) -> Any:
    """The groups of `zip`, that with the prompt widened by the settings of its lines."""
    groups = zip_ or []
    if not isinstance(groups, list):
        return zip_  # refused when it is read
    if groups and all(isinstance(key, str) for key in groups):
        groups = [groups]
    known = [group for group in groups if isinstance(group, list) and "prompt" in group]
    whole = list(dict.fromkeys([key for group in known for key in group] + [*together]))
    return [*(group for group in groups if group not in known), whole]


def _lines(key: str, name: str) -> list[tuple[int, str]]:
    file = Path(name).expanduser()
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{key}={name}: not UTF-8 (byte {error.start}); save it as UTF-8",
            key=key,
        ) from None
    except OSError as error:
        raise ConfigError(f"{key}={name}: cannot be read ({error.strerror})", key=key) from None
    texts = [(number, line.strip()) for number, line in enumerate(lines, 1) if line.strip()]
    if not texts:
        raise ConfigError(f"{key}={name}: has no prompts; write one per line", key=key)
    return texts


def _options(line: str) -> dict[str, Any]:
    """The settings of `--prompt "a cat" --steps 20`. Raises ConfigError."""
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise ConfigError(f"{error}; put quotes around the prompt") from None
    options: dict[str, str] = {}
    option = ""
    for word in words:
        if word.startswith("--"):
            option, equals, value = word[2:].partition("=")
            options[option] = value if equals else ""
        else:  # a prompt needs no quotes: its words go on to the next option
            options[option] = f"{options[option]} {word}".strip()
    row: dict[str, Any] = {}
    size = [options.pop(side, "0") for side in _RESIZE]
    if any(int(side) > 0 for side in size if side.isdecimal()):
        options["seed_resize"] = "x".join(size)
    for option, value in options.items():
        if option not in _WITHOUT_EFFECT and not _rests(option, value):
            name = _OPTIONS.get(option, option)
            row[name] = _one(name, option, value)
    if "prompt" not in row:
        raise ConfigError('no prompt; give --prompt "a castle"')
    return row


def _rests(option: str, value: str) -> bool:
    return option in _AT_REST and value.lower() in ("", _AT_REST[option])


def _one(name: str, option: str, value: str) -> Any:
    if name not in SETTINGS or name in _INSTEAD:
        known = [*_OPTIONS, *SETTINGS]
        raise ConfigError(f"--{option}: {_INSTEAD.get(option) or nearest(option, known)}")
    if SETTINGS[name].kind == "text":
        return value
    values = values_of(name, value)
    if len(values) != 1:
        raise ConfigError(f"--{option} {value}: must be one value")
    return values[0]

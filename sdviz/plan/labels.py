"""What a person reads for a setting's value, in sheets, on the board and in reports."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sdviz.plan import loras
from sdviz.plan.cells import Axis
from sdviz.plan.settings import DEFAULTS, Recipe, names

_LONGEST = 8  # characters of a number that somebody has typed, and not a range computed
_SPEAKING = names(lambda row: row.speaks)
_ALWAYS = names(lambda row: row.always)
_OFF = names(lambda row: row.none)
_PATHS = names(lambda row: row.path)
_PATH = re.compile(r"(?<![\w./:~\\-])(?:~?/|[A-Za-z]:[/\\])[^\s'\"`,;:()]*[/\\][^\s'\"`,;:()]+")
_FILE = re.compile(r"\.(?:safetensors|ckpt|pt|pth|bin|png|jpe?g|webp)$", re.IGNORECASE)


def place_name(place: Any) -> Any:
    """The name of a file or folder, without the folders that lead to it: what is shared says
    nothing of its author's disk. A hub id (owner/name) and what is no text stay as they are.
    """
    if not isinstance(place, str) or not re.search(r"[/\\]", place):
        return place
    parts = [part for part in re.split(r"[/\\]", place) if part]
    hub = len(parts) == 2 and re.fullmatch(r"[\w.-]+/[\w.-]+", place) and place[0] not in ".~"
    if hub and not Path(place).exists() and not _FILE.search(place):
        return place
    return parts[-1] if parts else place


def without_folders(text: str, paths: Mapping[str, str]) -> str:
    """`text`, such as a message, without the folders in it; `paths` are known ones, with their
    names.
    """
    for path in sorted(paths, key=len, reverse=True):
        text = text.replace(path, paths[path])
    return _PATH.sub(lambda match: str(place_name(match[0])), text)


def shareable(settings: Mapping[str, Any]) -> dict[str, Any]:
    """`settings` as they may leave the machine: paths as names."""
    return {key: _shared(key, value) if key in _PATHS else value for key, value in settings.items()}


def _shared(key: str, value: Any) -> Any:
    if key == "lora" and isinstance(value, str):
        return "+".join(place_name(one) for one in loras.names(value))
    return place_name(value)


def value_label(value: Any, key: str = "") -> str:
    """A value as text: 7 for 7.0, 7.5 for 7.5, 0.3333 for a third, and text as it is.

    The words for "" and None depend on the setting `key`, if it is given.
    """
    if isinstance(value, bool):
        return str(value).lower()  # as it is typed
    if isinstance(value, float):
        whole = format(value, ".10g")
        return whole if len(whole) <= _LONGEST else format(value, ".4g")
    if value is None:
        return "default"
    if value == "" and key in _OFF:
        return "none"
    return str(value) if value != "" else "(empty)"


def position_label(axis: Axis, at: int) -> str:
    """The value at one position of an axis; zipped values side by side."""
    return " · ".join(_labels(axis, axis.values[at]))


def _labels(axis: Axis, values: Iterable[Any]) -> list[str]:
    """The label of a value for each of the axis' keys. Paths are as short as still unique."""
    labels = []
    for n, (key, value) in enumerate(zip(axis.keys, values, strict=True)):
        if key in _PATHS:
            among = [str(several[n]) for several in axis.values]
            if key == "lora":  # each of several
                every = {one for several in among for one in loras.names(several)}
                value = "+".join(_short(one, every) for one in loras.names(str(value)))
            else:
                value = _short(value, set(among))
        labels.append(value_label(value, key))
    return labels


def _short(path: str, among: Iterable[str]) -> str:
    """The end of a path that no other of them has; owner/name, as of a hub, is left whole."""
    parts = path.split("/")
    if len(parts) < 3:
        return path
    others = [f"/{other}" for other in among if other != path]
    tails = ("/".join(parts[-count:]) for count in range(1, len(parts)))
    unlike = (tail for tail in tails if not any(other.endswith(f"/{tail}") for other in others))
    return next(filter(None, unlike), path)


def axis_labels(axes: Iterable[Axis], recipe: Recipe) -> dict[str, str]:
    """What is read for the settings of a cell along the axes, by key."""
    labels: dict[str, str] = {}
    for axis in axes:
        values = [getattr(recipe, key) for key in axis.keys]
        labels.update(zip(axis.keys, _labels(axis, values), strict=True))
    return labels


def listed(labels: Iterable[str]) -> str:
    """Several values in one line; in quotes where a comma is part of one, as in prompts."""
    labels = list(labels)
    quote = '"' if any("," in label for label in labels) else ""
    return ", ".join(f"{quote}{label}{quote}" for label in labels)


def named_label(axis: Axis, at: int) -> str:
    """The same with its setting: "cfg=7"; a prompt stands alone, it says what it is."""
    labels = zip(axis.keys, axis.values[at], _labels(axis, axis.values[at]), strict=True)
    return " · ".join(
        label if key in _SPEAKING and value else f"{key}={label}" for key, value, label in labels
    )


def common_settings(recipes: list[Mapping[str, Any]], axes: tuple[Axis, ...]) -> dict[str, Any]:
    """The settings that are the same in all cells."""
    if not recipes:
        return {}
    along = {key for axis in axes for key in axis.keys}
    first = recipes[0]
    return {
        key: value
        for key, value in first.items()
        if key not in along and all(recipe.get(key) == value for recipe in recipes)
    }


def telling(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that are worth words: the main ones, and whatever is not at its default."""
    return {
        key: value
        for key, value in settings.items()
        if value not in ("", None) and (key in _ALWAYS or value != DEFAULTS.get(key))
    }


def duration(seconds: float) -> str:
    """Seconds as a person says them: 4.2 s, 42 s, 3 min 20 s, 2 h 5 min."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
